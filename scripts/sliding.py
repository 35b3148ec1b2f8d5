r"""Sliding along kinks: an inclusion solved exactly, and what a smooth solver makes of it.

g-DIN with $\alpha = \beta = 1$ on the function of the talk,
$J(\theta) = 100\,(\theta_2 - |\theta_1|)^2 + |1 - \theta_1|$, from $(-1.5, 1)$ at rest. The
solution meets the kink $\theta_1 = 0$ where it is convex, slides along it, leaves it, and
sticks to $\theta_1 = 1$. Along a slide the subgradient is the one whose multiplier
$w \in [-1, 1]$ keeps the velocity on the kink; the solution leaves where $w$ reaches an
end. diffrax's Tsit5 on the gradients of JAX crosses the kink to and fro instead.

Source: C. Castera, talk (Dalat, 2023), the non-smooth Rosenbrock function; parameters and
start are chosen here.
"""

import pathlib
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dynsys as ds
from dynsys.integrators.inclusion.piece_system import multipliers
from scripts.command_line import run

NAME = "sliding"
START, END = (-1.5, 1.0), 12.0
EXACT, CHATTER = "#8C00FC", "#E69F00"
KINKS = (("#0072B2", "-", r"$\theta_1=0$"), ("#D55E00", "--", r"$\theta_1=1$"))


def system() -> ds.GDIN:
    """The system of the figure."""
    return ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.0, 1.0)


def exact() -> ds.Trajectory:
    """The solution of the inclusion."""
    return ds.simulate(
        system(), START, t1=END, times=2401, dense=True, rtol=1e-9, atol=1e-12
    )


def chattering(times: np.ndarray) -> ds.Trajectory:
    """What an explicit solver makes of the gradients of JAX."""
    return ds.simulate(
        system(),
        START,
        t1=float(times[-1]),
        times=np.concatenate([[0.0], times]),
        solver=diffrax.Tsit5(),
        inclusion="autodiff",
        rtol=1e-6,
        atol=1e-6,
        max_steps=1_000_000,
    )


def multipliers_along(path: ds.Trajectory, times: np.ndarray) -> np.ndarray:
    """Sign or multiplier of each kink at given times."""
    dense: Any = path.dense

    def at(t: jax.Array) -> jax.Array:
        piece = dense.system_at(t, path.system)
        return multipliers(piece, t, dense.state(t))

    return np.asarray(jax.vmap(at)(jnp.asarray(times)))


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `sliding.pdf` and `.png` into the folder `output`."""
    path = exact()
    slide = np.asarray(path.events.t[:2])
    window = np.linspace(slide[0] - 0.02, slide[0] + 0.08, 101 if quick else 2001)
    rough = chattering(window)
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 2.9), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.1, 1, 1))
        _draw_path(left, path)
        _draw_multipliers(middle, path)
        _draw_chatter(right, path, rough, window)
    ds.plots.save(figure, output / NAME)


def _draw_path(axes: Axes, path: ds.Trajectory) -> None:
    """The trajectory on level lines, with its events."""
    objective = ds.objectives.NonsmoothRosenbrock()
    limits = ((-1.75, 1.75), (-0.4, 1.8))
    ds.plots.level_lines(objective, path, limits=limits, ax=axes, legend=False)
    for value, (color, line, _) in zip((0.0, 1.0), KINKS, strict=True):
        axes.axvline(value, color=color, linestyle=line, linewidth=0.8, zorder=1)
    begin, leave, stick = np.asarray(path.events.t[:3])
    notes = (
        (begin, (-1.65, -0.32), f"slides, $t={begin:.2f}$ to ${leave:.2f}$"),
        (stick, (-0.75, 1.6), f"sticks, $t={stick:.2f}$"),
    )
    for time, place, note in notes:
        x, y = map(float, path(float(time)))
        axes.plot(x, y, "s", color="black", markersize=4, zorder=6)
        axes.annotate(
            note,
            (x, y),
            place,
            fontsize=8,
            arrowprops={"arrowstyle": "-", "linewidth": 0.6},
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            zorder=7,
        )
    axes.set(title="g-DIN", xlabel=r"$\theta_1$", ylabel=r"$\theta_2$")


def _draw_multipliers(axes: Axes, path: ds.Trajectory) -> None:
    """The multiplier of each kink while the solution slides along it."""
    count = int(path.events.count)
    when, which, kinds = (
        np.asarray(column[:count])
        for column in (path.events.t, path.events.kink, path.events.kind)
    )
    for i in np.flatnonzero(kinds == 1):
        later = np.flatnonzero((which == which[i]) & (when > when[i]))
        end = when[later[0]] if len(later) else END
        times = np.linspace(when[i] + 1e-9, end - 1e-9, 400)
        color, line, label = KINKS[which[i]]
        values = multipliers_along(path, times)[:, which[i]]
        axes.plot(times, values, color=color, linestyle=line, label=label)
    axes.axhline(1, color="0.6", linewidth=0.6)
    axes.axhline(-1, color="0.6", linewidth=0.6)
    axes.set(title="Multiplier along the slides", xlabel="$t$", ylabel="$w$", xlim=(0, END))
    axes.legend(loc="lower right")


def _draw_chatter(
    axes: Axes, path: ds.Trajectory, rough: ds.Trajectory, window: np.ndarray
) -> None:
    """A close look at the start of the slide."""
    steps = f"{int(rough.stats.steps):,}"
    until = f"{window[-1]:.2f}"
    axes.plot(
        window,
        1e6 * np.asarray(rough.x[1:, 0]),
        color=CHATTER,
        linewidth=0.7,
        label=f"diffrax Tsit5:\n{steps} steps to $t={until}$",
    )
    axes.plot(
        window,
        1e6 * np.asarray(path(window))[:, 0],
        color=EXACT,
        linewidth=1.4,
        label=f"dynsys:\n{int(path.stats.steps)} steps to $t=12$",
    )
    size = 3e6 * np.abs(np.asarray(rough.x[len(window) // 2 :, 0])).max()
    axes.set(title="Where the slide begins", xlabel="$t$", ylim=(-size, size))
    axes.set_ylabel(r"$10^6\,\theta_1$")
    axes.legend(loc="upper right")


if __name__ == "__main__":
    run(sliding=main)

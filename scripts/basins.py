r"""Where thousands of starts end: what an ensemble is needed for.

Above, the minimiser that each start reaches, one pixel a start. The function is
$f(x) = \frac14(x_1^2 - 1)^2 + \frac12(x_2 - x_1^2)^2$, a double well along a bent valley:
minimisers $(\pm1, 1)$, saddle 0. Without the bend its coordinates would not see each other,
and the basins at rest would be stripes. DIN from rest with $\alpha = 0.2$ and three
$\beta$; with $\beta = 0$ it is the heavy ball. Along DIN the energy
$(1 + \alpha\beta)f + \frac12|\dot x + \beta\nabla f|^2$ falls. Once it is below its value
at rest in the saddle, a solution stays in its well, so the colours are final.

Below, g-DIN on the non-smooth Rosenbrock function of the talk,
$J(\theta) = 100\,(\theta_2 - |\theta_1|)^2 + |1 - \theta_1|$, whose only critical point is
the minimiser $(1, 1)$: how many random starts in the box $[-1.5, 1.5] \times [-0.5, 2]$,
from rest, have reached it by $t = 10$, for each pair $(\alpha, \beta)$; and for four pairs
the whole course. Reached: within 0.05, and not farther from then on up to $t = 20$.

Source: the energy is that of Castera, Bolte, Févotte, Pauwels (2021) for g-DIN, written
for DIN; the non-smooth function is that of C. Castera, talk (Dalat, 2023). The bent double
well, the starts and the parameters are chosen here.
"""

import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import dynsys as ds
from scripts.command_line import run

NAME = "basins"

ALPHA, COLUMNS = 0.2, (0.0, 0.1, 1.0)
WINDOW = ((-2.5, 2.5), (-2.0, 4.0))
LONG = 100.0
SIDES = ListedColormap(["#0072B2", "0.5", "#E69F00"])

BOX = ((-1.5, 1.5), (-0.5, 2.0))
ALPHAS, BETAS = (0.1, 10.0), (0.01, 10.0)
NEAR, DEADLINE, END = 0.05, 10.0, 20.0
# Drawn to here: a solution that is near at the very end may still be passing by.
DRAWN = 15.0
OUTPUTS = 101


class Mark(NamedTuple):
    """A pair of dampings whose course is drawn."""

    letter: str
    alpha: float
    beta: float
    text: str
    color: str
    linestyle: Any


MARKS = (
    Mark("A", 0.7, 0.35, "", "#000000", "-"),
    Mark("B", 0.15, 0.02, "oscillates", "#0072B2", (0, (5, 2))),
    Mark("C", 0.3, 3.0, "slow, or flies off", "#D55E00", (0, (6, 1.5, 1, 1.5))),
    Mark("D", 7.0, 0.05, "creeps", "#009E73", (0, (1, 1.5))),
)
NOTE = (
    r"$f(x)=(x_1^2-1)^2/4+(x_2-x_1^2)^2/2$; stars: minimisers, cross: saddle. "
    r"$J(\theta)=100(\theta_2-|\theta_1|)^2+|1-\theta_1|$;"
    "\n"
    r"starts in $[-1.5,1.5]\times[-0.5,2]$; at the minimiser: within 0.05 of it, "
    r"up to $t=20$."
)


def bent_double_well(x: Any) -> Any:
    """Double well along a parabola."""
    return (x[0] ** 2 - 1) ** 2 / 4 + (x[1] - x[0] ** 2) ** 2 / 2


def side_reached(path: ds.Trajectory) -> jax.Array:
    """-1 or 1 for the well that a path of DIN cannot leave any more, else 0."""
    system: Any = path.system
    x, v = path.x[-1], path.v[-1]
    alpha, beta = system.coefficients(path.t[-1])[1:3]
    momentum = v + beta * jax.grad(bent_double_well)(x)
    weight = 1 + alpha * beta
    energy = weight * bent_double_well(x) + jnp.sum(momentum**2) / 2
    at_saddle = weight * bent_double_well(jnp.zeros(2))
    return jnp.where(energy < at_saddle, jnp.sign(x[0]), 0.0)


def in_wells(start: jax.Array, beta: jax.Array) -> tuple[ds.DIN, jax.Array]:
    """DIN on the double well."""
    return ds.DIN(bent_double_well, ALPHA, beta), start


def in_valley(start: jax.Array, pair: jax.Array) -> tuple[ds.GDIN, jax.Array]:
    """g-DIN on the non-smooth function."""
    return ds.GDIN(ds.objectives.NonsmoothRosenbrock(), *pair), start


def sides(starts: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """The side on which each start ends, of shape `(betas, starts)`."""
    reached = ds.simulate_ensemble(
        in_wells,
        start=np.tile(starts, (len(betas), 1)),
        beta=np.repeat(betas, len(starts)),
        t1=LONG,
        times=2,
        reduce=side_reached,
        throw=True,
    )
    return np.asarray(reached).reshape(len(betas), len(starts))


def pixels(count: int) -> np.ndarray:
    """Centres of `count` times `count` pixels, none of them on the axis of symmetry."""
    x1, x2 = (low + (np.arange(count) + 0.5) * (high - low) / count for low, high in WINDOW)
    return np.stack(np.meshgrid(x1, x2), axis=-1).reshape(-1, 2)


def arrival(path: ds.Trajectory) -> jax.Array:
    """First output time from which on a path is near (1, 1); `inf` if there is none."""
    far = jnp.linalg.norm(path.x - 1, axis=1) > NEAR
    last = jnp.max(jnp.where(far, jnp.arange(len(far)), -1))
    ended = jnp.concatenate([path.t, jnp.array([jnp.inf])])
    return ended[last + 1]


def arrivals(starts: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Time at which each start arrives under its pair of dampings."""
    times = ds.simulate_ensemble(
        in_valley,
        start=starts,
        pair=pairs,
        t1=END,
        times=OUTPUTS,
        reduce=arrival,
        throw=True,
    )
    return np.asarray(times)


def box_starts(count: int) -> np.ndarray:
    """Random starts in the box."""
    low, high = np.transpose(BOX)
    return np.random.default_rng(0).uniform(low, high, (count, 2))


def map_and_courses(
    alphas: np.ndarray, betas: np.ndarray, few: int, many: int
) -> tuple[np.ndarray, np.ndarray]:
    """Arrivals of few starts for each pair, and of many for each mark.

    Returns:
        Times of shape `(alphas, betas, few)` and `(marks, many)`. One ensemble for both,
        since compiling takes longer than solving.
    """
    grid = np.stack(np.meshgrid(alphas, betas, indexing="ij"), axis=-1).reshape(-1, 2)
    marks = np.array([(mark.alpha, mark.beta) for mark in MARKS])
    starts = [np.tile(box_starts(few), (len(grid), 1))]
    starts += [np.tile(box_starts(many), (len(marks), 1))]
    pairs = [np.repeat(grid, few, axis=0), np.repeat(marks, many, axis=0)]
    times = arrivals(np.concatenate(starts), np.concatenate(pairs))
    first, second = np.split(times, [len(pairs[0])])
    return first.reshape(len(alphas), len(betas), few), second.reshape(-1, many)


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `basins.pdf` and `.png` into the folder `output`."""
    size, grid, few, many = (12, 4, 4, 8) if quick else (200, 32, 32, 1000)
    wells = sides(pixels(size), np.array(COLUMNS)).reshape(-1, size, size)
    alphas, betas = np.geomspace(*ALPHAS, grid), np.geomspace(*BETAS, grid)
    on_map, along_time = map_and_courses(alphas, betas, few, many)
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 5.9), layout="constrained")
        halves: Any = figure.subfigures(2, 1, height_ratios=(1, 1.02))
        above, below = halves
        above.suptitle(
            rf"DIN on a double well $f$, $\alpha={ALPHA}$, from rest: "
            "the minimiser that each start reaches",
            fontsize=10,
        )
        row = above.subplots(1, 3, sharey=True)
        for axes, beta, reached in zip(row, COLUMNS, wells, strict=True):
            _draw_basins(axes, beta, reached)
        row[0].set_ylabel("$x_2$")
        below.suptitle(
            "g-DIN on the non-smooth Rosenbrock function $J$, from rest: "
            "the share of starts at the minimiser",
            fontsize=10,
        )
        left, right = below.subplots(1, 2, width_ratios=(1.2, 1))
        _draw_map(left, alphas, betas, (on_map <= DEADLINE).mean(axis=2))
        _draw_courses(right, along_time)
        lines, labels = right.get_legend_handles_labels()
        below.legend(lines, labels, loc="outside lower center", ncols=4)
        figure.supxlabel(NOTE, fontsize=8, color="0.3")
    ds.plots.save(figure, output / NAME)


def _draw_basins(axes: Axes, beta: float, reached: np.ndarray) -> None:
    """One pixel a start, in the colour of its minimiser."""
    (left, right), (low, high) = WINDOW
    axes.imshow(
        reached,
        extent=(left, right, low, high),
        origin="lower",
        cmap=SIDES,
        vmin=-1,
        vmax=1,
        aspect="auto",
        interpolation="nearest",
    )
    mark = {"color": "white", "markeredgecolor": "black", "markeredgewidth": 0.8}
    for x, marker, size in ((-1, "*", 10), (1, "*", 10), (0, "X", 6)):
        axes.plot(x, abs(x), marker, markersize=size, **mark)
    name = "Heavy ball" if beta == 0 else "DIN"
    axes.set(title=rf"{name}: $\beta={beta:g}$", xlabel="$x_1$")


def _draw_map(axes: Axes, alphas: np.ndarray, betas: np.ndarray, share: np.ndarray) -> None:
    """The share of starts that have arrived, over the two dampings."""
    mesh = axes.pcolormesh(betas, alphas, share, cmap="cividis", vmin=0, vmax=1)
    mesh.set_rasterized(True)
    axes.set(xscale="log", yscale="log", xlabel=r"$\beta$", ylabel=r"$\alpha$")
    axes.set_title(rf"Arrived by $t={DEADLINE:g}$")
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.02)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1))
    for mark in MARKS:
        axes.text(
            mark.beta,
            mark.alpha,
            f"{mark.letter}: {mark.text}" if mark.text else mark.letter,
            ha="center",
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )


def _draw_courses(axes: Axes, when: np.ndarray) -> None:
    """The share of starts that have arrived, along time."""
    times = np.linspace(0, END, OUTPUTS)
    for mark, row in zip(MARKS, when, strict=True):
        share = (row[:, None] <= times).mean(axis=0)
        axes.step(
            times,
            share,
            where="post",
            color=mark.color,
            linestyle=mark.linestyle,
            label=rf"{mark.letter}: $\alpha={mark.alpha:g}$, $\beta={mark.beta:g}$",
        )
    axes.axvline(DEADLINE, color="0.6", linewidth=0.6, zorder=0.5)
    axes.set(title="Arrived along time", xlabel="$t$", xlim=(0, DRAWN), ylim=(0, 1.03))
    axes.set_xticks(range(0, 16, 5))
    axes.yaxis.set_major_formatter(PercentFormatter(1))


if __name__ == "__main__":
    run(basins=main)

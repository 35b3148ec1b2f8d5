r"""The iterates of INNA shadow the flow of g-DIN: the idea of its convergence proof.

The loss is a mean over 24 samples, non-smooth and not convex: a neuron fitted by least
absolute deviations, $J(\theta) = \frac1N\sum_n|\mathrm{relu}(\langle a_n, \theta\rangle)
- y_n|$, with $\alpha = \beta = 0.5$. The iterates are points of a path at the times
$t_k = \sum_{j<k}\gamma_j$, with $\gamma_0 = 0.1$. Mini-batches have one sample.

(a) The path of iterates with mini-batches and $\gamma_k = \gamma_0(k + 1)^{-1/2}$, and
solutions of g-DIN that start from iterates: each is closer to the path than the one before.
(b) The largest distance of the path to such a solution within one unit of time, against
when it starts, with the full gradient: for the step sizes $\gamma_0$, $\gamma_0\log 3 /
\log(k + 3)$, in the legend $1/\log k$, and $\gamma_0(k + 1)^{-q}$; (c) the same with
mini-batches. Step sizes that tend to 0 bring the distance down, a constant one does not.
The theorem asks for $\gamma_k = o(1/\log k)$, of which $1/\log k$ is just outside. That is
a statement about the limit: at these times its steps are nearly those of $q = \frac14$, and
so are its distances.

Grey in (b): the flow slides along a kink and has crossed that of another sample, behind
which the slope of $J$ on one side of the first is a hundredth of that before. Iterates that
step over to this side return late. Until then, as in the window at 20, they meet no kink:
$J$ is affine, the velocity tends to a constant, which Euler's method follows exactly, and
the distance plunges. It leaps where the flow comes back to the kink and slides, but the
iterates step over it, and where the two reach the kink that ends the slide at different
times.

(d) The mean of the distances over windows against a constant step size: it is of the order
of $\gamma$, with mini-batches of $\sqrt\gamma$.
(e) The Lyapunov function along iterates, and along the flow, where it never increases.
(f) What the theorem cannot exclude: $\mathrm{relu}(\theta)$ and $-\mathrm{relu}(-\theta)$
have the mean $J = \theta/2$, which has no critical point, but the operator $D$ holds 0 at 0
and `jax.grad` selects it: INNA started there stays.

Source: C. Castera, J. Bolte, C. Fevotte, E. Pauwels, JMLR 22(134), 2021, as given in the
talk (proof sketch); M. Benaim, J. Hofbauer, S. Sorin, SIAM J. Control Optim. 44(1), 2005.
The loss is chosen here; the example (f) is derived here.
"""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dynsys as ds
from dynsys.algorithms import (
    INNAPath,
    MiniBatches,
    Shadowing,
    energy_along,
    inna_path,
    shadowing,
)
from scripts.command_line import run
from scripts.measured import listed, power, write_measured

NAME = "inna_shadowing"
ALPHA = BETA = 0.5
STEP, START, SAMPLES = 0.1, (-1.0, 1.5), 24
WINDOW, SHOWN, FAR, SLIDES = 1.0, 2.0, 12.0, 20.0
BATCH, FULL, SKY, FLOW = "#D55E00", "#0072B2", "#56B4E9", "#000000"


class Schedule(NamedTuple):
    """A step size and how it is drawn."""

    label: str
    rate: Any
    power: float
    color: str
    linestyle: Any
    width: float


def by_logarithm(count: jax.Array) -> jax.Array:
    r"""The step size $\gamma_0\log 3/\log(k + 3)$, which begins with $\gamma_0$."""
    return STEP * np.log(3) / jnp.log(count.astype(float) + 3)


SCHEDULES = (
    Schedule("constant", STEP, 0.0, "#000000", (0, (1, 1)), 1.3),
    Schedule(r"$k^{-1/4}$", STEP, 0.25, "#7FCEB8", "-", 3.2),
    Schedule(r"$1/\log k$", by_logarithm, 0.0, "#D55E00", (0, (4, 1.5)), 1.3),
    Schedule(r"$k^{-1/2}$", STEP, 0.5, "#8C00FC", "-", 1.3),
)


def loss(theta: jax.Array, sample: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Least absolute deviations of one neuron."""
    features, target = sample
    return jnp.abs(jax.nn.relu(features @ theta) - target)


def batches(seed: int = 0) -> MiniBatches:
    """Mini-batches of one sample."""
    random = np.random.default_rng(0)
    features = random.normal(size=(SAMPLES, 2))
    clean = np.maximum(features @ np.array([1.5, -1.0]), 0)
    targets = clean + 0.3 * random.normal(size=SAMPLES)
    return MiniBatches(loss, (features, targets), 1, jax.random.key(seed))


def system() -> ds.GDIN:
    """The flow of the loss."""
    return ds.GDIN(batches().objective, ALPHA, BETA)


def follow(one: Schedule, end: float, gradient: MiniBatches | None) -> INNAPath:
    """The iterates up to a time."""
    rate, decay = one.rate, one.power
    first = STEP if callable(rate) else rate
    count = np.arange(1.0 + max(end / first, (end / STEP) ** 2))
    gammas = rate(jnp.asarray(count)) if callable(rate) else rate * (count + 1) ** -decay
    steps = int(np.searchsorted(np.cumsum(np.asarray(gammas)), end)) + 1
    return inna_path(system(), START, rate, steps, decay_power=decay, gradient=gradient)


def flow(path: INNAPath, index: int, length: float) -> ds.Trajectory:
    """The solution from an iterate, by the program that serves `shadowing`, too."""
    times = np.linspace(0, length, 1001)
    return ds.simulate(
        path.system, path.state(index), t1=length, times=times, rtol=1e-8, atol=1e-10
    )


def along(
    end: float, windows: int, schedules: Sequence[Schedule] = SCHEDULES
) -> dict[bool, list[Shadowing]]:
    """The distances of each schedule, without (False) and with mini-batches (True)."""
    return {
        is_batch: [
            shadowing(follow(one, end, batches() if is_batch else None), WINDOW, windows)
            for one in schedules
        ]
        for is_batch in (False, True)
    }


def by_step(gammas: np.ndarray, end: float, windows: int) -> dict[bool, np.ndarray]:
    """The mean distance over windows for constant step sizes."""
    steps = [SCHEDULES[0]._replace(rate=float(gamma)) for gamma in gammas]
    return {
        is_batch: np.array([one.distance.mean() for one in found])
        for is_batch, found in along(end, windows, steps).items()
    }


def grazing(end: float) -> tuple[float, float]:
    """When the last slide of the flow up to a time meets another kink, and when it ends."""
    path = follow(SCHEDULES[0], WINDOW, None)
    events = flow(path, 0, end).events
    t, kind = np.asarray(events.t), np.asarray(events.kind)
    left = t[kind == 2].max()
    # What ends the slide is itself the crossing of a kink, at the same time.
    return float(t[(kind == 0) & (t < left - 1e-6)].max()), float(left)


def spurious(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """INNA on the two halves of theta / 2, from 0 and from beside it."""
    half = lambda x, sign: sign * jax.nn.relu(sign * x[0])
    halves = MiniBatches(half, np.array([1.0, -1.0]), 1, jax.random.key(0))
    flat = ds.GDIN(halves.objective, ALPHA, BETA)
    paths = [
        inna_path(flat, [start], STEP, steps, gradient=halves) for start in (-0.1, 0.0, 0.1)
    ]
    return np.asarray(paths[0].t), np.stack([path.theta[:, 0] for path in paths])


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `inna_shadowing.pdf` and `.png` into the folder `output`."""
    end, windows = (4.0, 3) if quick else (60.0, 60)
    gammas = np.array([1e-1, 1e-2]) if quick else np.geomspace(1e-1, 1e-4, 7)
    distances = along(end, windows)
    means = by_step(gammas, 4.0 if quick else 40.0, 3 if quick else 40)
    cases = ((0, batches()), (-1, batches()), (-1, None))
    paths = [follow(SCHEDULES[index], FAR, gradient) for index, gradient in cases]
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 4.7), layout="constrained")
        axes = figure.subplot_mosaic("ABC;DEF")
        axes["B"].sharey(axes["C"])
        _draw_path(axes["A"], paths[1])
        _draw_distances(axes["B"], distances[False], end)
        _draw_distances(axes["C"], distances[True], end)
        axes["B"].axvspan(*grazing(SLIDES), color="0.9", linewidth=0, zorder=0)
        axes["B"].legend(loc="upper right", ncols=2, columnspacing=1.0)
        axes["B"].set_title("(b) full gradient")
        axes["C"].set_title("(c) mini-batches")
        _draw_orders(axes["D"], gammas, means)
        _draw_energies(axes["E"], paths)
        _draw_spurious(axes["F"], *spurious(100))
    ds.plots.save(figure, output / NAME)
    write_measured(output, NAME, numbers(distances, gammas, means, paths))


def numbers(
    distances: dict[bool, list[Shadowing]],
    gammas: np.ndarray,
    means: dict[bool, np.ndarray],
    paths: Sequence[INNAPath],
) -> str:
    """How close the iterates come, with which order, and how the energy rises."""
    ends = {
        key: [one.distance[one.t >= 0.75 * one.t[-1]].mean() for one in found]
        for key, found in distances.items()
    }
    full, batch = (listed(f"${power(one)}$" for one in ends[key]) for key in ends)
    orders = [np.polyfit(np.log(gammas), np.log(means[key]), 1)[0] for key in means]
    rises = [f"${power(energy_along(path).largest_increase)}$" for path in paths]
    return (
        f"in the last quarter of the windows the mean distance is {full} for the step "
        f"sizes {listed(one.label for one in SCHEDULES)}, and with mini-batches {batch}. "
        f"The slopes of fits to (d) are {orders[0]:.2f}, and {orders[1]:.2f} with "
        f"mini-batches. In (e) the Lyapunov function rises from an iterate to a later one "
        f"by at most {listed(rises)}, in the order of the legend."
    )


def _draw_path(axes: Axes, path: INNAPath) -> None:
    """The path, and solutions from iterates."""
    t = np.asarray(path.t)
    axes.plot(t, path.theta[:, 0], color=BATCH, linewidth=0.8, label="iterates")
    for start in np.arange(0, FAR, SHOWN):
        index = int(np.searchsorted(t, start))
        found = flow(path, index, SHOWN)
        label = "g-DIN from an iterate" if start == 0 else None
        axes.plot(t[index] + found.t, found.x[:, 0], color=FLOW, linewidth=1.2, label=label)
        axes.plot(t[index], path.theta[index, 0], "o", color=FLOW, markersize=2.5)
    axes.set(xlim=(0, FAR), ylim=(-1.2, 1.8), xticks=range(0, 13, 4))
    axes.set(xlabel="$t$", ylabel=r"$\theta_1$")
    axes.set_title(r"(a) mini-batches, $\gamma_k = 0.1\,(k + 1)^{-1/2}$")
    axes.legend(loc="upper left")


def _draw_distances(axes: Axes, found: list[Shadowing], end: float) -> None:
    """The distances of each schedule along time."""
    for one, schedule in zip(found, SCHEDULES, strict=True):
        axes.semilogy(
            one.t,
            one.distance,
            color=schedule.color,
            linestyle=schedule.linestyle,
            linewidth=schedule.width,
            label=schedule.label,
        )
    axes.set(xlim=(0, end), ylim=(4e-6, 2))
    axes.set(xlabel="$t$", ylabel="distance in $[t, t + 1]$")


def _draw_orders(axes: Axes, gammas: np.ndarray, means: dict[bool, np.ndarray]) -> None:
    """Distances for constant step sizes, on lines with the slopes of the theory."""
    for is_batch, exponent, marker, color, label in (
        (True, 0.5, "s", BATCH, r"mini-batches, and $c\sqrt{\gamma}$"),
        (False, 1.0, "o", FULL, r"full gradient, and $c\gamma$"),
    ):
        factor = np.exp(np.mean(np.log(means[is_batch] / gammas**exponent)))
        axes.loglog(gammas, factor * gammas**exponent, color=color, linewidth=0.8)
        axes.loglog(gammas, means[is_batch], marker, color=color, markersize=4, label=label)
    axes.set(
        xlabel=r"constant step size $\gamma$", ylabel="mean distance", title="(d) order"
    )
    axes.set_ylim(top=20)
    axes.legend(loc="upper left", handlelength=1.0)


def _draw_energies(axes: Axes, paths: Sequence[INNAPath]) -> None:
    """The Lyapunov function along iterates and along the flow."""
    for path, color, width, linestyle, label in (
        (paths[0], BATCH, 1.2, (0, (1, 1)), r"mini-batches, constant $\gamma$"),
        (paths[1], BATCH, 1.2, "-", r"mini-batches, $k^{-1/2}$"),
        (paths[2], SKY, 4.0, "-", "full gradient, $k^{-1/2}$"),
    ):
        found = energy_along(path)
        look = {"color": color, "linewidth": width, "linestyle": linestyle}
        axes.plot(found.t, found.value, label=label, **look)
    found = flow(paths[2], 0, FAR)
    common = (ALPHA - 1 / BETA) * found.state.theta + found.state.psi / BETA
    value = (1 + ALPHA * BETA) * found.objective + 0.5 * jnp.sum(common**2, axis=1)
    axes.plot(found.t, value, color=FLOW, linestyle=(0, (4, 3)), label="g-DIN")
    axes.set(xlim=(0, FAR), ylim=(0.3, 1.9), xticks=range(0, 13, 4))
    axes.set(xlabel="$t$", title="(e) Lyapunov function")
    axes.legend(loc="upper right")


def _draw_spurious(axes: Axes, t: np.ndarray, theta: np.ndarray) -> None:
    """The paths from a spurious critical point and from beside it."""
    looks = ((FULL, "-"), (BATCH, "-"), (FLOW, (0, (4, 3))))
    for path, start, look in zip(theta, ("-0.1", "0", "0.1"), looks, strict=True):
        label = rf"$\theta_0 = {start}$"
        axes.plot(t, path, color=look[0], linestyle=look[1], label=label)
    axes.set(xlim=(0, t[-1]), xticks=range(0, 11, 5), xlabel="$t$", ylabel=r"$\theta$")
    axes.set_title(r"(f) $J = \theta/2$ from two halves")
    axes.legend(loc="lower left")


if __name__ == "__main__":
    run(inna_shadowing=main)

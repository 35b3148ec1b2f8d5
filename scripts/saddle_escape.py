r"""Saddles are avoided: off its stable manifold all leave, when linear theory says so.

g-DIN and its discretisation INNA on the double well of the saddle paper,
$J(\theta) = \theta_1^4 - 4\theta_1^2 + \theta_2^2$, with minimisers $(\pm\sqrt2, 0)$ and a
strict saddle at 0, where the Hessian has the eigenvalues -8 and 2. All starts are those of
the paper, $\dot\theta_0 = -\nabla J(\theta_0)$.

Left, g-DIN from the four starts of the paper, each with its dampings $(\alpha, \beta)$.
From the axis $\theta_1 = 0$, which lies in the stable manifold of the saddle, solutions
converge to the saddle; from 0.05 beside the axis, to a minimiser.

Right, 1000 starts $10^{-12}\,\mathcal N(0, I)$ next to the saddle: the share that is
farther than 0.1 from it along time, for the flows and for the iterations with
$\gamma = 0.02$ and $t = \gamma k$. With $\alpha = \beta = 1$ and these starts g-DIN is
gradient flow, and INNA is gradient descent. Dashed: what the linearisation predicts for the
same starts, $t = \ln(0.1/|c|)/r$ with the positive root $r$ of
$r^2 + (\alpha - 8\beta)r - 8$ and the coordinate $c$ of the start in its direction; for the
iterations with $\ln(1 + \gamma r)/\gamma$ in place of $r$.

Source: C. Castera, J. Optim. Theory Appl. 199 (2023), arXiv 2111.04596, and the code of its
experiments (camcastera/INNAavoidsSaddles), which runs 1000 iterations on the left and 2000
on the right. The flows and the radius 0.1 are chosen here.
"""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import dynsys as ds
from dynsys.algorithms import inna_path
from dynsys.analysis.critical_points.saddles import (
    StableManifold,
    escape_time,
    stable_manifold,
)
from scripts.command_line import run
from scripts.measured import listed, power, write_measured

NAME = "saddle_escape"
STEP, RADIUS, SIZE = 0.02, 0.1, 1e-12
END, FAR = 12.0, 25.0
# Outputs so dense that between two of them the logarithm of the distance is linear.
WINDOW = np.concatenate([[0.0], np.linspace(2.5, 5.5, 601), [FAR]])
# Starts are far smaller than the usual absolute tolerance.
TOLERANCES: Any = {"rtol": 1e-8, "atol": 1e-20}


class Method(NamedTuple):
    """A pair of dampings on the right."""

    alpha: float
    beta: float
    flow: str
    iteration: str
    color: str


class Start(NamedTuple):
    """A start on the left, with its dampings."""

    theta: tuple[float, float]
    alpha: float
    beta: float
    color: str
    linestyle: Any


METHODS = (
    Method(1.0, 1.0, "gradient flow", "gradient descent", "#009E73"),
    Method(0.5, 1.0, "g-DIN (0.5, 1)", "INNA (0.5, 1)", "#8C00FC"),
    Method(1.0, 1.1, "g-DIN (1, 1.1)", "INNA (1, 1.1)", "#E69F00"),
)
ON, OFF, DASHED = "#0072B2", "#D55E00", (0, (5, 2))
STARTS = (
    Start((0.0, 1.9), 2.0, 1.0, ON, "-"),
    Start((0.0, -1.9), 0.5, 1.0, ON, "-"),
    Start((-0.05, 1.9), 1.0, 1.3, OFF, DASHED),
    Start((0.05, -1.9), 0.3, 0.9, OFF, DASHED),
)
WELL = ds.objectives.DoubleWell()


def wells(theta: jax.Array) -> jax.Array:
    """The sum of the double well over starts: its gradient is that of each."""
    return jnp.sum(jax.vmap(WELL)(theta.reshape(-1, 2)))


def iterate(theta: np.ndarray, alpha: float, beta: float, steps: int) -> np.ndarray:
    """The iterates of INNA, of shape `(steps + 1, ..., 2)`."""
    path = inna_path(ds.GDIN(wells, alpha, beta), theta, STEP, steps, start=1.0)
    return np.asarray(path.theta)


def released(start: Any, pair: Any) -> tuple[ds.GDIN, Any]:
    """g-DIN with the starts of the paper."""
    system = ds.GDIN(WELL, pair[0], pair[1])
    return system, system.state(start, system.initial_psi(start, speed=1.0))


def solve(times: int) -> list[ds.Trajectory]:
    """The four solutions on the left."""
    return [
        ds.simulate(
            *released(np.array(one.theta), (one.alpha, one.beta)), t1=END, times=times
        )
        for one in STARTS
    ]


def starts(count: int) -> np.ndarray:
    """Random starts next to the saddle."""
    return SIZE * np.random.default_rng(0).normal(size=(count, 2))


def course(path: ds.Trajectory) -> tuple[jax.Array, jax.Array]:
    """When a solution has left the saddle, and where it ends."""
    distance = jnp.log(jnp.linalg.norm(path.x, axis=1))
    gap = distance - jnp.log(RADIUS)
    after = jnp.argmax(gap > 0)
    part = gap[after] / (gap[after] - gap[after - 1])
    crossing = path.t[after] - part * (path.t[after] - path.t[after - 1])
    return jnp.where(gap[after] > 0, crossing, jnp.inf), path.x[-1]


@jax.jit
def _courses(points: jax.Array, pairs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The course of each start, one after the other: an ensemble compiles for longer."""

    def one(case: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        system, state = released(*case)
        return course(ds.simulate(system, state, t1=FAR, times=WINDOW, **TOLERANCES))

    return jax.lax.map(one, (points, pairs))


def flow_escapes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """When each start leaves along the flow, of shape `(methods, starts)`, and its end."""
    pairs = np.array([(method.alpha, method.beta) for method in METHODS])
    shape = (len(pairs), len(points))
    repeated = np.repeat(pairs, len(points), axis=0)
    when, ends = _courses(jnp.tile(points, (len(pairs), 1)), jnp.asarray(repeated))
    return np.asarray(when).reshape(shape), np.asarray(ends).reshape(*shape, 2)


def iteration_escapes(points: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """In which iteration each start has left, and where it ends."""
    paths = [iterate(points, one.alpha, one.beta, steps) for one in METHODS]
    away = np.linalg.norm(paths, axis=-1) > RADIUS
    first = np.where(away.any(axis=1), np.argmax(away, axis=1), np.inf)
    return first, np.array([path[-1] for path in paths])


def predictions(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted times, predicted iterations, and the rates of the methods."""
    found = [_predict(points, method) for method in METHODS]
    times = np.array([time for _, time in found])
    rates = np.array([manifold.rates[0] for manifold, _ in found])
    slowed = rates * STEP / np.log1p(STEP * rates)
    return times, times * slowed[:, None] / STEP, rates


def _predict(points: np.ndarray, method: Method) -> tuple[StableManifold, np.ndarray]:
    system = ds.GDIN(WELL, method.alpha, method.beta)
    manifold = stable_manifold(system, np.zeros(2))
    slope = points * np.array([-8.0, 2.0])
    psi = (1 - method.alpha * method.beta) * points
    psi = psi + method.beta * (1 - method.beta) * slope
    return manifold, escape_time(manifold, system.state(points, psi), RADIUS)


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `saddle_escape.pdf` and `.png` into the folder `output`."""
    points = starts(40 if quick else 1000)
    paths = solve(201 if quick else 2001)
    flows, _ = flow_escapes(points)
    counts, _ = iteration_escapes(points, 400)
    times, iterations, rates = predictions(points)
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 3.7), layout="constrained")
        axes = figure.subplot_mosaic("AB;AC", width_ratios=(1, 1.2))
        _draw_paths(axes["A"], paths)
        pairs = zip(METHODS, rates, strict=True)
        names = [f"{one.flow}, $r={rate:.2f}$" for one, rate in pairs]
        _draw_shares(axes["B"], flows, times, names)
        axes["B"].set_title(
            rf"{len(points)} starts $10^{{-12}}$ from the saddle: the share that has left"
        )
        names = [method.iteration for method in METHODS]
        _draw_shares(axes["C"], STEP * counts, STEP * np.ceil(iterations), names)
        axes["C"].set(xlabel=r"$t$, in the iterations $\gamma k$ with $\gamma=0.02$")
        axes["B"].tick_params(labelbottom=False)
    ds.plots.save(figure, output / NAME)
    write_measured(output, NAME, numbers(flows, times, counts, iterations))


def numbers(
    flows: np.ndarray, times: np.ndarray, counts: np.ndarray, iterations: np.ndarray
) -> str:
    """How many leave, when, and how well that is predicted."""
    all_leave = np.isfinite(flows).all() and np.isfinite(counts).all()
    off = counts - np.ceil(iterations)
    flow, iteration = (np.median(found, axis=1) for found in (flows, counts))
    return (
        f"{'all starts leave' if all_leave else 'not all starts leave'}, the flows in the "
        f"median at $t =$ {listed(f'{time:.3f}' for time in flow)}, the iterations after "
        f"{listed(f'{count:.0f}' for count in iteration)} (in the order of the legends). "
        f"No time of a flow is off by more than ${power(np.abs(flows - times).max())}$, "
        f"and {100 * np.mean(off == 0):.1f}% of the starts leave in the predicted "
        f"iteration, the others at most {np.abs(off).max():.0f} from it."
    )


def _draw_paths(axes: Axes, paths: Sequence[ds.Trajectory]) -> None:
    """Solutions on and off the stable manifold."""
    looks = [ds.plots.Look(one.color, one.linestyle, "") for one in STARTS]
    limits = ((-2.1, 2.1), (-2.4, 2.4))
    ds.plots.level_lines(WELL, *paths, limits=limits, looks=looks, legend=False, ax=axes)
    white = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    axes.text(0.1, 0.35, "from the axis\nto the saddle", color=ON, bbox=white)
    axes.text(-2.0, 1.5, "from 0.05 beside it\nto a minimiser", color=OFF, bbox=white)
    axes.set(xlabel=r"$\theta_1$", ylabel=r"$\theta_2$", title="g-DIN on the double well")


def _draw_shares(
    axes: Axes, measured: np.ndarray, predicted: np.ndarray, names: Sequence[str]
) -> None:
    """The share of starts that have left along time, and its prediction."""
    share = np.arange(1, measured.shape[1] + 1) / measured.shape[1]
    for when, name, method in zip(measured, names, METHODS, strict=True):
        axes.step(
            np.sort(when),
            share,
            where="post",
            color=method.color,
            label=name,
            linewidth=2.6,
        )
    for before, label in zip(predicted, ("linear theory", "", ""), strict=True):
        axes.step(
            np.sort(before),
            share,
            where="post",
            color="black",
            linestyle=(0, (3, 2)),
            linewidth=0.8,
            label=label,
        )
    axes.set(xlim=(2.7, 4.5), ylim=(0, 1.03))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(loc="lower right")


if __name__ == "__main__":
    run(saddle_escape=main)

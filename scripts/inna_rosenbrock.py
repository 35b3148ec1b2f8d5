r"""INNA on the non-smooth Rosenbrock function, on top of the inclusion that it discretises.

$$J(\theta) = 100\,(\theta_2 - |\theta_1|)^2 + |1 - \theta_1|$$

Above, the three panels of the authors' poster: INNA with the constant step $\gamma =
10^{-4}$ from $\theta_0 = (-1, 1.5)$, with $\dot\theta_0 = -0.1\,\nabla J(\theta_0)$, wide;
and the solution of g-DIN from the same start, by integration from kink to kink, dashed.
Circle: start; dot: where INNA is at $t = 10$; star: minimiser.
Below, how far the two are apart along time, for this step, with the same colour, and for
ten times and a tenth of it: it is proportional to $\gamma$ up to the first kink, and of the
order of $\gamma$ after it. Grey: the solution crosses a kink; grey and dotted: it begins to
slide along one.

Source: C. Castera, J. Bolte, C. Fevotte, E. Pauwels, INNA poster (camcastera.github.io,
images/INNA_poster.pdf), whose curves have these iterates as vertices; function and order
of the runs: C. Castera, talk (Dalat, 2023). The distances are measured here.
"""

import pathlib
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dynsys as ds
from dynsys.algorithms import INNAPath, inna_path
from scripts.command_line import run
from scripts.din_rosenbrock import LIMITS, RUNS, SPEED, START, simulate
from scripts.measured import listed, power, write_measured

NAME = "inna_rosenbrock"
END, STEP = 10.0, 1e-4
STEPS = (1e-3, STEP, 1e-5)
DOTS = (0, (1, 1))
LOOKS = ((0.9, "#0072B2", (0, (5, 2))), (1.1, "#E69F00", "-"), (0.9, "#009E73", DOTS))
VALLEY = ds.objectives.NonsmoothRosenbrock()


class Pair(NamedTuple):
    """A solution of the inclusion, and the iterates at the same times for each step."""

    flow: ds.Trajectory
    paths: tuple[INNAPath, ...]

    def distances(self, index: int) -> np.ndarray:
        """How far the iterates with that step are from the solution, along time."""
        gaps = np.asarray(self.paths[index].theta) - np.asarray(self.flow.x)
        return np.linalg.norm(gaps, axis=1)

    def when(self, kind: int) -> np.ndarray:
        """When the solution crosses a kink (0), begins to slide (1) or stops to (2)."""
        events = self.flow.events
        return np.asarray(events.t)[np.asarray(events.kind) == kind]

    def crossings(self) -> np.ndarray:
        """When the solution crosses a kink."""
        return self.when(0)


def follow(alpha: float, beta: float, times: int, steps: tuple[float, ...] = STEPS) -> Pair:
    """The solution, and INNA with each step size."""
    system = ds.GDIN(VALLEY, alpha, beta)
    paths = []
    for gamma in steps:
        every = round(END / gamma / (times - 1))
        count = every * (times - 1)
        paths.append(inna_path(system, START, gamma, count, start=SPEED, every=every))
    return Pair(simulate(alpha, beta, times), tuple(paths))


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `inna_rosenbrock.pdf`, `.png` and `.md` into the folder `output`."""
    times = 201 if quick else 2001
    pairs = [follow(alpha, beta, times) for _, alpha, beta in RUNS]
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 4.4), layout="constrained")
        axes = figure.subplots(2, 3, sharex="row", sharey="row")
        for above, below, pair, one in zip(*axes, pairs, RUNS, strict=True):
            _draw_paths(above, pair, 100 if quick else 400)
            above.set_title(rf"{one[0]}: $\alpha={one[1]}$, $\beta={one[2]}$")
            _draw_distances(below, pair)
        axes[0, 0].set_ylabel(r"$\theta_2$")
        axes[1, 0].set_ylabel(r"$\|\theta_k - \theta(\gamma k)\|$")
        frame: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "frameon": True}
        axes[0, 2].legend(loc="upper center", handlelength=1.6, framealpha=1, **frame)
        # Between two crossings, so that the lines of the slides are seen.
        frame["bbox_to_anchor"] = (0.39, 1.0)
        axes[1, 2].legend(loc="upper left", handlelength=1.8, framealpha=1, **frame)
    ds.plots.save(figure, output / NAME)
    write_measured(output, NAME, numbers(pairs))


def numbers(pairs: list[Pair]) -> str:
    """How far apart they are, when kinks are crossed, and how far the minimiser is."""
    far = [pair.distances(1) for pair in pairs]
    largest = listed(f"${power(one.max())}$" for one in far)
    first = [np.asarray(pair.flow.t) < pair.crossings()[0] for pair in pairs]
    before = listed(
        f"${power(one[early].max())}$" for one, early in zip(far, first, strict=True)
    )
    times = "; ".join(listed(f"{t:.3f}" for t in pair.crossings()) for pair in pairs)
    (begin, last), (stop,) = pairs[-1].when(1), pairs[-1].when(2)
    ends = listed(
        f"${power(float(np.linalg.norm(pair.paths[1].theta[-1] - 1.0)))}$" for pair in pairs
    )
    return (
        f"from left to right, with $\\gamma=10^{{-4}}$, the two are at most {before} apart "
        f"up to the first kink and {largest} in all. The solutions cross kinks at $t =$ "
        f"{times}. The last slides from {begin:.4f} to {stop:.4f}, and for good from "
        f"{last:.4f} on. At $t = 10$ INNA is {ends} from $(1, 1)$."
    )


def _draw_paths(axes: Axes, pair: Pair, resolution: int) -> None:
    """The iterates, and the solution on top of them."""
    ds.plots.level_lines(VALLEY, limits=LIMITS, resolution=resolution, ax=axes)
    # In grey, INNA must not be taken for a level line.
    for lines in axes.collections:
        lines.set_alpha(0.45)
    path = np.asarray(pair.paths[1].theta)
    axes.plot(*path.T, color="#E69F00", linewidth=3.2, label=r"INNA, $\gamma=10^{-4}$")
    look = ds.plots.look(pair.flow.system)
    flow = np.asarray(pair.flow.x)
    style = {"color": "#000000", "linewidth": 0.9, "linestyle": (0, (3, 2))}
    axes.plot(*flow.T, label=look.label, **style)
    mark = {"color": "white", "markeredgecolor": "black", "markeredgewidth": 0.8}
    axes.plot(*START, "o", markersize=5, **mark)
    axes.plot(*path[-1], "o", color="#000000", markersize=3, zorder=4)
    axes.set(xlabel=r"$\theta_1$", ylabel="")


def _draw_distances(axes: Axes, pair: Pair) -> None:
    """The distance along time for each step, with what happens at kinks."""
    for kind, linestyle in ((0, "-"), (1, DOTS)):
        for time in pair.when(kind):
            axes.axvline(time, color="0.7", linestyle=linestyle, linewidth=0.8, zorder=0)
    for index, (width, color, style) in enumerate(LOOKS):
        exponent = round(np.log10(STEPS[index]))
        axes.plot(
            pair.flow.t[1:],
            pair.distances(index)[1:],
            color=color,
            linestyle=style,
            linewidth=width,
            label=rf"$\gamma=10^{{{exponent}}}$",
        )
    axes.set(xlabel="$t$", yscale="log", xlim=(0, END), ylim=(1e-7, 3e-1))


if __name__ == "__main__":
    run(inna_rosenbrock=main)

r"""The distance of VM-DIN-AVD to continuous Newton, and what is proved of it.

The theorem of the talk on masses that vanish in time: the distance to continuous Newton is
at most $C_0e^{-t/\beta}\varepsilon_0\|\dot x_0\| + C_1\sqrt{\varepsilon(t)}
+ C_2\int_0^te^{(s-t)/\beta}\sqrt{\varepsilon(s)}\,ds$, with the same constants for all
masses. Here $\varepsilon_0$ runs from 1 to 1e-8, and the constants are explicit. Above, the
theorem; below, a bound that is linear in $\varepsilon$, for a first velocity that does not
grow as the mass falls.

The function is $f(x) = \sum_i(\frac12c_ix_i^2 + \log\cosh x_i)$ with $c = (1, 4)$, and
$\beta = 1$, start $(1.5, -1)$ with velocity $(1, 1)$, $t \in [0, 8]$. Left
a constant mass, right $\varepsilon = \varepsilon_0e^{-t}$, both with
$\alpha = \varepsilon$.

Source: Castera, Attouch, Fadili, Ochs (2023), arXiv 2301.08726, as stated in the talk. The
constants, the linear bound, function and schedules are from here.
"""

import pathlib
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

import dynsys as ds
from dynsys.analysis.newton.distance import newton_distance
from scripts.command_line import run
from scripts.measured import power, write_measured

NAME = "newton_bound"
START, VELOCITY = (1.5, -1.0), (1.0, 1.0)
CURVATURE, BETA, END = (1.0, 4.0), 1.0, 8.0
MASSES = (1.0, 1e-2, 1e-4, 1e-6, 1e-8)
COLORS = tuple(mpl.colormaps["viridis"](shade) for shade in (0.0, 0.25, 0.47, 0.68, 0.86))
DASHED = (0, (4, 1.5))
NOTE = (
    r"$f(x)=\sum_i\,(c_ix_i^2/2+\log\cosh x_i)$, $c=(1,4)$; $\alpha=\varepsilon$, "
    r"$\beta=1$, $\dot x_0=(1,1)$. Function and schedules are chosen here."
)


class Case(NamedTuple):
    """One column of the figure: how the mass vanishes."""

    title: str
    rate: float


# Rate 0 instead of `Constant`, so that both share one compiled program.
CASES = (
    Case(r"$\varepsilon(t)=\varepsilon_0$", 0.0),
    Case(r"$\varepsilon(t)=\varepsilon_0\,e^{-t}$", 1.0),
)
ROWS = {
    "theorem": r"Theorem: order $\sqrt{\varepsilon}$",
    "linear": r"For bounded velocity: order $\varepsilon$",
}
"""The bound of each row, and its label."""


def distances(case: Case, times: int) -> dict[str, list[ds.analysis.Bound]]:
    """The distance with each bound, one a mass."""
    f = ds.objectives.LogCosh(CURVATURE, weight=1.0)
    flow = ds.ContinuousNewton(f, beta=BETA)
    newton = ds.integrators.newton_path(flow, START, t1=END, times=times)
    paths = []
    for mass in MASSES:
        schedule = ds.schedules.Exponential(mass, case.rate)
        system = ds.VMDINAVD(f, schedule, schedule, BETA, hessian_free=False)
        options = {"t1": END, "times": times, "rtol": 1e-11, "atol": 1e-14}
        paths.append(ds.simulate(system, START, VELOCITY, **options))
    return {
        name: [newton_distance(path, newton, bound=name) for path in paths] for name in ROWS
    }


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `newton_bound.pdf` and `.png` into the folder `output`."""
    times = 101 if quick else 801
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 4.8), layout="constrained")
        axes = figure.subplots(2, 2, sharex=True, sharey=True)
        solved = [distances(case, times) for case in CASES]
        for column, case, found in zip(axes.T, CASES, solved, strict=True):
            column[0].set_title(case.title)
            for ax, name in zip(column, ROWS, strict=True):
                draw(ax, found[name])
        for ax, label in zip(axes[:, 0], ROWS.values(), strict=True):
            ax.set_ylabel(r"$\|x-x_N\|$" + "\n" + label)
        for ax in axes[1]:
            ax.set_xlabel("$t$")
        add_legend(figure)
        figure.supxlabel(NOTE, fontsize=8, color="0.3")
    ds.plots.save(figure, output / NAME)
    write_measured(output, NAME, numbers(solved))


def numbers(solved: list[dict[str, list[ds.analysis.Bound]]]) -> str:
    """Largest distances and ratios over both columns, for the first and the last mass."""
    largest, theorem = (
        [max(measure(found["theorem"][i]) for found in solved) for i in (0, -1)]
        for measure in (lambda one: one.measured.max(), lambda one: one.tightness)
    )
    linear = [one.tightness for found in solved for one in found["linear"]]
    every = all(one.holds for found in solved for row in found.values() for one in row)
    verdict = "every bound holds" if every else "not every bound holds"
    return (
        f"{verdict}. From $\\varepsilon_0 = 1$ "
        f"to $10^{{-8}}$ the largest distance falls from {largest[0]:.2f} to "
        f"${power(largest[1])}$ and its ratio to the "
        f"bound of the theorem from {theorem[0]:.2f} to ${power(theorem[1])}$. To the "
        f"bound that is linear in $\\varepsilon$ it stays between {min(linear):.2f} and "
        f"{max(linear):.2f}."
    )


def draw(ax: Axes, found: list[ds.analysis.Bound]) -> None:
    """Distances and bounds of all masses."""
    for one, color in zip(found, COLORS, strict=True):
        ax.plot(one.t, np.where(one.measured > 0, one.measured, np.nan), color=color)
        ax.plot(one.t, one.bound, color=color, linestyle=DASHED, linewidth=0.9)
    ax.set(yscale="log", xlim=(0, END), ylim=(1e-12, 30))


def add_legend(figure: Figure) -> None:
    """A colour for each mass, a line style for what is drawn."""
    exponents = [round(np.log10(mass)) for mass in MASSES]
    masses = [
        Line2D([], [], color=color, linewidth=3, label=mass_label(exponent))
        for color, exponent in zip(COLORS, exponents, strict=True)
    ]
    kinds = [
        Line2D([], [], color="0.3", label="distance"),
        Line2D([], [], color="0.3", linestyle=DASHED, label="proved bound"),
    ]
    layout = {"ncols": 7, "columnspacing": 1.4, "handlelength": 2.0}
    figure.legend(handles=[*masses, *kinds], loc="outside upper center", **layout)


def mass_label(exponent: int) -> str:
    """The first mass, as a power of 10."""
    return rf"$\varepsilon_0=10^{{{exponent}}}$" if exponent else r"$\varepsilon_0=1$"


if __name__ == "__main__":
    run(newton_bound=main)

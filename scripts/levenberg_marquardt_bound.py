r"""VM-DIN-AVD with a damping that stays: its distance to the Levenberg-Marquardt flow.

Where the mass vanishes and the viscous damping $\alpha$ does not vanish with it, VM-DIN-AVD
follows the Levenberg-Marquardt flow $x_{LM}$ and not continuous Newton $x_N$. Drawn are the
distance to $x_{LM}$, a proved bound of it, and the distance of the two flows, for
$\varepsilon_0$ from 1 to 1e-8.

The function is $f(x) = \sum_i(\frac12c_ix_i^2 + \log\cosh x_i)$ with $c = (1, 4)$, and
$\beta = 1$, start $(1.5, -1)$ with velocity $(1, 1)$, $t \in [0, 8]$, and
$\varepsilon = \varepsilon_0e^{-t}$. Left $\alpha = 1/2$, right $\alpha = e^{-t/2}$.

Source: the bound is derived in dynsys; the talk says that the case is covered by Castera,
Attouch, Fadili, Ochs (2023), arXiv 2301.08726. Function and schedules are chosen here.
"""

import pathlib
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dynsys as ds
from dynsys.analysis.newton.levenberg_marquardt_distance import levenberg_marquardt_distance
from scripts.command_line import run
from scripts.measured import listed, power, write_measured
from scripts.newton_bound import (
    BETA,
    CURVATURE,
    END,
    MASSES,
    START,
    VELOCITY,
    add_legend,
    draw,
)

NAME = "levenberg_marquardt_bound"
NOTE = (
    r"$f(x)=\sum_i\,(c_ix_i^2/2+\log\cosh x_i)$, $c=(1,4)$; "
    r"$\varepsilon(t)=\varepsilon_0\,e^{-t}$, $\beta=1$, $\dot x_0=(1,1)$."
)


class Case(NamedTuple):
    """One column of the figure: the damping."""

    title: str
    alpha: ds.schedules.Exponential


# Rate 0 instead of `Constant`, so that both share one compiled program.
CASES = (
    Case(r"$\alpha=1/2$", ds.schedules.Exponential(0.5, 0.0)),
    Case(r"$\alpha(t)=e^{-t/2}$", ds.schedules.Exponential(1.0, 0.5)),
)


class Found(NamedTuple):
    """The distances of one column: one a mass, and that of the two flows."""

    distances: list[ds.analysis.Bound]
    flows: np.ndarray


def solve(case: Case, times: int) -> Found:
    """The distances for one damping."""
    f = ds.objectives.LogCosh(CURVATURE, weight=1.0)
    options = {"t1": END, "times": times, "rtol": 1e-11, "atol": 1e-14}
    none = ds.schedules.Exponential(0.0, 0.0)
    flow, newton = (
        ds.simulate(ds.LevenbergMarquardt(f, alpha, BETA), START, **options)
        for alpha in (case.alpha, none)
    )
    found = []
    for mass in MASSES:
        epsilon = ds.schedules.Exponential(mass, 1.0)
        system = ds.VMDINAVD(f, epsilon, case.alpha, BETA, hessian_free=False)
        path = ds.simulate(system, START, VELOCITY, **options)
        found.append(levenberg_marquardt_distance(path, flow))
    return Found(found, np.linalg.norm(flow.x - newton.x, axis=1))


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `levenberg_marquardt_bound.pdf` and `.png` into the folder `output`."""
    times = 101 if quick else 801
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 3.4), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        solved = [solve(case, times) for case in CASES]
        for ax, case, found in zip(axes, CASES, solved, strict=True):
            draw_case(ax, found, case.title)
        axes[0].legend(loc="lower left")
        axes[0].set_ylabel(r"$\|x-x_{LM}\|$")
        add_legend(figure)
        figure.supxlabel(NOTE, fontsize=8, color="0.3")
    ds.plots.save(figure, output / NAME)
    write_measured(output, NAME, numbers(solved))


def numbers(solved: list[Found]) -> str:
    """What is largest in each column, for the smallest mass, and the largest ratio."""
    every = [one for found in solved for one in found.distances]
    far = listed(f"${power(found.distances[-1].measured.max())}$" for found in solved)
    flows = listed(f"{found.flows.max():.2f}" for found in solved)
    all_hold = all(one.holds for one in every)
    return (
        f"{'every bound holds' if all_hold else 'not every bound holds'}, "
        f"at a ratio of at most {max(one.tightness for one in every):.2f}. At "
        f"$\\varepsilon_0 = 10^{{-8}}$ the largest distance is {far}, while the flow "
        f"itself is up to {flows} from continuous Newton."
    )


def draw_case(ax: Axes, found: Found, title: str) -> None:
    """Distances, bounds, and how far the two flows are apart."""
    draw(ax, found.distances)
    flows = np.where(found.flows > 0, found.flows, np.nan)
    look = {"color": "0.75", "linewidth": 4, "zorder": 0}
    ax.plot(found.distances[0].t, flows, label=r"$\|x_{LM}-x_N\|$", **look)
    ax.set(title=title, xlabel="$t$")


if __name__ == "__main__":
    run(levenberg_marquardt_bound=main)

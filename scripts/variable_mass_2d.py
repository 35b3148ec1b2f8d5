r"""VM-DIN-AVD on a quadratic: mass and damping decide whom it follows.

The control perspective of the talk. One function, one start, three pairs of mass and
viscous damping, and as fixed references continuous Newton (CN), Levenberg-Marquardt (LM)
and DIN. Where the mass vanishes and $\varepsilon(t) \ge \alpha(t)$, the solution follows
CN; where the mass vanishes and the damping stays, LM; with mass 1, it is DIN.

The function is $f(x) = \frac12\langle Ax, x\rangle$, with eigenvalues 0.5 and 5 of $A$ and
eigenvectors turned by 30 degrees; $\beta = 0.5$, and $\alpha = 0.5$ in LM and DIN. Start
$(-2, 1.5)$, at rest, $t \in [0, 8]$.

Source: C. Castera, talk (Dalat, 2023), "Illustration: a control perspective", and
arXiv 2301.08726. Function, schedules and start of the original are unknown; these are
chosen here.
"""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import dynsys as ds
from dynsys.systems import AbstractSystem
from scripts.command_line import run

NAME = "variable_mass_2d"
START = (-2.0, 1.5)
END = 8.0
BETA = 0.5
DAMPING = 0.5
NOTE = (
    r"Quadratic $f$ with eigenvalues 0.5 and 5; $\beta=0.5$; LM and DIN have $\alpha=0.5$. "
    "Function and schedules are chosen here."
)


class Case(NamedTuple):
    """One column of the figure: whom the solution follows, its mass and its damping."""

    title: str
    epsilon: ds.schedules.Exponential
    alpha: ds.schedules.Exponential
    formula: str


VANISHING = ds.schedules.Exponential(0.02, rate=1.0)
# Rate 0 instead of `Constant`, so that all three share one compiled program.
STAYING = ds.schedules.Exponential(DAMPING, rate=0.0)
ONE = ds.schedules.Exponential(1.0, rate=0.0)
CASES = (
    Case("Approaches CN", VANISHING, VANISHING, r"$\varepsilon=\alpha=0.02\,e^{-t}$"),
    Case("Follows LM", VANISHING, STAYING, r"$\varepsilon=0.02\,e^{-t}$, $\alpha=0.5$"),
    Case("Is DIN", ONE, STAYING, r"$\varepsilon=1$, $\alpha=0.5$"),
)


def quadratic() -> ds.objectives.Quadratic:
    """Quadratic with eigenvalues 0.5 and 5, turned by 30 degrees."""
    angle = jnp.pi / 6
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turn = jnp.array([[cos, -sin], [sin, cos]])
    return ds.objectives.Quadratic(turn @ jnp.diag(jnp.array([0.5, 5.0])) @ turn.T)


def simulate(system: AbstractSystem, times: int) -> ds.Trajectory:
    """One path of the figure, accurate to far below the distances drawn."""
    return ds.simulate(system, START, t1=END, times=times, rtol=1e-9, atol=1e-12)


def solve_references(times: int) -> list[ds.Trajectory]:
    """CN, LM and DIN."""
    f = quadratic()
    return [
        simulate(ds.ContinuousNewton(f, beta=BETA), times),
        simulate(ds.LevenbergMarquardt(f, alpha=DAMPING, beta=BETA), times),
        simulate(ds.DIN(f, alpha=DAMPING, beta=BETA), times),
    ]


def solve_cases(times: int) -> list[ds.Trajectory]:
    """VM-DIN-AVD, once a column."""
    f = quadratic()
    return [simulate(ds.VMDINAVD(f, c.epsilon, c.alpha, BETA), times) for c in CASES]


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `variable_mass_2d.pdf` and `.png` into the folder `output`."""
    times = 101 if quick else 1001
    references, paths = solve_references(times), solve_cases(times)
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 4.6), layout="constrained")
        axes = figure.subplots(2, 3, sharex="row", sharey="row")
        for column, case, path in zip(axes.T, CASES, paths, strict=True):
            draw_column(column, case, path, references)
        for ax in axes[:, 1:].flat:
            ax.set_ylabel("")
        axes[1, 2].legend(loc="lower left")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4)
        figure.supxlabel(NOTE, fontsize=8, color="0.3")
    ds.plots.save(figure, output / NAME)


def draw_column(
    column: np.ndarray,
    case: Case,
    path: ds.Trajectory,
    references: Sequence[ds.Trajectory],
) -> None:
    """Paths above, distances to CN and LM below."""
    above, below = column
    looks = [ds.plots.look(one.system) for one in (*references, path)]
    # The path is wide and below, so that both show where it agrees with a reference.
    ds.plots.level_lines(
        path.system.objective,
        path,
        *references,
        looks=[looks[-1]._replace(linewidth=3.2), *looks[:-1]],
        mark_ends=False,
        legend=False,
        ax=above,
    )
    above.set_title(f"{case.title}: {case.formula}")
    for reference, look, name in zip(references[:2], looks[:2], ("CN", "LM"), strict=True):
        ds.plots.distance_along_time(
            path, reference=reference, looks=[look], labels=[f"to {name}"], ax=below
        )
    below.set(ylabel="Distance of VM-DIN-AVD", ylim=(1e-6, 3), xlim=(0, END))


if __name__ == "__main__":
    run(variable_mass_2d=main)

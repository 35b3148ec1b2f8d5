"""Run the benchmarks: `python -m scripts.benchmarks [--output .]`."""

import argparse
import pathlib
from collections.abc import Sequence

import diffrax
import jax
import numpy as np

import dynsys as ds
from scripts.benchmarks import contestants as who
from scripts.benchmarks import logistic, page
from scripts.benchmarks.latency import first_calls, overhead
from scripts.benchmarks.small_problems import (
    END,
    OUTPUTS,
    Problem,
    bowl,
    rosenbrock_gdin,
    variable_mass,
)
from scripts.benchmarks.timing import race
from scripts.benchmarks.work_precision import Ladder, climb, draw

RTOL, ATOL = 1e-6, 1e-9
MASSES = (1.0, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10)
DIMENSIONS = (2, 8, 32, 128, 512)
ROUNDS, FEW_ROUNDS = 101, 11


def main() -> None:
    """Run every race, and write the page and its figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path(),
        help="root with docs, figures",
    )
    root = parser.parse_args().output
    docs, figures = root / "docs", root / "figures"
    for folder in (docs, figures):
        folder.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_enable_x64", True)
    stiff, other = variable_mass(1e-4), rosenbrock_gdin()
    implicit, explicit = diffrax.Kvaerno5(), diffrax.Tsit5()
    ladders = [
        _climb(stiff, _contestants(stiff, implicit)),
        _climb(other, [*_contestants(other, explicit), who.taylor(other)]),
    ]
    draw(ladders, figures / "work_precision")
    sections = [page.head(), *map(_race, ladders), _tolerances()]
    sections += [_masses(), _dimensions(), _logistic(), _latency(stiff)]
    (docs / "benchmarks.md").write_text("\n".join(sections))
    print(docs / "benchmarks.md")


def _contestants(problem: Problem, solver: diffrax.AbstractSolver) -> list[who.Maker]:
    return [
        who.dynsys(problem),
        who.plain_diffrax(problem, solver),
        who.lsoda(problem, compiled=False),
        who.lsoda(problem, compiled=True),
        who.cvode(problem),
    ]


def _climb(problem: Problem, makers: Sequence[who.Maker]) -> Ladder:
    return climb(problem.name, makers, who.reference(problem), FEW_ROUNDS)


def _race(ladder: Ladder) -> str:
    """All at the tolerance of the target, and all at the error of `dynsys`."""
    same = race([make(RTOL, ATOL) for make in ladder.makers], ladder.reference, ROUNDS)
    chosen = ladder.equals(same[0].error)
    equal = race([ladder.makers[0](RTOL, ATOL), *chosen[1:]], ladder.reference, ROUNDS)
    text = (
        f"rtol = {RTOL:g}, atol = {ATOL:g}, {OUTPUTS} outputs up to $t = {END:g}$, "
        f"{ROUNDS} rounds. The last two columns race each contestant at its loosest "
        f"tolerance (of a ladder by factors of $\\sqrt{{10}}$) whose error is at most that "
        f"of `dynsys`."
    )
    return page.section(ladder.name, text, page.race_table(same, equal))


def _tolerances() -> str:
    text = (
        "Both problems over tolerances from 1e-3 to 1e-9: down and to the left is better."
        "\n\n![Time against error of every contestant](figures/work_precision.png)"
    )
    return page.section("Work and precision", text)


def _masses() -> str:
    """How the number of steps depends on the mass."""
    rows = []
    for mass in MASSES:
        problem = variable_mass(mass)
        x0, v0 = problem.start
        run = ds.simulate(problem.system, x0, v0, t1=END, rtol=RTOL, atol=ATOL)
        rows.append([f"{mass:g}", run.stats.steps, run.stats.rejected])
    return page.section(
        "VM-DIN-AVD, from a large to a tiny mass",
        r"Steps of the default solver as $\varepsilon(0)$ goes to 0.",
        page.table(["mass", "steps", "rejected"], rows),
    )


def _dimensions() -> str:
    """Default solver against others, by dimension."""
    rows = []
    for dimension in DIMENSIONS:
        problem = bowl(dimension)
        makers = [
            who.dynsys(problem),
            who.plain_diffrax(problem, diffrax.Tsit5()),
            who.plain_diffrax(problem, diffrax.Kvaerno5()),
            who.lsoda(problem, compiled=True),
        ]
        timings = race(
            [make(RTOL, ATOL) for make in makers], who.reference(problem), FEW_ROUNDS
        )
        x0, v0 = problem.start
        run = ds.simulate(problem.system, x0, v0, t1=END, rtol=RTOL, atol=ATOL)
        ratios = [f"{timing.ratio:.2f}" for timing in timings[1:]]
        worst = f"{max(timing.error for timing in timings[1:]):.1e}"
        time, error = f"{1e3 * timings[0].seconds:.2f}", f"{timings[0].error:.1e}"
        rows.append([dimension, run.stats.solver, time, error, *ratios, worst])
    columns = ["dimension", "solver picked", "time in ms", "error", "Tsit5", "Kvaerno5"]
    columns += ["LSODA, numba", "largest error of the three"]
    return page.section(
        "DIN by dimension",
        f"A convex function of condition 1000, rtol = {RTOL:g}; ratios of diffrax's Tsit5 "
        f"and Kvaerno5 and of SciPy's LSODA.",
        page.table(columns, rows),
    )


def _logistic() -> str:
    problem = logistic.Logistic()
    reference: np.ndarray = logistic.reference(problem)
    timings = race(logistic.contestants(RTOL, ATOL), reference, rounds=3)
    return page.section(
        logistic.NAME,
        f"{logistic.DIMENSION} weights, {logistic.SAMPLES} samples, condition 1e4 at the "
        f"start, $T = 10$, rtol = {RTOL:g}, 3 rounds. `dynsys` picks Tsit5 here, so no "
        f"matrix is formed.",
        page.plain_table(timings),
    )


def _latency(problem: Problem) -> str:
    cost = overhead(problem, RTOL, ATOL, ROUNDS)
    return page.section(
        "What a call costs",
        f"{problem.name}, in two dimensions.",
        page.latency_tables(cost, *first_calls(5)),
    )


if __name__ == "__main__":
    main()

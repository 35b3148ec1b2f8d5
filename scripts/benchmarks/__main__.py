"""Run the benchmarks: `python -m scripts.benchmarks [--output .]`."""

import argparse
import itertools
import pathlib
from collections.abc import Sequence

import diffrax
import jax
import numpy as np

import dynsys as ds
from dynsys.integrators import Rodas5P
from scripts.benchmarks import contestants as who
from scripts.benchmarks import (
    ensembles,
    first_calls,
    gpu,
    latency,
    logistic,
    networks,
    optimisers,
    page,
    scaling,
)
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
DIMENSIONS = (2, 8, 32, 64, 128, 512)
STIFF_DIMENSIONS, CONDITIONS = (8, 64, 512), (10.0, 1e3, 1e5)
ROUNDS, FEW_ROUNDS, FEWEST_ROUNDS = 101, 11, 3


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
    jax.config.update("jax_platforms", "cpu")
    stiff, other = variable_mass(1e-4), rosenbrock_gdin()
    implicit, explicit = diffrax.Kvaerno5(), diffrax.Tsit5()
    ladders = [
        _climb(stiff, _contestants(stiff, implicit)),
        _climb(other, [*_contestants(other, explicit), who.taylor(other)]),
    ]
    draw(ladders, figures / "work_precision")
    sections = [page.head(), *map(_race, ladders), _tolerances()]
    sections += [_masses(), _dimensions(), _choice(), _logistic(), _latency(stiff)]
    sections += [first_calls.section()]
    sections += [ensembles.smooth(), ensembles.inclusions(), scaling.section()]
    sections += [scaling.memory(), ensembles.by_dimension(), networks.section()]
    sections += [optimisers.section(), gpu.section()]
    (docs / "benchmarks.md").write_text("\n".join(sections))
    print(docs / "benchmarks.md")


def _contestants(problem: Problem, solver: diffrax.AbstractSolver) -> list[who.Maker]:
    return [
        who.dynsys(problem),
        who.plain_diffrax(problem, solver),
        who.lsoda(problem),
        who.odeint(problem),
        who.cvode(problem),
    ]


def _climb(problem: Problem, makers: Sequence[who.Maker]) -> Ladder:
    return climb(problem.name, makers, who.reference(problem), FEW_ROUNDS)


def _race(ladder: Ladder) -> str:
    """All at the tolerance of the target, and all at the error of `dynsys`."""
    same = race([make(RTOL, ATOL) for make in ladder.makers], ladder.reference, ROUNDS)
    chosen = ladder.equals(same[0].error)
    chosen = [ladder.makers[0](RTOL, ATOL), *filter(None, chosen[1:])]
    equal = race(chosen, ladder.reference, ROUNDS)
    text = (
        f"rtol = {RTOL:g}, atol = {ATOL:g}, {OUTPUTS} outputs up to $t = {END:g}$, "
        f"{ROUNDS} rounds. The last two columns race each contestant at its loosest "
        f"tolerance (of a ladder with four steps a decade) whose error is at most that of "
        f"`dynsys`."
    )
    return page.section(ladder.name, text, page.race_table(same, equal))


def _tolerances() -> str:
    text = (
        "Both problems over tolerances from 1e-3 to 1e-9, with a marker each decade. "
        "Lower, and further to the left, is better."
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
    """Both solvers that `simulate` picks from, against others, by dimension."""
    rows = []
    for dimension in DIMENSIONS:
        problem = bowl(dimension)
        makers = [
            who.dynsys(problem),
            who.dynsys(problem, Rodas5P()),
            who.dynsys(problem, diffrax.Tsit5()),
            who.plain_diffrax(problem, diffrax.Tsit5()),
            who.odeint(problem),
        ]
        racing = [make(RTOL, ATOL) for make in makers]
        timings = race(racing, who.reference(problem), FEW_ROUNDS)
        x0, v0 = problem.start
        run = ds.simulate(problem.system, x0, v0, t1=END, rtol=RTOL, atol=ATOL)
        time, ratios = f"{1e3 * timings[0].seconds:.2f}", [t.ratio for t in timings[1:]]
        errors = [f"{timings[i].error:.1e}" for i in (0, 3, 4)]
        rows.append(
            [dimension, run.stats.solver, time, *(f"{r:.2f}" for r in ratios), *errors]
        )
    columns = ["dimension", "picked", "time in ms", "with Rodas5P", "with Tsit5"]
    columns += ["diffrax Tsit5", "odeint, numba", "error", "of diffrax", "of odeint"]
    return page.section(
        "DIN by dimension",
        f"A convex function of condition 1000, rtol = {RTOL:g}: the time of `dynsys`, "
        f"ratios of it with either solver, of diffrax and of SciPy, and errors. The state "
        f"has twice the dimension.",
        page.with_losses(columns, rows, ratios=range(3, 7)),
    )


def _choice() -> str:
    """What is picked where a problem is stiff, and what either solver would have taken."""
    rows = []
    for dimension, condition in itertools.product(STIFF_DIMENSIONS, CONDITIONS):
        problem = bowl(dimension, condition)
        makers = [
            who.dynsys(problem),
            who.dynsys(problem, Rodas5P()),
            who.dynsys(problem, diffrax.Tsit5()),
        ]
        racing = [make(RTOL, ATOL) for make in makers]
        timings = race(racing, who.reference(problem), FEWEST_ROUNDS)
        x0, v0 = problem.start
        run = ds.simulate(problem.system, x0, v0, t1=END, rtol=RTOL, atol=ATOL)
        time, ratios = f"{1e3 * timings[0].seconds:.2f}", [t.ratio for t in timings[1:]]
        rows.append(
            [dimension, f"{condition:g}", run.stats.solver, time]
            + [f"{r:.2f}" for r in ratios]
        )
    columns = ["dimension", "condition", "picked", "time in ms", "Rodas5P", "Tsit5"]
    return page.section(
        "Explicit or implicit steps",
        f"The same functions from well to badly conditioned, {FEWEST_ROUNDS} rounds: the "
        f"time with the solver that is picked by the fastest rate at the start, and ratios "
        f"of it with either one forced.",
        page.table(columns, rows),
    )


def _logistic() -> str:
    problem = logistic.Logistic()
    reference: np.ndarray = logistic.reference(problem)
    timings = race(logistic.contestants(RTOL, ATOL), reference, rounds=3)
    return page.section(
        logistic.NAME,
        f"{logistic.DIMENSION} weights, {logistic.SAMPLES} samples, $T = 10$, rtol = "
        f"{RTOL:g}, 3 rounds. Eigenvalues of the Hessian go from 1 to 1e4 at the start, "
        f"and to about 2,000 further on. `dynsys` picks Tsit5: no matrix is formed.",
        page.plain_table(timings),
    )


def _latency(problem: Problem) -> str:
    cost = latency.overhead(problem, RTOL, ATOL, ROUNDS)
    return page.section(
        "What a call costs",
        f"{problem.name}, in two dimensions.",
        page.latency_tables(cost, *latency.first_calls(5)),
    )


if __name__ == "__main__":
    main()

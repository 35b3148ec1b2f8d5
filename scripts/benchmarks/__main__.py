"""Run the benchmarks: `python -m scripts.benchmarks [--output docs/benchmarks.md]`."""

import argparse
import importlib.metadata
import os
import pathlib
import platform

import diffrax
import jax

import dynsys as ds
from scripts.benchmarks import contestants as who
from scripts.benchmarks.small_problems import (
    END,
    OUTPUTS,
    Problem,
    rosenbrock_gdin,
    variable_mass,
)
from scripts.benchmarks.timing import Timing, race

RTOL, ATOL = 1e-6, 1e-9
MASSES = (1.0, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10)
PACKAGES = ("jax", "diffrax", "scipy", "scikit-sundae", "heyoka", "numba", "numpy")

HEAD = """# Benchmarks

Measured by `make benchmarks`, which writes this page anew. All contestants solve the same
problem in 64 bits at the same requested tolerances, rtol = {rtol:g} and atol = {atol:g},
with {outputs} outputs up to $t = 20$, and are timed in turn, one warm call each a round, so
that noise hits all of them. A ratio is the median over {rounds} rounds of the time of a
contestant over that of `dynsys.simulate` in the same round: above 1 it is slower. The
error is the largest of the positions at the outputs, against SciPy's Radau at 1e-12.

Machine: {cores} cores, {machine}, Python {python}; {packages}.
"""


def main() -> None:
    """Run every race and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path("docs/benchmarks.md")
    )
    parser.add_argument("--rounds", type=int, default=101)
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    rounds = arguments.rounds
    stiff, other = variable_mass(1e-4), rosenbrock_gdin()
    for_stiff = _contestants(stiff, diffrax.Kvaerno5())
    for_other = [*_contestants(other, diffrax.Tsit5()), who.taylor(other, RTOL)]
    parts = [
        _head(rounds),
        _section(stiff, race(for_stiff, who.reference(stiff), rounds)),
        _section(other, race(for_other, who.reference(other), rounds)),
        _masses(),
    ]
    arguments.output.write_text("\n".join(parts))
    print(arguments.output)


def _contestants(problem: Problem, solver: diffrax.AbstractSolver) -> list[who.Contestant]:
    return [
        who.dynsys(problem, RTOL, ATOL),
        who.plain_diffrax(problem, solver, RTOL, ATOL),
        who.lsoda(problem, RTOL, ATOL, compiled=False),
        who.lsoda(problem, RTOL, ATOL, compiled=True),
        who.cvode(problem, RTOL, ATOL),
    ]


def _head(rounds: int) -> str:
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return HEAD.format(
        rtol=RTOL,
        atol=ATOL,
        outputs=OUTPUTS,
        rounds=rounds,
        cores=os.cpu_count(),
        machine=platform.machine(),
        python=platform.python_version(),
        packages=", ".join(versions),
    )


def _section(problem: Problem, timings: list[Timing]) -> str:
    rows = [
        f"| {timing.name} | {1e3 * timing.seconds:.2f} | {timing.ratio:.2f} | "
        f"{timing.error:.1e} |"
        for timing in timings
    ]
    slower = [timing.name for timing in timings if timing.ratio < 1]
    verdict = f"Faster than `dynsys` here: {', '.join(slower)}." if slower else ""
    lines = [
        f"## {problem.name}\n",
        "| contestant | time in ms | ratio | error |",
        "|---|---|---|---|",
        *rows,
        "",
        verdict,
    ]
    return "\n".join(lines).rstrip() + "\n"


def _masses() -> str:
    """How the number of steps depends on the mass."""
    rows = []
    for mass in MASSES:
        problem = variable_mass(mass)
        x0, v0 = problem.start
        run = ds.simulate(problem.system, x0, v0, t1=END, rtol=RTOL, atol=ATOL)
        rows.append(f"| {mass:g} | {run.stats.steps} | {run.stats.rejected} |")
    lines = [
        "## VM-DIN-AVD, from a large to a tiny mass\n",
        r"Steps of the default solver as $\varepsilon(0)$ goes to 0.",
        "",
        "| mass | steps | rejected |",
        "|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

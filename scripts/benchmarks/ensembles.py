"""Many trajectories at once, against what a user would otherwise write."""

import multiprocessing.pool
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import dynsys as ds
from scripts.benchmarks import page
from scripts.benchmarks import rosenbrock_line as line
from scripts.benchmarks.ensemble_contestants import (
    Case,
    against,
    ensemble,
    last_by_lsoda,
    naive,
    one_at_a_time,
    scaled,
)
from scripts.benchmarks.small_problems import bowl, rosenbrock_gdin
from scripts.benchmarks.timing import Contestant, Timing, race

MEMBERS, MEMBERS_BY_DIMENSION = 4096, 1024
TOLERANCES = (1e-6, 1e-9)
DIMENSIONS = (2, 4, 8, 16, 32)
END_BY_DIMENSION = 5.0
INCLUSION: dict[str, Any] = {"t1": 12.0, "max_events": 64}
ROUNDS = 5
SOME, FEW, FEWER = 256, 64, 16
"""Members that are solved one at a time where all would take too long."""
CHECK = 1e-13
"""Tolerance at which SciPy checks the reference."""


def smooth(members: int = MEMBERS, some: int = SOME, rounds: int = ROUNDS) -> str:
    """g-DIN on the Rosenbrock function, against three others."""
    begin = line.states(line.starts(members))
    true = line.reference(begin)
    few = members // FEWER
    parts = []
    with line.processes() as pool:
        check = line.scipy_in(pool, begin[::few], "DOP853", CHECK).solve()
        agreement = np.abs(check - true[::few]).max()
        for tolerance in TOLERANCES:
            timings = _race_smooth(pool, begin, true, tolerance, members // some, rounds)
            words = f"rtol = atol = {tolerance:g}:"
            parts += [words, page.ensemble_table(timings, members)]
    text = (
        f"{members:,} starts at rest on the line from $(-2, 2)$ to $(2, -1)$, "
        rf"$\alpha = {line.ALPHA:g}$, $\beta = {line.BETA:g}$, $T = {line.END:g}$, the "
        f"last state only, {rounds} rounds. `dynsys` is `simulate_ensemble`. heyoka runs "
        f"the faster of batches of 8 and 16 in {line.CORES} threads, one a core. SciPy "
        f"solves {some} of the starts, and its time is scaled to all. Errors are against "
        f"heyoka at {line.REFERENCE:g}, which for {len(check)} of the starts agrees with "
        f"SciPy's DOP853 at {CHECK:g} to {agreement:.0e}."
    )
    title = "Ensemble, g-DIN on the smooth Rosenbrock function"
    return page.section(title, text, *parts)


def inclusions(members: int = MEMBERS, few: int = FEW, rounds: int = ROUNDS) -> str:
    """g-DIN on the talk's function, against one at a time."""
    x0, case, every = inclusion_starts(members), inclusion_case(), members // few
    alone = one_at_a_time(case, x0[::every], **INCLUSION)
    together = ensemble(case, x0, jax.devices("cpu"), **INCLUSION)
    true = alone.solve()
    racing = [against(together, true, every=every), against(alone, true)]
    whole, part = race(racing, np.zeros(()), rounds)
    rows = [
        [timing.name, f"{1e6 * timing.seconds / members:.1f}", f"{timing.ratio:.2f}"]
        for timing in (whole, scaled(part, every))
    ]
    return page.section(
        "Ensemble of inclusions",
        f"{members:,} random starts at rest in $[-2, 2]^2$ for the talk's function, g-DIN "
        rf"with $\alpha = \beta = 1$, $T = {INCLUSION['t1']:g}$, default tolerances, the "
        f"last state only, {rounds} rounds. One at a time is `simulate` under `jax.jit`, "
        f"called for {few} of the starts and scaled to all. For these the last positions "
        f"differ by at most {whole.error:.0e}.",
        page.table(["", "µs a trajectory", "ratio"], rows),
    )


def by_dimension(
    members: int = MEMBERS_BY_DIMENSION, few: int = FEWER, rounds: int = ROUNDS
) -> str:
    """DIN on a convex function, against `vmap` of diffrax."""
    rows = []
    for dimension in DIMENSIONS:
        racing = _in_dimension(dimension, members, few)
        first = [_seconds(contestant) for contestant in racing]
        timings = race(racing, np.zeros(()), rounds)
        times = [f"{1e6 * timing.seconds / members:.1f}" for timing in timings]
        errors = [f"{timing.error:.1e}" for timing in timings]
        calls = [f"{seconds:.1f}" for seconds in first]
        rows.append([dimension, *times, f"{timings[1].ratio:.2f}", *errors, *calls])
    columns = ["dimension", "µs a trajectory", "of diffrax", "diffrax, ratio", "error"]
    columns += ["of diffrax", "first call in s", "of diffrax"]
    return page.section(
        "Ensemble by dimension",
        f"{members:,} random starts at rest in $[-2, 2]^n$ for DIN on the convex function "
        f"of condition 1000, $T = {END_BY_DIMENSION:g}$, rtol = atol = "
        f"{TOLERANCES[0]:g}, the last state only, {rounds} rounds, against Tsit5 of "
        f"diffrax under `vmap`. Errors are those of {few} members, against LSODA at 1e-12. "
        f"A first call compiles.",
        page.with_losses(columns, rows, ratios=[3]),
    )


def smooth_ensemble(
    members: int, tolerance: float, devices: list[jax.Device]
) -> Contestant:
    """`simulate_ensemble` from the line of starts."""
    system = rosenbrock_gdin().system
    options = {"t1": line.END, "rtol": tolerance, "atol": tolerance}
    return ensemble(lambda x0: (system, x0), line.starts(members), devices, **options)


def inclusion_starts(members: int) -> np.ndarray:
    """Random positions, of shape `(members, 2)`."""
    return np.random.default_rng(0).uniform(-2.0, 2.0, (members, 2))


def inclusion_case() -> Case:
    """g-DIN on the talk's function, as a function of the start."""
    system = ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.0, 1.0)
    return lambda x0: (system, x0)


def _race_smooth(
    pool: multiprocessing.pool.Pool,
    begin: np.ndarray,
    true: np.ndarray,
    tolerance: float,
    every: int,
    rounds: int,
) -> list[Timing]:
    """All contestants at one tolerance; SciPy solves one in so many members."""
    processors = jax.devices("cpu")
    alone = line.scipy_in(pool, begin[::every], "LSODA", tolerance)
    others = [
        smooth_ensemble(len(begin), tolerance, processors),
        _fastest_batches(begin, tolerance),
        naive(rosenbrock_gdin(), begin, line.END, tolerance, processors[0]),
    ]
    racing = [*(against(one, true) for one in others), against(alone, true[::every])]
    *timings, part = race(racing, np.zeros(()), rounds)
    return [*timings, scaled(part, every)]


def _fastest_batches(begin: np.ndarray, tolerance: float) -> Contestant:
    """The batches that heyoka is faster with."""
    both = [line.batches(begin, tolerance, batch) for batch in (8, 16)]
    timings = race(both, np.zeros(()), rounds=ROUNDS)
    return min(zip(timings, both, strict=True), key=lambda pair: pair[0].seconds)[1]


def _in_dimension(dimension: int, members: int, few: int) -> list[Contestant]:
    """An ensemble and what a user would write, with errors of a few of the members."""
    problem, tolerance = bowl(dimension), TOLERANCES[0]
    system, processors = problem.system, jax.devices("cpu")
    x0 = np.random.default_rng(0).uniform(-2.0, 2.0, (members, dimension))
    start = jax.vmap(lambda x: jnp.concatenate(system.initial_state(0.0, x, None)))
    begin, end = np.asarray(start(x0)), END_BY_DIMENSION
    true = last_by_lsoda(problem, begin[:few], end)
    options = {"t1": end, "rtol": tolerance, "atol": tolerance}
    both = [
        ensemble(lambda x0: (system, x0), x0, processors, **options),
        naive(problem, begin, end, tolerance, processors[0]),
    ]
    return [against(contestant, true, few=few) for contestant in both]


def _seconds(contestant: Contestant) -> float:
    start = time.perf_counter()
    contestant.solve()
    return time.perf_counter() - start

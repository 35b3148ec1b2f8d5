"""Many trajectories at once, against what a user would otherwise write."""

from collections.abc import Callable, Sequence
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate

import dynsys as ds
from scripts.benchmarks import page
from scripts.benchmarks import rosenbrock_line as line
from scripts.benchmarks.small_problems import Problem, bowl, rosenbrock_gdin
from scripts.benchmarks.timing import Contestant, Timing, race

MEMBERS = 4096
TOLERANCES = (1e-6, 1e-9)
DIMENSIONS = (2, 4, 8, 16, 32)
MEMBERS_BY_DIMENSION, END_BY_DIMENSION = 1024, 5.0
INCLUSION_END, MAX_EVENTS = 12.0, 64
FEW, FEWER = 64, 16
"""Members that are solved one at a time where all would take too long."""
ROUNDS = 5
CHECK = 1e-13
"""Tolerance at which SciPy checks the reference."""

Case = Callable[..., tuple[Any, ...]]


def ensemble(
    case: Case, x0: np.ndarray, devices: Sequence[jax.Device], name: str, **options: Any
) -> Contestant:
    """The last positions by `simulate_ensemble`."""
    last = lambda trajectory: trajectory.final_state[0]

    def solve() -> np.ndarray:
        return np.asarray(
            ds.simulate_ensemble(case, x0=x0, devices=devices, reduce=last, **options)
        )

    return Contestant(name, solve)


def naive(
    problem: Problem, begin: np.ndarray, end: float, tolerance: float, device: jax.Device
) -> Contestant:
    """`diffrax.diffeqsolve` under `jax.vmap` and `jax.jit`, as a user would write it."""

    def one(state: Any) -> Any:
        return diffrax.diffeqsolve(
            diffrax.ODETerm(problem.jax_field),
            diffrax.Tsit5(),
            0.0,
            end,
            None,
            state,
            saveat=diffrax.SaveAt(t1=True),
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
            max_steps=65_536,
            throw=False,
        ).ys

    run = jax.jit(jax.vmap(one))
    states = jax.device_put(begin, device)
    solve = lambda: np.asarray(run(states))[:, 0, : problem.dimension]
    return Contestant("diffrax Tsit5 under `vmap`", solve)


def smooth(members: int = MEMBERS, few: int = 256, rounds: int = ROUNDS) -> str:
    """g-DIN on the Rosenbrock function, against three others."""
    begin = line.states(line.starts(members))
    true, some = line.reference(begin), max(members // few, 1)
    parts = []
    with line.processes() as pool:
        fewer = max(members // FEWER, 1)
        check = line.scipy_in(pool, begin[::fewer], "DOP853", CHECK).solve()
        agreement = np.abs(check - true[::fewer]).max()
        for tolerance in TOLERANCES:
            racing = [
                _against(_smooth(members, tolerance, jax.devices("cpu")), true),
                _against(_fastest_batches(begin, tolerance), true),
                _against(_naive(begin, tolerance, jax.devices("cpu")[0]), true),
                _against(
                    line.scipy_in(pool, begin[::some], "LSODA", tolerance), true[::some]
                ),
            ]
            *timings, scipy = race(racing, np.zeros(()), rounds)
            timings = [*timings, _scaled(scipy, some)]
            parts += [
                f"rtol = atol = {tolerance:g}:",
                page.ensemble_table(timings, members),
            ]
    text = (
        f"{members:,} starts at rest on the line from $(-2, 2)$ to $(2, -1)$, "
        rf"$\alpha = {line.ALPHA:g}$, $\beta = {line.BETA:g}$, $T = {line.END:g}$, the last "
        f"state only, {rounds} rounds. The first is `simulate_ensemble`. heyoka runs the "
        f"faster of batches of 8 and 16 in {line.CORES} threads, one a core. SciPy solves "
        f"{len(begin[::some])} of the starts, and its time is scaled to all. Errors are "
        f"against heyoka at {line.REFERENCE:g}, which for {len(check)} of the starts agrees "
        f"with SciPy's DOP853 at {CHECK:g} to {agreement:.0e}."
    )
    title = "Ensemble, g-DIN on the smooth Rosenbrock function"
    return page.section(title, text, *parts)


def inclusions(members: int = MEMBERS, few: int = FEW, rounds: int = ROUNDS) -> str:
    """g-DIN on the talk's function, against one at a time."""
    x0, case = _inclusion_starts(members), _inclusion_case()
    some = max(members // few, 1)
    alone = _one_at_a_time(case, x0[::some])
    together = _inclusions(x0, case, jax.devices("cpu"))
    true = alone.solve()
    racing = [_against(together, true, every=some), _against(alone, true)]
    all_of_them, one = race(racing, np.zeros(()), rounds)
    rows = [
        [timing.name, f"{1e6 * timing.seconds / members:.1f}", f"{timing.ratio:.2f}"]
        for timing in (all_of_them, _scaled(one, some))
    ]
    return page.section(
        "Ensemble of inclusions",
        f"{members:,} random starts at rest in $[-2, 2]^2$ for the talk's function, g-DIN "
        rf"with $\alpha = \beta = 1$, $T = {INCLUSION_END:g}$, tolerances as they are, the "
        f"last state only, {rounds} rounds. One at a time is `simulate` under `jax.jit`, "
        f"called for {len(true)} of the starts and scaled to all. For these the last "
        f"positions differ by at most {all_of_them.error:.0e}.",
        page.table(["", "µs a trajectory", "ratio"], rows),
    )


def by_dimension(
    members: int = MEMBERS_BY_DIMENSION, few: int = FEWER, rounds: int = ROUNDS
) -> str:
    """DIN on a convex function, against `vmap` of diffrax."""
    rows = []
    for dimension in DIMENSIONS:
        timings = race(_in_dimension(dimension, members, few), np.zeros(()), rounds)
        times = [f"{1e6 * timing.seconds / members:.1f}" for timing in timings]
        errors = [f"{timing.error:.1e}" for timing in timings]
        rows.append([dimension, *times, f"{timings[1].ratio:.2f}", *errors])
    columns = ["dimension", "µs a trajectory", "diffrax Tsit5 under `vmap`", "ratio"]
    return page.section(
        "Ensemble by dimension",
        f"{members:,} random starts at rest in $[-2, 2]^n$ for DIN on the convex function "
        f"of condition 1000, $T = {END_BY_DIMENSION:g}$, rtol = atol = "
        f"{TOLERANCES[0]:g}, the last state only, {rounds} rounds. Errors are those of "
        f"{few} members, against LSODA at 1e-12.",
        page.table([*columns, "error", "of diffrax"], rows),
    )


def on_gpu(members: int = MEMBERS, rounds: int = ROUNDS) -> str:
    """The first two again on a GPU, if there is one."""
    title = "Ensembles on a GPU"
    try:
        gpus = jax.devices("gpu")[:1]
    except RuntimeError:
        return page.section(title, "No GPU was present, so nothing was measured.")
    text = (
        f"{gpus[0].device_kind}, {rounds} rounds: the ensembles of {members:,} members from "
        f"above on all cores and on the GPU. The differences of the inclusions are those "
        f"from the processor, and not errors."
    )
    return page.section(title, text, *_on_both(jax.devices("cpu"), gpus, members, rounds))


def _on_both(
    processors: list[jax.Device], gpus: list[jax.Device], members: int, rounds: int
) -> list[str]:
    """A table of each ensemble on processors and on another device."""
    begin = line.states(line.starts(members))
    true = line.reference(begin)
    parts = []
    for tolerance in TOLERANCES:
        racing = [
            _smooth(members, tolerance, processors),
            _smooth(members, tolerance, gpus, "dynsys, GPU"),
            _naive(begin, tolerance, gpus[0])._replace(name="diffrax under `vmap`, GPU"),
        ]
        timings = race(racing, true, rounds)
        words = f"Smooth Rosenbrock function, rtol = atol = {tolerance:g}:"
        parts += [words, page.ensemble_table(timings, members)]
    x0, case = _inclusion_starts(members), _inclusion_case()
    racing = [
        _inclusions(x0, case, processors),
        _inclusions(x0, case, gpus, "dynsys, GPU"),
    ]
    timings = race(racing, racing[0].solve(), rounds)
    return [*parts, "Inclusions:", page.ensemble_table(timings, members)]


def _smooth(
    members: int, tolerance: float, devices: list[jax.Device], name: str = "dynsys"
) -> Contestant:
    system = rosenbrock_gdin().system
    case = lambda x0: (system, x0)
    options = {"t1": line.END, "rtol": tolerance, "atol": tolerance}
    return ensemble(case, line.starts(members), devices, name, **options)


def _naive(begin: np.ndarray, tolerance: float, device: jax.Device) -> Contestant:
    return naive(rosenbrock_gdin(), begin, line.END, tolerance, device)


def _fastest_batches(begin: np.ndarray, tolerance: float) -> Contestant:
    """heyoka with the batches that it is faster with."""
    both = [line.batches(begin, tolerance, batch) for batch in (8, 16)]
    timings = race(both, np.zeros(()), rounds=ROUNDS)
    return min(zip(timings, both, strict=True), key=lambda pair: pair[0].seconds)[1]


def _inclusion_starts(members: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-2.0, 2.0, (members, 2))


def _inclusion_case() -> Case:
    system = ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.0, 1.0)
    return lambda x0: (system, x0)


def _inclusions(
    x0: np.ndarray, case: Case, devices: list[jax.Device], name: str = "dynsys"
) -> Contestant:
    options = {"t1": INCLUSION_END, "max_events": MAX_EVENTS}
    return ensemble(case, x0, devices, name, **options)


def _one_at_a_time(case: Case, x0: np.ndarray) -> Contestant:
    """`simulate` under `jax.jit`, called for each start."""

    @jax.jit
    def one(start: Any) -> Any:
        system, x0 = case(start)
        options = {"t1": INCLUSION_END, "max_events": MAX_EVENTS, "throw": False}
        return ds.simulate(system, x0, **options).final_state[0]

    solve = lambda: np.stack([np.asarray(one(start)) for start in x0])
    return Contestant("one at a time", solve)


def _in_dimension(dimension: int, members: int, few: int) -> list[Contestant]:
    """An ensemble and what a user would write, with errors of a few of the members."""
    problem = bowl(dimension)
    system, processors = problem.system, jax.devices("cpu")
    x0 = np.random.default_rng(0).uniform(-2.0, 2.0, (members, dimension))
    start = jax.vmap(lambda x: jnp.concatenate(system.initial_state(0.0, x, None)))
    begin = np.asarray(start(x0))
    times = (0.0, END_BY_DIMENSION)
    true = np.stack([_last_by_lsoda(problem, state, times) for state in begin[:few]])
    case = lambda x0: (system, x0)
    tolerance = TOLERANCES[0]
    options = {"t1": times[1], "rtol": tolerance, "atol": tolerance}
    both = [
        ensemble(case, x0, processors, "dynsys", **options),
        naive(problem, begin, times[1], tolerance, processors[0]),
    ]
    return [_against(contestant, true, few=few) for contestant in both]


def _last_by_lsoda(
    problem: Problem, state: np.ndarray, times: tuple[float, float]
) -> np.ndarray:
    states = scipy.integrate.odeint(
        problem.fast_field,
        state,
        times,
        tfirst=True,
        Dfun=problem.fast_jacobian,
        rtol=1e-12,
        atol=1e-12,
        mxstep=100_000,
    )
    return states[-1, : problem.dimension]


def _against(
    contestant: Contestant, true: np.ndarray, *, every: int = 1, few: int | None = None
) -> Contestant:
    """The errors of some members, so that contestants may differ in what they solve."""
    solve = lambda: contestant.solve()[:few:every] - true
    return Contestant(contestant.name, solve)


def _scaled(timing: Timing, factor: int) -> Timing:
    """The time of all members, of that of one in so many."""
    return timing._replace(seconds=factor * timing.seconds, ratio=factor * timing.ratio)

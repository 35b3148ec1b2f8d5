"""Many piecewise quadratics against exact solutions.

`python -m scripts.studies.piecewise_quadratics [--cases 2000] [--seed 0] [--only 17 40]
[--mode near] [--jobs 2]`
"""

import functools
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

import dynsys as ds
from scripts.studies.line_solutions import Match, Motion, Start, match
from scripts.studies.quadratic_cases import (
    BLOCK,
    MODES,
    OUTPUTS,
    Case,
    Data,
    draw,
    kind_of,
    passing_of,
)
from scripts.studies.verdicts import Outcome, Verdict, parser, report, set_up, work_off

WORST = (Verdict.WRONG, Verdict.SENSITIVE, Verdict.AS_ONE, Verdict.RIGHT)


def loss(data: Any, x: Any) -> Any:
    """The piecewise quadratic of some arrays."""
    rotation, shift, scale, centre, curvature, slope, weights, factors, offsets = data
    y = (x - shift) @ rotation / scale
    z = y - centre
    smooth = jnp.sum(0.5 * curvature * z**2 + slope * z)
    kinks = weights / jnp.abs(factors) * jnp.abs(factors * y[:, None] - offsets)
    return scale**2 * (smooth + jnp.sum(kinks))


def system_of(name: str, objective: Callable[[Any], Any], numbers: Any) -> Any:
    """The system of a name, with its coefficients as numbers that may be traced."""
    (mass, mass_power), (alpha, alpha_power), beta = numbers
    if name == "gradient flow":
        return ds.GradientFlow(objective)
    if name == "g-DIN":
        return ds.GDIN(objective, alpha, beta)
    if name == "DIN":
        return ds.DIN(objective, alpha, beta)
    power = ds.schedules.PowerLaw
    epsilon, damping = power(mass, mass_power), power(alpha, alpha_power)
    return ds.VMDINAVD(objective, epsilon, damping, beta)


def simulate(name: str, objective: Callable[[Any], Any], inputs: Any) -> Any:
    """Run a system: positions, the result and whether it is the only solution."""
    x, v, numbers, end, rtol, atol = inputs
    run = ds.simulate(
        system_of(name, objective, numbers),
        x,
        None if name == "gradient flow" else v,
        t1=end,
        times=OUTPUTS,
        rtol=rtol,
        atol=atol,
        throw=False,
    )
    return run.x, run.result, run.unique


@functools.partial(jax.jit, static_argnums=0)
def simulate_traced(name: str, data: Any, inputs: Any) -> Any:
    """Run a system with all of its numbers traced."""
    return simulate(name, Partial(loss, data), inputs)


def inputs_of(case: Case) -> Any:
    """The numbers of a run."""
    size = np.abs(case.data.shift).max() / case.data.scale
    size += np.abs(case.data.centre).max() + 4
    tolerance = case.tolerance
    rtol, atol = tolerance / size, 1e-3 * tolerance * case.data.scale
    numbers = (case.x, case.v, tuple(case.coefficients), case.end, rtol, atol)
    return jax.tree.map(lambda number: jnp.asarray(number, float), numbers)


def judge(case: Case, x: np.ndarray, unique: bool) -> Outcome:
    """Compare the positions of a run with the exact solutions."""
    found = [
        match(*pair) for pair in zip(motions(case), case.data.coordinates(x).T, strict=True)
    ]
    branched = any(one.branched for one in found)
    verdict = min((one.verdict for one in found), key=WORST.index)
    if verdict == Verdict.WRONG and not unique:
        verdict = Verdict.FLAGGED
    elif verdict == Verdict.RIGHT and not unique:
        verdict = Verdict.BRANCHED if branched else Verdict.DOUBTED
    elif verdict == Verdict.RIGHT and branched and _is_exact(case):
        verdict = Verdict.UNFLAGGED
    return _outcome(case, verdict, found)


def motions(case: Case) -> list[Motion]:
    """What moves in each coordinate."""
    coefficients = None if case.system == "gradient flow" else case.coefficients
    starts = case.data.coordinates(case.x)
    speeds = case.v @ case.data.rotation / case.data.scale
    return [
        Motion(
            line,
            Start(float(y), float(v)),
            coefficients,
            case.times,
            case.grain,
            case.tolerance,
        )
        for line, y, v in zip(case.data.lines(), starts, speeds, strict=True)
    ]


def _is_exact(case: Case) -> bool:
    """Whether a start on a kink is there to the last bit."""
    data = case.data
    y = (case.x - data.shift) / data.scale
    distances = np.abs(data.factors * y[:, None] - data.offsets)
    unrotated = (data.rotation == np.eye(len(y))).all()
    return bool(unrotated and (distances.min(axis=1) == 0).any())


def _outcome(
    case: Case, verdict: Verdict, found: Sequence[Match], note: str = ""
) -> Outcome:
    dim, count = case.data.weights.shape
    scale, beta = float(case.data.scale), case.coefficients.beta
    about = f"{case.system}, {case.passing}, {dim} x {count}"
    about = f"{about}, s = {scale:.0e}, beta = {beta:.2g}"
    error = max((one.error for one in found), default=0.0)
    return Outcome(case.number, case.mode, verdict, error, f"{about} {note}")


def run_case(case: Case, simulate: Callable[[Case], Any]) -> Outcome:
    """Simulate a case and judge what comes out."""
    try:
        x, result, unique = simulate(case)
    except (ValueError, TypeError, ds.SimulationError) as error:
        first = str(error).splitlines()[0]
        return _outcome(case, Verdict.REFUSED, (), f"{type(error).__name__}: {first[:150]}")
    if not bool(result.ok):
        return _outcome(case, Verdict.REFUSED, (), result.message[:150])
    return judge(case, np.asarray(x), bool(unique))


def simulator(case: Case) -> Callable[[Case], Any]:
    """How to simulate cases with the passing of this one and, if closed, its loss."""
    if case.passing == "jit":
        return lambda case: simulate_traced(
            case.system, _arrays(case.data), inputs_of(case)
        )
    if case.passing == "leaves":
        return lambda case: simulate(
            case.system, Partial(loss, _arrays(case.data)), inputs_of(case)
        )
    arrays = _arrays(case.data)
    closed = lambda x: loss(arrays, x)
    return lambda case: simulate(case.system, closed, inputs_of(case))


def _arrays(data: Data) -> Any:
    return jax.tree.map(jnp.asarray, tuple(data))


def run_group(seed: int, mode: str | None, indices: Sequence[int]) -> list[Outcome]:
    """Run cases that share a compiled program."""
    cases = [draw(seed, index, mode) for index in indices]
    shared = simulator(cases[0])
    outcomes = [run_case(case, shared) for case in cases]
    jax.clear_caches()
    return outcomes


def groups_of(seed: int, indices: Sequence[int]) -> list[list[int]]:
    """Numbers of cases by the compiled program that they share."""
    groups = defaultdict(list)
    for index in indices:
        passing = passing_of(index)
        loss_number = index // BLOCK if passing == "closed" else -1
        groups[(passing, kind_of(seed, index), loss_number)].append(index)
    return list(groups.values())


def main() -> int:
    """Run the study as the command line asks."""
    options = parser(__doc__, 2000)
    options.add_argument("--mode", choices=MODES, help="take all cases from one mode")
    asked = options.parse_args()
    set_up()
    indices = range(asked.cases) if asked.only is None else asked.only
    study = functools.partial(run_group, asked.seed, asked.mode)
    return report(work_off(study, groups_of(asked.seed, indices), asked.jobs))


if __name__ == "__main__":
    sys.exit(main())

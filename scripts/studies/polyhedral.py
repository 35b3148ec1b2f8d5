r"""Many maxima of affine functions plus weighted l1 norms against exact polyhedral flows.

`python -m scripts.studies.polyhedral [--cases 500] [--seed 0] [--only 17 40] [--jobs 2]`
"""

import functools
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

import dynsys as ds
from scripts.studies.polyhedral_flow import Damping, Polyhedral, flow
from scripts.studies.verdicts import Outcome, Verdict, parser, report, set_up, work_off

SHAPES = ((2, 6), (3, 6), (4, 7))
"""Dimensions, and rows."""

BLOCK = 5
"""Cases in a row that share system and shape, and the loss where it is closed over."""

OUTPUTS = 9

RTOL, ATOL = 1e-9, 1e-12

ACCEPTED = 1e-6
"""What a position may be off by, relative to the scale and to the largest position."""


class Case(NamedTuple):
    """One run.

    Args:
        number: Its number.
        mode: What is special about its kinks.
        passing: `closed` or `leaves`: where the arrays of the loss are.
        function: The loss, in units of the scale.
        scale: The scale of x.
        start: Where it starts, in that unit.
        velocity: With which velocity.
        damping: Parameters of g-DIN, `None` for gradient flow.
        end: Until when.
    """

    number: int
    mode: str
    passing: str
    function: Polyhedral
    scale: float
    start: np.ndarray
    velocity: np.ndarray
    damping: Damping | None
    end: float

    @property
    def arrays(self) -> Any:
        """The arrays of the loss in x, for which time runs as in the unit of the scale."""
        a, b, w, k = self.function
        s = self.scale
        return tuple(map(jnp.asarray, (s * a, s**2 * b, s * w, s * k)))


def loss(data: Any, x: Any) -> Any:
    """The largest row plus the weighted l1 norm."""
    slopes, offsets, weights, knots = data
    return jnp.max(slopes @ x + offsets) + jnp.sum(weights * jnp.abs(x - knots))


Setting = tuple[Polyhedral, np.ndarray]
"""A loss and a start."""


def _random(rng: np.random.Generator, dim: int, rows: int) -> Setting:
    slopes, offsets = rng.normal(0, 1, (rows, dim)), rng.normal(0, 0.5, rows)
    weights = rng.uniform(0, 0.6, dim) * (rng.random(dim) < 0.7)
    loss = Polyhedral(slopes, offsets, weights, rng.uniform(-0.5, 0.5, dim))
    return loss, rng.uniform(-2, 2, dim)


def _integers(rng: np.random.Generator, dim: int, rows: int) -> Setting:
    """Small integers, and a start with small integers: ties and kinks at the start."""
    integers = lambda low, high, *shape: rng.integers(low, high + 1, shape).astype(float)
    loss = Polyhedral(
        integers(-2, 2, rows, dim),
        integers(-2, 2, rows),
        integers(0, 2, dim) / 2,
        integers(-1, 1, dim),
    )
    return loss, integers(-2, 2, dim)


def _duplicated(rng: np.random.Generator, dim: int, rows: int) -> Setting:
    """Each row twice or more."""
    loss, start = _random(rng, dim, rows)
    which = rng.integers(0, rows // 2, rows)
    return loss._replace(slopes=loss.slopes[which], offsets=loss.offsets[which]), start


def _vertex(rng: np.random.Generator, dim: int, rows: int) -> Setting:
    """All rows meet at one point, which is on all kinks of the norm, too."""
    loss, start = _random(rng, dim, rows)
    slopes = loss.slopes - loss.slopes.mean(0)
    return loss._replace(slopes=slopes, offsets=-slopes @ loss.knots), start


def _integer_vertex(rng: np.random.Generator, dim: int, rows: int) -> Setting:
    """All rows meet at one point with integer data, and in one case of four start there."""
    loss, start = _integers(rng, dim, rows)
    offsets = -loss.slopes @ loss.knots
    start = loss.knots if rng.random() < 0.25 else start
    return loss._replace(offsets=offsets), start


def _norm(rng: np.random.Generator, dim: int, rows: int) -> Setting:
    """The largest entry in absolute value, or as many rows of it as there are."""
    slopes = np.vstack([np.eye(dim), -np.eye(dim)])
    slopes = np.resize(slopes, (rows, dim))
    start = rng.integers(-2, 3, dim) + rng.choice([0.0, 0.5]) * rng.normal(0, 1, dim)
    weights = rng.choice([0.0, 0.25], dim)
    return Polyhedral(slopes, np.zeros(rows), weights, np.zeros(dim)), start


MODES: dict[str, Callable[[np.random.Generator, int, int], Setting]] = {
    "random": _random,
    "integers": _integers,
    "duplicated": _duplicated,
    "vertex": _vertex,
    "integer vertex": _integer_vertex,
    "norm": _norm,
}


def kind_of(seed: int, number: int) -> tuple[bool, tuple[int, int], bool]:
    """Whether a case has inertia, its shape, and whether its loss is closed over."""
    rng = np.random.default_rng([seed, 1, number // BLOCK])
    inertial, shape = bool(rng.integers(2)), SHAPES[rng.integers(len(SHAPES))]
    return inertial, shape, number // BLOCK % 20 == 0


def draw(
    seed: int, number: int, kind: tuple[bool, tuple[int, int], bool] | None = None
) -> Case:
    """A case, by its number; its kind may be another than that of its number."""
    inertial, shape, closed = kind_of(seed, number) if kind is None else kind
    rng = np.random.default_rng([seed, 2, number // BLOCK if closed else number])
    mode = str(rng.choice(list(MODES)))
    function, start = MODES[mode](rng, *shape)
    scale = 10 ** rng.uniform(-9, 9) if rng.random() < 0.3 else 1.0
    rng = np.random.default_rng([seed, 3, number])
    if closed:
        start = start + rng.normal(0, 0.3, len(start))
    alpha = 0.0 if rng.random() < 0.2 else rng.uniform(0.1, 2)
    damping = Damping(alpha, 10 ** rng.uniform(-1.3, 0)) if inertial else None
    speed = np.where(rng.random() < 0.5, 0.0, rng.normal(0, 1, len(start)))
    passing = "closed" if closed else "leaves"
    end = float(rng.uniform(1, 5))
    fixed = (function, float(scale), start, speed, damping, end)
    return Case(number, mode, passing, *fixed)


def simulate(case: Case, objective: Callable[[Any], Any]) -> Any:
    """Run a case."""
    damping, s = case.damping, case.scale
    system = ds.GradientFlow(objective) if damping is None else ds.GDIN(objective, *damping)
    velocity = None if damping is None else s * case.velocity
    return ds.simulate(
        system,
        s * case.start,
        velocity,
        t1=case.end,
        times=OUTPUTS,
        rtol=RTOL,
        atol=ATOL * s,
        throw=False,
    )


def exact_flow(case: Case, times: np.ndarray) -> np.ndarray:
    """The exact flow, from a start so near that it does not matter where it gets lost.

    Rounding may leave events that follow each other without end; next to them there are
    none, and errors grow by a bounded factor only.
    """
    rng = np.random.default_rng(case.number)
    for size in (0.0, 1e-12, 1e-11, 1e-10):
        start = case.start + size * rng.normal(size=len(case.start))
        try:
            return flow(case.function, start, times, case.damping, case.velocity)
        except ArithmeticError:
            continue
    raise ArithmeticError(f"case {case.number} has too many events")


def run_case(case: Case, objective: Callable[[Any], Any]) -> Outcome:
    """Simulate a case and compare it with the exact flow."""
    rows, dim = case.function.slopes.shape
    system = "gradient flow" if case.damping is None else "g-DIN"
    about = f"{system}, {case.passing}, {dim} x {rows}, s = {case.scale:.0e}"
    outcome = lambda verdict, error=0.0, note="": Outcome(
        case.number, case.mode, verdict, error, f"{about} {note}"
    )
    try:
        run = simulate(case, objective)
    except (ValueError, TypeError, ds.SimulationError) as error:
        first = str(error).splitlines()[0][:150]
        return outcome(Verdict.REFUSED, note=f"{type(error).__name__}: {first}")
    if not bool(run.result.ok):
        return outcome(Verdict.REFUSED, note=run.result.message[:150])
    times = np.linspace(0.0, case.end, OUTPUTS)
    exact = exact_flow(case, times)
    error = float(np.abs(np.asarray(run.x) / case.scale - exact).max())
    right = error <= ACCEPTED * (1 + np.abs(exact).max())
    if bool(run.unique):
        return outcome(Verdict.RIGHT if right else Verdict.WRONG, error)
    return outcome(Verdict.DOUBTED if right else Verdict.FLAGGED, error)


def run_group(seed: int, numbers: Sequence[int]) -> list[Outcome]:
    """Run cases that share a compiled program."""
    cases = [draw(seed, number) for number in numbers]
    arrays = cases[0].arrays
    closed = lambda x: loss(arrays, x)
    is_closed = cases[0].passing == "closed"
    objective = lambda case: closed if is_closed else Partial(loss, case.arrays)
    outcomes = [run_case(case, objective(case)) for case in cases]
    jax.clear_caches()
    return outcomes


def groups_of(seed: int, numbers: Sequence[int]) -> list[list[int]]:
    """Numbers of cases by the compiled program that they share."""
    groups = defaultdict(list)
    for number in numbers:
        inertial, shape, closed = kind_of(seed, number)
        loss_number = number // BLOCK if closed else -1
        groups[(inertial, shape, loss_number)].append(number)
    return list(groups.values())


def main() -> int:
    """Run the study as the command line asks."""
    asked = parser(__doc__, 500).parse_args()
    set_up()
    numbers = range(asked.cases) if asked.only is None else asked.only
    study = functools.partial(run_group, asked.seed)
    return report(work_off(study, groups_of(asked.seed, numbers), asked.jobs))


if __name__ == "__main__":
    sys.exit(main())

r"""Coefficients that jump or bend in time, written in many ways, against SciPy.

`python -m scripts.studies.jumping_schedules [--cases 200] [--seed 0] [--only 17]
[--jobs 2]`

All four coefficients of $\varepsilon\ddot x + \alpha\dot x + \beta\nabla^2 f\dot x +
b\nabla f = 0$ switch 1 to 20 times, together or each at its own times; the loss is smooth,
or has a kink in each coordinate. Positions and velocities are compared within 100
tolerances, and the derivative with respect to all values and times of switches, along a
random direction, with central differences.
"""

import functools
import itertools
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

import dynsys as ds
from scripts.studies.jumping_flow import Loss, Stretch, motion
from scripts.studies.verdicts import Outcome, Verdict, parser, report, set_up, work_off

COUNTS = (1, 2, 5, 20)
"""Numbers of switches; each costs a program."""

DIM, END, OUTPUTS = 2, 3.0, 25
RTOL, ATOL = 1e-7, 1e-9

ALLOWED = 100
"""Tolerances that a position or velocity may be off by."""

STEP = 1e-5
"""Of the central differences."""

NEAR = 1e-3
"""Of outputs this near to an event no differences are taken."""

ALLOWED_SLOPE = 1e-4
"""What a derivative may be off by, relative to the sizes of its terms. It is that of the
steps, and no tolerance says how far it is from that of the flow: where it is farther off,
it must come nearer in a run with finer tolerances, to a tenth of this."""

FINER = 1e-3
"""Part of the tolerances of such a run."""


def piecewise(times: Any, values: Any, t: Any) -> Any:
    """The schedule of the package."""
    return ds.schedules.Piecewise(times, list(values))(t)


def nested(times: Any, values: Any, t: Any) -> Any:
    """One `where` for each time."""
    value = values[0]
    for time, after in zip(times, values[1:], strict=True):
        value = jnp.where(t < time, value, after)
    return value


def table(times: Any, values: Any, t: Any) -> Any:
    """A row of a table, found by bisection."""
    return values[jnp.searchsorted(times, t, side="right")]


def signs(times: Any, values: Any, t: Any) -> Any:
    """A sum of steps, each a sign."""
    steps = 0.5 * (1 + jnp.sign(t - times))
    return values[0] + jnp.sum(jnp.diff(values) * steps)


def joined(times: Any, values: Any, t: Any) -> Any:
    """Schedules of optax, joined."""
    parts = [lambda _, value=value: value for value in values]
    return optax.join_schedules(parts, list(times))(t)


def branches(times: Any, values: Any, t: Any) -> Any:
    """A branch for each piece."""
    number = jnp.sum(t >= times)
    parts = [lambda value=value: value for value in values]
    return jax.lax.switch(number, parts)


def whole_parts(times: Any, values: Any, t: Any) -> Any:
    """Evenly spaced switches, counted by a whole part."""
    gap = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 1.0
    number = jnp.floor((t - times[0]) / gap).astype(int) + 1
    return values[jnp.clip(number, 0, len(times))]


def bent(times: Any, values: Any, t: Any) -> Any:
    """A broken line through a table, which bends at each time."""
    return jnp.interp(t, times, values[:-1])


WAYS = (piecewise, nested, table, signs, joined, branches, whole_parts, bent)


class Written(eqx.Module):
    """A schedule that switches, written in one way."""

    times: Any
    values: Any
    way: Callable[..., Any] = eqx.field(static=True)

    def __call__(self, t: Any) -> Any:
        return self.way(self.times, self.values, t)


class Case(NamedTuple):
    """Schedules, rows of four; losses of the coordinates; start; directions."""

    way: Callable[..., Any]
    kinked: bool
    times: np.ndarray
    values: np.ndarray
    losses: list[Loss]
    x0: np.ndarray
    v0: np.ndarray
    weights: np.ndarray
    direction: tuple[np.ndarray, np.ndarray]


def draw(seed: int, number: int) -> Case:
    """The case of a number."""
    rng = np.random.default_rng([seed, number])
    way, kinked = WAYS[number % len(WAYS)], bool(number // len(WAYS) % 2)
    count = int(rng.choice(COUNTS))
    times, moves = _times(rng, way, count)
    values = rng.uniform(0.1, 2.0, (4, count + 1))
    for row in values:
        for i in np.flatnonzero(rng.random(count) < 0.3):
            row[i + 1] = row[i]  # It does not switch here.
    losses = [
        Loss(
            rng.uniform(0.5, 3.0),
            rng.uniform(0.0, 0.5),
            rng.uniform(0.1, 1.0) if kinked else 0.0,
            rng.uniform(-0.5, 0.5) if kinked else 0.0,
        )
        for _ in range(DIM)
    ]
    return Case(
        way,
        kinked,
        times,
        values,
        losses,
        rng.normal(size=DIM),
        rng.normal(size=DIM),
        rng.normal(size=(2, OUTPUTS, DIM)),
        (moves, rng.normal(size=values.shape)),
    )


def _times(
    rng: np.random.Generator, way: Callable[..., Any], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Times of switches of the four coefficients, and how they move."""
    together = rng.random() < 0.5
    if way is whole_parts:
        index = np.arange(count)
        first = rng.uniform(0.05, 0.5, (4, 1))
        gaps = (0.95 * END - first) / count * rng.uniform(0.5, 1.0, (4, 1))
        times = first + gaps * index
        moves = rng.normal(size=(4, 1)) + rng.normal(size=(4, 1)) * index / count
    else:
        cuts = rng.dirichlet(np.full(count + 1, 3.0), 4)
        times = END * np.cumsum(cuts, axis=1)[:, :-1]
        moves = rng.normal(size=times.shape)
    if together:
        times, moves = (np.repeat(rows[:1], 4, axis=0) for rows in (times, moves))
    return times, moves


def stretches(way: Callable[..., Any], times: np.ndarray, values: np.ndarray) -> list:
    """The coefficients from switch to switch."""
    ends = np.unique(np.concatenate([[0.0, END], times.ravel()]))
    ends = ends[(ends >= 0) & (ends <= END)]
    found = []
    for start, end in itertools.pairwise(ends):
        if way is bent:
            pairs = list(zip(times, values[:, :-1], strict=True))
            rows = [[np.interp(t, *pair) for pair in pairs] for t in (start, end)]
        else:
            pairs = zip(times, values, strict=True)
            middle = 0.5 * (start + end)
            row = [held[np.searchsorted(switches, middle)] for switches, held in pairs]
            rows = [row, row]
        found.append(Stretch(start, end, np.array(rows)))
    return found


def oracle(case: Case, times: np.ndarray, values: np.ndarray, at: np.ndarray) -> Any:
    """Positions and velocities, of shape (2, outputs, dim)."""
    pieces = stretches(case.way, times, values)
    starts = zip(case.losses, case.x0, case.v0, strict=True)
    columns = [motion(loss, pieces, y, v, at) for loss, y, v in starts]
    return np.stack(columns, axis=-1).transpose(1, 0, 2)


def waves(data: Any, x: Any) -> Any:
    """The smooth part of the loss."""
    curvature, wave = data[0], data[1]
    return jnp.sum(0.5 * curvature * x**2 - wave * jnp.cos(x))


def kinked_waves(data: Any, x: Any) -> Any:
    """The loss."""
    return waves(data, x) + jnp.sum(data[2] * jnp.abs(x - data[3]))


def simulate(case: Case, times: Any, values: Any, part: float = 1.0) -> ds.Trajectory:
    """The run of a case with some times and values of its schedules.

    Args:
        case: The case.
        times: The times.
        values: The values.
        part: Part of the tolerances that it is run with.
    """
    data = [jnp.asarray(column) for column in zip(*case.losses, strict=True)]
    rows = zip(times, values, strict=True)
    schedules = [Written(*row, case.way) for row in rows]
    loss = Partial(kinked_waves if case.kinked else waves, data)
    return ds.simulate(
        ds.InertialNewton(loss, *schedules),
        jnp.asarray(case.x0),
        jnp.asarray(case.v0),
        t1=END,
        times=OUTPUTS,
        rtol=part * RTOL,
        atol=part * ATOL,
        throw=False,
    )


def run_case(seed: int, number: int) -> Outcome:
    """Compare a case with its oracle."""
    case = draw(seed, number)
    row = f"{case.way.__name__}, {'kinked' if case.kinked else 'smooth'}"
    outcome = functools.partial(Outcome, number, row)
    run, _ = _run_and_rates(case)
    if not run.result.ok:
        return outcome(Verdict.REFUSED, note=run.result.message)
    right = oracle(case, case.times, case.values, np.asarray(run.t))
    sizes = np.abs(right).max(axis=(1, 2), keepdims=True)
    error = np.abs(np.stack([run.x, run.v]) - right) / (ATOL + RTOL * sizes)
    worst = float(error.max())
    if worst > ALLOWED:
        at = np.unravel_index(error.argmax(), error.shape)
        return outcome(Verdict.WRONG, worst, f"{'xv'[at[0]]} at t = {run.t[at[1]]}")
    events = np.asarray(run.events.t)[: int(run.events.count)]
    is_near = np.abs(np.asarray(run.t)[:, None] - events[None]) < NEAR
    case.weights[:, is_near.any(axis=1)] = 0.0  # Differences there go across a jump.
    off = _off(case)
    if off <= ALLOWED_SLOPE:
        return outcome(Verdict.RIGHT, worst, f"derivative within {off:.1e}")
    finer = _off(case, FINER)
    note = f"derivative off by {off:.1e} of its size, and by {finer:.1e} in a finer run"
    verdict = Verdict.RIGHT if finer <= 0.1 * ALLOWED_SLOPE else Verdict.WRONG
    return outcome(verdict, worst, note)


def _off(case: Case, part: float = 1.0) -> float:
    """How far a derivative is from differences, relative to the sizes of its terms."""
    _, rates = _run_and_rates(case, part)
    pairs = zip(rates, case.direction, strict=True)
    terms = np.concatenate([np.ravel(rate * move) for rate, move in pairs])
    return float(abs(terms.sum() - _difference(case)) / np.abs(terms).sum())


def _run_and_rates(case: Case, part: float = 1.0) -> tuple[ds.Trajectory, Any]:
    """The run, and the derivatives of a mixture of its outputs."""

    def goal(times: Any, values: Any) -> Any:
        run = simulate(case, times, values, part)
        return jnp.sum(case.weights * jnp.stack([run.x, run.v])), run

    point = jnp.asarray(case.times), jnp.asarray(case.values)
    rates, run = jax.grad(goal, (0, 1), has_aux=True)(*point)
    return run, rates


def _difference(case: Case) -> float:
    """The derivative of that mixture along the direction, by central differences."""

    def goal(step: float) -> float:
        times = case.times + step * case.direction[0]
        values = case.values + step * case.direction[1]
        right = oracle(case, times, values, np.linspace(0, END, OUTPUTS))
        return float(np.sum(case.weights * right))

    return (goal(STEP) - goal(-STEP)) / (2 * STEP)


def run_cases(seed: int, numbers: Sequence[int]) -> list[Outcome]:
    """Compare some cases with their oracles."""
    return [run_case(seed, number) for number in numbers]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases and print a table."""
    args = parser(__doc__, cases=200).parse_args(arguments)
    set_up()
    groups = defaultdict(list)
    for number in args.only or range(args.cases):
        case = draw(args.seed, number)
        groups[case.way, case.kinked, case.times.shape].append(number)
    study = functools.partial(run_cases, args.seed)
    return report(work_off(study, list(groups.values()), args.jobs))


if __name__ == "__main__":
    sys.exit(main())

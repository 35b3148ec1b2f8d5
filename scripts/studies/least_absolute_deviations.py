r"""Least absolute deviations with an exact fit, and medians, against linear programs.

`python -m scripts.studies.least_absolute_deviations [--cases 270] [--seed 0] [--only 17]
[--jobs 2]`

The first 200 cases are medians of integer samples: $\sum_i |x - y_i|$ has to end in the
interval of medians. The others have the loss $\frac1n \sum_i |A x - y|_i$, with
$y = A x^\ast$, so that all $n$ kinks meet at the fit.
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
from scipy.optimize import linprog

import dynsys as ds
from scripts.studies.verdicts import Outcome, Verdict, parser, report, set_up, work_off

MEDIANS = 200
SIZES = (3, 4, 5, 8, 13, 20, 30)
SHAPES = ((10, 2), (10, 5), (10, 10), (100, 2), (100, 10), (1000, 2), (1000, 10))
BLOCK = 5

FIT_CASES = ("real", "integers", "ties")

OUTPUTS = 9

MOST_EVENTS = 4096

ACCEPTED = 1e-6
"""What the fit may be off by, relative to its size."""


class Fit(NamedTuple):
    """Rows and right-hand side of a fit, and where the search for it starts."""

    rows: np.ndarray
    right: np.ndarray
    start: np.ndarray

    def solution(self) -> np.ndarray:
        """The fit, by a linear program."""
        count, dim = self.rows.shape
        cost = np.concatenate([np.zeros(dim), np.ones(count)])
        eye = np.eye(count)
        above = np.block([[self.rows, -eye], [-self.rows, -eye]])
        bound = np.concatenate([self.right, -self.right])
        bounds = [(None, None)] * dim + [(0, None)] * count
        return linprog(cost, A_ub=above, b_ub=bound, bounds=bounds).x[:dim]

    @property
    def time(self) -> float:
        r"""By when gradient flow has arrived.

        The loss is at least $\sigma r$ at a distance $r$ from the fit, with $\sigma$ the
        smallest singular value over the number of rows. So is $r$ times the norm of each
        subgradient, and $r$ falls at a speed of at least $\sigma$.
        """
        sharpness = np.linalg.svd(self.rows, compute_uv=False)[-1] / len(self.rows)
        fit = np.linalg.lstsq(self.rows, self.right)[0]
        return float(np.linalg.norm(self.start - fit) / sharpness)


def mean_deviation(data: Any, x: Any) -> Any:
    """The mean absolute deviation of a linear fit."""
    rows, right = data
    return jnp.mean(jnp.abs(rows @ x - right))


def deviation(sample: Any, x: Any) -> Any:
    """The sum of distances to a sample."""
    return jnp.sum(jnp.abs(x - sample))


def draw_fit(seed: int, number: int, mode: str, shape: tuple[int, int]) -> Fit:
    """Rows of full rank with an exact fit."""
    rng = np.random.default_rng([seed, 2, number])
    count, dim = shape
    while True:
        rows = rng.normal(0, 1, shape)
        if mode == "integers":
            rows = np.round(2 * rows)
        elif mode == "ties":
            different = max(dim, count // 3)
            rows = np.round(2 * rows)[rng.integers(0, different, count)]
            rows[:dim] = np.round(2 * rng.normal(0, 1, (dim, dim)))
        if np.linalg.svd(rows, compute_uv=False)[-1] > 0.2:
            break
    solution = rng.normal(0, 2, dim)
    start = solution + rng.normal(0, 1, dim)
    if mode != "real":
        solution, start = np.round(solution), np.round(start)
    return Fit(rows, rows @ solution, start)


def draw_sample(seed: int, number: int, size: int) -> tuple[np.ndarray, float]:
    """Integers, with ties more often than not, and a start."""
    rng = np.random.default_rng([seed, 3, number])
    spread = rng.choice([3, 10, 50])
    offset = rng.choice([0, 0, 300, 1990, 100_000])
    sample = offset + rng.integers(-spread, spread + 1, size)
    start = offset + rng.uniform(-2 * spread, 2 * spread)
    return sample.astype(float), float(np.round(start) if rng.random() < 0.5 else start)


def kind_of(seed: int, number: int) -> tuple[str, Any]:
    """Row of the table and what tells the compiled program of a case."""
    rng = np.random.default_rng([seed, 1, number // BLOCK])
    if number < MEDIANS:
        return "median", int(rng.choice(SIZES))
    shape = SHAPES[number // BLOCK % len(SHAPES)]
    return ("gradient flow", "g-DIN")[number // BLOCK // len(SHAPES) % 2], shape


def simulate(system: Any, start: Any, end: float) -> Any:
    """Run a case."""
    return ds.simulate(
        system,
        jnp.asarray(start),
        t1=end,
        times=OUTPUTS,
        rtol=1e-8,
        atol=1e-10,
        max_events=MOST_EVENTS,
        throw=False,
    )


def run_median(seed: int, number: int, size: int) -> Outcome:
    """Gradient flow of the distances to a sample, which falls by 1 a time at least."""
    sample, start = draw_sample(seed, number, size)
    end = abs(start - sample.mean()) + np.ptp(sample) + 1
    low, high = np.sort(sample)[[(size - 1) // 2, size // 2]]
    system = ds.GradientFlow(Partial(deviation, jnp.asarray(sample)))

    def off(x: np.ndarray) -> np.ndarray:
        return np.maximum(np.maximum(low - x, x - high), 0)

    accepted = 1e-9 * (1 + np.abs(sample).max())
    name = f"n = {size}, {low:g} to {high:g}"
    return _judged(
        number, "median", name, lambda: simulate(system, start, end), off, accepted
    )


def run_fit(seed: int, number: int, name: str, shape: tuple[int, int]) -> Outcome:
    """Gradient flow or g-DIN of the mean absolute deviation: at the fit in the end."""
    mode = FIT_CASES[number % len(FIT_CASES)]
    fit = draw_fit(seed, number, mode, shape)
    objective = Partial(mean_deviation, (jnp.asarray(fit.rows), jnp.asarray(fit.right)))
    flows = name == "gradient flow"
    system = ds.GradientFlow(objective) if flows else ds.GDIN(objective, 1.0, 0.3)
    # Of an inertial solution such a time is not known: this is ample.
    end = 2 * fit.time if flows else 8 * fit.time + 60
    solution = fit.solution()
    size = 1 + np.abs(solution).max()
    accepted = ACCEPTED * size
    off = lambda x: np.abs(x - solution).max(axis=-1)
    about = f"{mode}, {shape[0]} x {shape[1]}"
    run = lambda: simulate(system, fit.start, end)
    return _judged(number, name, about, run, off, accepted)


def _judged(
    number: int,
    row: str,
    about: str,
    run: Callable[[], Any],
    off: Callable[[np.ndarray], np.ndarray],
    accepted: float,
) -> Outcome:
    """Whether a run was where it has to be in the second half of its time, and stayed."""
    try:
        found = run()
    except (ValueError, TypeError, ds.SimulationError) as error:
        first = f"{type(error).__name__}: {str(error).splitlines()[0][:150]}"
        return Outcome(number, row, Verdict.REFUSED, 0.0, f"{about} {first}")
    if not bool(found.result.ok):
        message = found.result.message[:150]
        return Outcome(number, row, Verdict.REFUSED, 0.0, f"{about} {message}")
    error = float(off(np.asarray(found.x[OUTPUTS // 2 + 1 :])).max())
    verdict = Verdict.RIGHT if error <= accepted else Verdict.WRONG
    if not bool(found.unique):
        verdict = Verdict.DOUBTED if error <= accepted else Verdict.FLAGGED
    return Outcome(number, row, verdict, error, about)


def run_group(seed: int, numbers: Sequence[int]) -> list[Outcome]:
    """Run cases that share a compiled program."""
    outcomes = []
    for number in numbers:
        row, shape = kind_of(seed, number)
        if row == "median":
            outcomes.append(run_median(seed, number, shape))
        else:
            outcomes.append(run_fit(seed, number, row, shape))
    jax.clear_caches()
    return outcomes


def groups_of(seed: int, numbers: Sequence[int]) -> list[list[int]]:
    """Numbers of cases by the compiled program that they share."""
    groups = defaultdict(list)
    for number in numbers:
        groups[kind_of(seed, number)].append(number)
    return list(groups.values())


def main() -> int:
    """Run the study as the command line asks."""
    asked = parser(__doc__, MEDIANS + 2 * BLOCK * len(SHAPES)).parse_args()
    set_up()
    numbers = range(asked.cases) if asked.only is None else asked.only
    study = functools.partial(run_group, asked.seed)
    return report(work_off(study, groups_of(asked.seed, numbers), asked.jobs))


if __name__ == "__main__":
    sys.exit(main())

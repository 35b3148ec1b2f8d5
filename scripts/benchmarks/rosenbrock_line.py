r"""g-DIN on the smooth Rosenbrock function from a line of starts, without JAX.

$\alpha = 2$, $\beta = 0.1$, at rest on the line from $(-2, 2)$ to $(2, -1)$, $T = 20$. The
processes of the pool import this module, and nothing that would start JAX in them.
"""

import concurrent.futures
import copy
import multiprocessing
import multiprocessing.pool
import os
from typing import Any

import heyoka
import numpy as np
import scipy.integrate

from scripts.benchmarks.timing import Contestant

ALPHA, BETA, END = 2.0, 0.1, 20.0
CORES = len(os.sched_getaffinity(0))
REFERENCE = 1e-15
"""Tolerance of the reference, whose positions agree with those of SciPy to about 1e-13."""


def starts(members: int) -> np.ndarray:
    """Positions on the line, of shape `(members, 2)`."""
    share = np.linspace(0.0, 1.0, members)[:, None]
    return (1 - share) * np.array([-2.0, 2.0]) + share * np.array([2.0, -1.0])


def states(positions: np.ndarray) -> np.ndarray:
    """States at rest, of shape `(members, 4)`."""
    slopes = np.stack(gradient(*positions.T), axis=1)
    psi = (1 - ALPHA * BETA) * positions - BETA**2 * slopes
    return np.concatenate([positions, psi], axis=1)


def gradient(x: Any, y: Any) -> tuple[Any, Any]:
    """Gradient of the objective, for numbers, arrays and expressions of heyoka."""
    step = y - x * x
    return -2.0 * (1.0 - x) - 400.0 * x * step, 200.0 * step


def rates(x: Any, y: Any, p: Any, q: Any) -> tuple[Any, Any, Any, Any]:
    """The field, for numbers and expressions of heyoka."""
    g0, g1 = gradient(x, y)
    c0 = (1 / BETA - ALPHA) * x - p / BETA
    c1 = (1 / BETA - ALPHA) * y - q / BETA
    return c0 - BETA * g0, c1 - BETA * g1, c0, c1


def batches(begin: np.ndarray, tolerance: float, batch: int) -> Contestant:
    """The Taylor method of heyoka on batches, in as many threads as there are cores.

    Args:
        begin: The states at the start; their number is a multiple of `batch`.
        tolerance: The tolerance of heyoka.
        batch: States side by side in the vector units.
    """
    variables = heyoka.make_vars("x", "y", "p", "q")
    equations = list(zip(variables, rates(*variables), strict=True))
    first = heyoka.taylor_adaptive_batch(equations, np.zeros((4, batch)), tol=tolerance)
    integrators = [first, *(copy.deepcopy(first) for _ in range(CORES - 1))]
    pool = concurrent.futures.ThreadPoolExecutor(CORES)

    def solve() -> np.ndarray:
        ends = np.empty((len(begin), 2))

        def work(core: int) -> None:
            integrator = integrators[core]
            for i in range(core * batch, len(begin), CORES * batch):
                integrator.set_time(np.zeros(batch))
                integrator.state[:] = begin[i : i + batch].T
                integrator.propagate_until(np.full(batch, END))
                ends[i : i + batch] = integrator.state[:2].T

        list(pool.map(work, range(CORES)))
        return ends

    return Contestant(f"heyoka, batches of {batch}", solve)


def reference(begin: np.ndarray) -> np.ndarray:
    """The last positions, by heyoka."""
    return batches(begin, REFERENCE, 8).solve()


def processes() -> multiprocessing.pool.Pool:
    """As many processes as there are cores; JAX does not survive a fork."""
    return multiprocessing.get_context("spawn").Pool(CORES)


def scipy_in(
    pool: multiprocessing.pool.Pool, begin: np.ndarray, method: str, tolerance: float
) -> Contestant:
    """`scipy.integrate.solve_ivp` in the processes of a pool."""
    jobs = [(method, tolerance, state) for state in begin]

    def solve() -> np.ndarray:
        return np.stack(pool.map(_last_position, jobs, chunksize=8))

    return Contestant(f"SciPy {method}, {CORES} processes", solve)


def _last_position(job: tuple[str, float, np.ndarray]) -> np.ndarray:
    method, tolerance, state = job
    field = lambda _, y: rates(*y.tolist())
    solution = scipy.integrate.solve_ivp(
        field, (0.0, END), state, method, [END], rtol=tolerance, atol=tolerance
    )
    return solution.y[:2, -1]

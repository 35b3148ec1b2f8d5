"""Whether explicit steps will do for an ensemble, by how fast some of its members are."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.cached_call import cached_call, join, split
from dynsys.integrators.engine.problem import Known
from dynsys.integrators.ensemble.member import Numbers, start_of_member
from dynsys.integrators.solvers.by_need import rates_along
from dynsys.integrators.solvers.default_solver import SMALL
from dynsys.linear_solve import ROLLED
from dynsys.trees import as_position, time_dtype

STARTS = 4
"""Members that are looked at."""

MILD = 1500.0
"""Length of the interval times the fastest rate, up to which steps are explicit.

Stability asks Tsit5 for a third as many steps. A step of Rodas5P in 32 dimensions takes
seven times as long in an ensemble, where LAPACK factorises matrices one by one, and 40 to
60 steps lead over the intervals of the examples."""


def is_undecided(size: int) -> bool:
    """Whether it depends on the rates which solver is faster.

    Args:
        size: Coordinates of a state.
    """
    return 2 * ROLLED < size <= SMALL


def known_of(
    case: Callable[..., Any], numbers: Numbers, names: tuple[str, ...], arrays: list[Any]
) -> Known:
    """Whether some members, spread over the ensemble, are not stiff where they start.

    Args:
        case: What to simulate at a point.
        numbers: The numbers that all members share.
        names: Names of the parameters of the case.
        arrays: Their values, with the members as a first axis.
    """
    count = jax.tree.leaves(arrays)[0].shape[0]
    some = np.linspace(0, count - 1, min(count, STARTS)).round().astype(int)
    points = jax.tree.map(lambda array: np.asarray(array)[some], arrays)
    rates = np.asarray(_rates(case, numbers.t0, numbers.t1, points, names))
    length = float(numbers.t1) - float(0.0 if numbers.t0 is None else numbers.t0)
    if not np.max(rates) * length <= MILD:
        return Known(side_by_side=True)
    why = "not stiff at some of the starts, so many steps without matrices take less time"
    return Known(side_by_side=True, explicit=True, why=why)


@cached_call
def _rates(
    case: Callable[..., Any], t0: Any, t1: Any, points: list[Any], names: tuple[str, ...]
) -> Any:
    """The fastest rates of some members at their starts."""
    shared, rest = split((case, t0, t1))

    def rates(shared: list[Any], point: list[Any]) -> Any:
        case, t0, t1 = join(shared, rest)
        system, x0, v0 = start_of_member(case, dict(zip(names, point, strict=True)))
        is_state = isinstance(x0, system.state_type)
        x, v = (None if is_state or u is None else as_position("x0", u) for u in (x0, v0))
        dtype = time_dtype(system.position(x0) if is_state else x)
        start, end = (jnp.asarray(0.0 if t is None else t, dtype) for t in (t0, t1))
        return rates_along(system, start, end, x, v, x0 if is_state else None)

    return jax.vmap(rates, (None, 0))(shared, points)

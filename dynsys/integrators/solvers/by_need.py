r"""Whether a run takes explicit or implicit steps, by how fast its fastest motion is.

For stability an explicit method needs about $\rho T/3$ steps, with the fastest rate $\rho$
and the length $T$ of the interval. The flows of optimisation come to rest, so accuracy asks
for about a hundred, whatever the length. A step of Rodas5P was measured to take as long as
$1.7\sqrt n$ of Tsit5, for $n$ coordinates of the position.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsys.cached_call import cached_call
from dynsys.checks import is_concrete
from dynsys.integrators.closures import open_system
from dynsys.integrators.engine.problem import LARGE, Known
from dynsys.integrators.inclusion.choose import find_pieces
from dynsys.integrators.objective_check import NOT_TRACEABLE, check_objective
from dynsys.integrators.request import Inputs
from dynsys.integrators.solvers.default_solver import MOST_EXPLICIT
from dynsys.integrators.solvers.stiffness import fastest_rate
from dynsys.objectives.mean import Mean
from dynsys.systems.system import AbstractSystem
from dynsys.trees import Time

LEAST = 8
"""Coordinates of a state up to which steps of both kinds take about the same time."""

LIMIT = 400.0
"""Length of the interval times the fastest rate, over the square root of the number of
coordinates, up to which steps are explicit."""

LOOKS = (0.01, 0.5, 1.0)
"""Parts of the interval at which coefficients are looked at."""

MILD = "not stiff at the start, so many steps without matrices take less time"

STIFF = "stiff at the start, so implicit steps: stiffness does not shorten them"

STIFF_LATER = (
    f"not stiff at the start, but explicit steps became too short or more than "
    f"{MOST_EXPLICIT:,}, so implicit ones from the start"
)


def is_undecided(known: Known, size: int) -> bool:
    """Whether it depends on the rates which steps take less time.

    Args:
        known: What is known of the run.
        size: Coordinates of its state.
    """
    alone = not known.side_by_side and known.explicit is None
    return alone and LEAST < size <= LARGE


def known_of(inputs: Inputs, size: int, inclusion: str) -> Known:
    """What the start of a run tells; nothing of a loss with kinks, which decides itself.

    Args:
        inputs: What was asked for.
        size: Coordinates of the state.
        inclusion: Which gradients were asked for.
    """
    start = (inputs.x0, inputs.v0, inputs.state)
    try:
        rates = _rates(inputs.system, inputs.t0, inputs.t1, *start, inclusion)
    except NOT_TRACEABLE:
        return Known()  # What is wrong is said where the run itself is traced.
    # What a loss closes over may be traced.
    if rates is None or not (is_concrete(rates) and np.isfinite(rates).all()):
        return Known()
    length = float(inputs.t1) - float(inputs.t0)
    explicit = bool(np.max(np.asarray(rates)) * length <= LIMIT * size**0.5)
    return Known(explicit=explicit, why=MILD if explicit else STIFF)


@cached_call
def _rates(
    system: AbstractSystem, t0: Time, t1: Time, x0: Any, v0: Any, state: Any, inclusion: str
) -> Float[Array, " looks"] | None:
    """The fastest rates of a run without kinks."""
    x = x0 if state is None else system.position(state)
    check_objective(system, x)
    opened = open_system(system, t0, x)
    terms = system.objective.terms if isinstance(system.objective, Mean) else ()
    pieces, obstacle = find_pieces(opened, terms, x, inclusion)
    if pieces is not None or obstacle is not None:
        return None
    return rates_along(opened, t0, t1, x0, v0, state)


def rates_along(
    system: AbstractSystem, t0: Time, t1: Time, x0: Any, v0: Any, state: Any
) -> Float[Array, " looks"]:
    """The fastest rate at a start, with the coefficients of some times.

    Args:
        system: The system.
        t0: Start of the interval.
        t1: Its end.
        x0: Position; `None` if a state is given.
        v0: Velocity; `None` at rest.
        state: The state, if that is given.
    """

    def rate(part: Float[Array, ""]) -> Float[Array, ""]:
        t = t0 + part * (t1 - t0)
        begin = system.initial_state(t, x0, v0) if state is None else state
        return fastest_rate(system, t, begin)

    return jax.lax.map(rate, jnp.asarray(LOOKS, t0.dtype))

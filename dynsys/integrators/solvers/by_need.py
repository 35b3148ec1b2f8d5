"""Whether a run takes explicit or implicit steps, by how fast its fastest motion is.

An explicit method takes a third of the length of the interval times the fastest rate in
steps, to be stable. The flows of optimisation come to rest, so accuracy asks for about a
hundred, whatever the length. A step of Rodas5P takes longer than one of Tsit5 by a factor
that was measured to go by the square root of the dimension, 5 in 8 dimensions and 27 in
256: an ensemble has its own limit, because matrices of many runs take longer.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsys.cached_call import cached_call
from dynsys.integrators.engine.problem import LARGE, Known
from dynsys.integrators.request import Inputs
from dynsys.integrators.solvers.stiffness import fastest_rate

LEAST = 8
"""Coordinates of a state up to which steps of both kinds take about the same time."""

LIMIT = 400.0
"""Length of the interval times the fastest rate, over the square root of the number of
coordinates, up to which steps are explicit."""

LOOKS = (0.01, 0.5, 1.0)
"""Parts of the interval at which coefficients are looked at."""

MOST_EXPLICIT = 2**15
"""Explicit steps after which a run starts again with implicit ones."""

MILD = "not stiff at the start, so many steps without matrices take less time"

STIFF = "stiff at the start, so implicit steps: stiffness does not shorten them"

STIFF_LATER = Known(
    explicit=False,
    why=f"not stiff at the start, but {MOST_EXPLICIT:,} explicit steps did not lead to the "
    f"end: implicit steps",
)


def is_undecided(known: Known, size: int) -> bool:
    """Whether it depends on the rates which steps take less time.

    Args:
        known: What is known of the run.
        size: Coordinates of its state.
    """
    alone = not known.side_by_side and known.explicit is None
    return alone and LEAST < size <= LARGE


def known_of(inputs: Inputs, size: int) -> Known:
    """What the start of a run tells.

    Args:
        inputs: What was asked for.
        size: Coordinates of the state.
    """
    start = (inputs.x0, inputs.v0, inputs.state)
    rates = np.asarray(_rates(inputs.system, inputs.t0, inputs.t1, *start))
    if not np.isfinite(rates).all():
        return Known()
    length = float(inputs.t1) - float(inputs.t0)
    explicit = bool(np.max(rates) * length <= LIMIT * size**0.5)
    return Known(explicit=explicit, why=MILD if explicit else STIFF)


@cached_call
def _rates(
    system: Any, t0: Any, t1: Any, x0: Any, v0: Any, state: Any
) -> Float[Array, " looks"]:
    """The fastest rate at the start, with the coefficients of some times."""

    def rate(part: Float[Array, ""]) -> Float[Array, ""]:
        t = t0 + part * (t1 - t0)
        begin = system.initial_state(t, x0, v0) if state is None else state
        return fastest_rate(system, t, begin)

    return jax.lax.map(rate, jnp.asarray(LOOKS, t0.dtype))

"""Whether a run can go on from an event."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from dynsys.integrators.inclusion.piece_system import PieceSystem
from dynsys.nonsmooth.active_set import Settled
from dynsys.result import Status, select
from dynsys.systems.system import State

CONTINUOUS = 1e-7
"""Gap, relative to the values on both sides, up to which these are equal: approximations
of special functions have gaps of 4e-9 between their pieces."""


def verdict_on(
    system: PieceSystem, state: State, settled: Settled, near: Bool[Array, " kinks"]
) -> tuple[Int[Array, ""], Bool[Array, " kinks"]]:
    """Whether a run can go on from an event, as a `Status`, and where it cannot.

    Args:
        system: The system in the mode before.
        state: State, on the surfaces.
        settled: The signs after it.
        near: The kinks that were met.
    """
    jumps = near & _loss_jumps(system, state, settled)
    bends = jnp.zeros_like(near) if system.system.has_feedback else near & settled.bends
    unsettled = near & ~settled.settled
    code = select(
        (jnp.any(jumps), Status.LOSS_JUMPS),
        (jnp.any(bends), Status.GRADIENT_JUMPS),
        (~settled.settled, Status.UNSETTLED),
    )
    return code, jumps | bends | unsettled


def _loss_jumps(
    system: PieceSystem, state: State, settled: Settled
) -> Bool[Array, " kinks"]:
    """The kinks across which the loss is seen to jump, among those not proved to be none.

    Args:
        system: The system in the mode before.
        state: State, on the surfaces.
        settled: The signs after the event.
    """
    pieces: Any = system.objective
    unproved = jnp.asarray(pieces.unproved, bool)
    if not any(pieces.unproved):
        return jnp.zeros_like(settled.bends)
    x = system.position(state)
    gap, size = pieces.gaps(x, settled.signature)
    # Next to a kink, and not on it, both sides differ by what the gradient jumps by.
    z = jnp.abs(pieces.switching(x, settled.signature))
    length = jnp.where(settled.ties.length > 0, settled.ties.length, 1)
    beside = 4 * settled.ties.jump * z / length
    unit = float(jnp.finfo(gap.dtype).eps)
    return unproved & (gap > max(CONTINUOUS, 64 * unit) * size + beside)

"""The start of an inclusion, which may lie on kinks."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from dynsys.integrators.inclusion.mode import Sides
from dynsys.integrators.inclusion.piece_system import PieceSystem
from dynsys.integrators.inclusion.saltation import without_derivative
from dynsys.integrators.inclusion.turn import Turn
from dynsys.nonsmooth.pieces import Pieces
from dynsys.nonsmooth.ties import generic
from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import Position, constant


class Start(NamedTuple):
    """What was found at the start.

    Args:
        sides: The mode that the inclusion starts in.
        bends: The kinks that it lies on, across which the gradient jumps.
    """

    sides: Sides
    bends: Bool[Array, " kinks"]


def across_kinks(pieces: Pieces, x0: Position, bends: Bool[Array, " kinks"]) -> Any:
    """The coordinates of a position that move it off some kinks that it lies on."""
    at, fixed = constant((x0, pieces))
    signature = fixed.signature(at)
    z, pull = jax.vjp(lambda x: fixed.switching(x, signature), at)
    # A combination of their normals in which no two of them cancel.
    weights = jnp.where(bends, generic(fixed.number), 0).astype(z.dtype)
    return jax.tree.map(lambda leaf: leaf != 0, pull(weights)[0])


def off_kinks(
    system: AbstractSystem, pieces: Pieces, state: State, bends: Bool[Array, " kinks"]
) -> State:
    """A state at the start, without a derivative across the kinks that it lies on."""
    x0 = system.position(state)
    across = across_kinks(pieces, x0, bends)
    return eqx.tree_at(system.position, state, without_derivative(x0, across))


def at_the_start(
    system: PieceSystem, happened: Turn, state: State, starts: Bool[Array, ""]
) -> Turn:
    """A turn, which at the start has no past: no time that moves, and a state as given.

    Args:
        system: The system in the mode before.
        happened: The turn.
        state: State before it.
        starts: Whether it is at the start.
    """
    choose = lambda new, old: jax.tree.map(lambda a, b: jnp.where(starts, a, b), new, old)
    bends = happened.at & happened.bends
    jump = happened.saltation
    zero = jnp.zeros_like
    return happened._replace(
        state=choose(off_kinks(system, system.objective, state, bends), happened.state),
        bends=choose(bends, happened.bends),
        saltation=jump._replace(
            shift=choose(zero(jump.shift), jump.shift),
            exists=jump.exists | starts,
            lost=choose(zero(jump.lost), jump.lost),
        ),
    )

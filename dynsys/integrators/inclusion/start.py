"""The start of an inclusion, which may lie on kinks."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from dynsys.integrators.inclusion.mode import Mode, free_mode
from dynsys.integrators.inclusion.piece_system import REACH
from dynsys.integrators.inclusion.saltation import without_derivative
from dynsys.integrators.inclusion.turn import in_mode, mode_after, settle_signs
from dynsys.integrators.inclusion.verdict import verdict_on
from dynsys.integrators.problem import Problem
from dynsys.nonsmooth.ties import generic
from dynsys.systems.system import State
from dynsys.trees import constant


class Start(NamedTuple):
    """The mode that an inclusion starts in.

    Args:
        state: The state.
        free: The mode as if it lay on none.
        mode: The mode.
        touching: The kinks that it lies on.
        bends: Those across which the gradient jumps.
        across: The coordinates of the position that move it off them.
        unique: Whether no other mode is consistent.
        rests: Whether it lies on a kink and has no velocity across it.
        code: A `Status`, success if the run can go on.
        fatal: The kinks at which it cannot.
    """

    state: State
    free: Mode
    mode: Mode
    touching: Bool[Array, " kinks"]
    bends: Bool[Array, " kinks"]
    across: Any
    unique: Bool[Array, ""]
    rests: Bool[Array, ""]
    code: Int[Array, ""]
    fatal: Bool[Array, " kinks"]


def start_of(problem: Problem) -> Start:
    """The mode at the start."""
    system, t0, state = problem.system, problem.t0, problem.state
    pieces: Any = system.objective
    x0 = system.position(state)
    signature = pieces.signature(x0)
    free = free_mode(signature, constant(pieces.sizes(x0)))
    piece = in_mode(problem, free)
    z = pieces.switching(x0, signature)
    touching = jnp.abs(z) <= REACH * piece.slack(state)
    none = jnp.zeros_like(touching)
    settled = constant(settle_signs(piece, t0, state, signature, touching, none))
    mode, _ = constant(mode_after(piece, settled, state))
    mixed = jnp.asarray(pieces.mixed, bool)
    bends = touching & (settled.bends | mixed)
    _, pull = jax.vjp(lambda x: pieces.switching(x, signature), x0)
    # A combination of their normals in which no two of them cancel.
    weights = jnp.where(bends, generic(pieces.number), 0).astype(z.dtype)
    across = jax.tree.map(lambda leaf: leaf != 0, pull(weights)[0])
    state = eqx.tree_at(system.position, state, without_derivative(x0, across))
    unique = settled.unique & ~jnp.any(touching & mixed)
    rests = jnp.any(bends & settled.rests)
    verdict = verdict_on(piece, state, settled, touching)
    return Start(state, free, mode, touching, bends, across, unique, rests, *verdict)

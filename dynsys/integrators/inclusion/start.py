"""The start of an inclusion, which may lie on kinks."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from dynsys.integrators.inclusion.mode import Mode
from dynsys.integrators.inclusion.saltation import without_derivative
from dynsys.integrators.inclusion.transition import transition
from dynsys.integrators.inclusion.turn import in_mode
from dynsys.integrators.problem import Problem
from dynsys.systems.system import State
from dynsys.trees import as_vector, constant, dimension, from_vector


class Start(NamedTuple):
    """The mode that an inclusion starts in.

    Args:
        state: The state.
        free: The mode as if it lay on none.
        mode: The mode.
        touching: The kinks that it lies on.
        across: The coordinates of the position that move it off them.
        unique: Whether no other mode is consistent.
        rests: Whether it lies on a kink and has no velocity across it.
    """

    state: State
    free: Mode
    mode: Mode
    touching: Bool[Array, " kinks"]
    across: Any
    unique: Bool[Array, ""]
    rests: Bool[Array, ""]


def start_of(problem: Problem) -> Start:
    """The mode at the start."""
    system, t0, state = problem.system, problem.t0, problem.state
    pieces: Any = system.objective
    x0 = system.position(state)
    free = Mode(pieces.signature(x0), jnp.zeros(pieces.number, bool))
    piece = in_mode(problem, free)
    touching = jnp.abs(piece.guards(t0, state)) <= piece.slack(state)
    first = transition(piece, t0, state, touching, jnp.zeros_like(touching))
    mode = constant(first.mode)
    number = min(pieces.number, dimension(x0) + 2)
    which = jnp.nonzero(touching, size=number, fill_value=0)[0]
    _, normals = pieces.normals(x0, free.signature, which)
    leaves = jnp.any(touching[which][:, None] & (normals != 0), axis=0)
    across = jax.tree.map(
        lambda leaf: leaf != 0, from_vector(leaves.astype(normals.dtype), x0)
    )
    state = eqx.tree_at(system.position, state, without_derivative(x0, across))
    unique = first.unique & ~jnp.any(touching & jnp.asarray(pieces.mixed, bool))
    velocity = in_mode(problem, mode).velocity(t0, state)
    speeds = normals @ as_vector(velocity)
    small = 1e3 * jnp.finfo(speeds.dtype).eps
    rests = jnp.any(touching[which] & (jnp.abs(speeds) <= small))
    return Start(state, free, mode, touching, across, unique, rests)

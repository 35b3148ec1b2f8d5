"""Whether the parts of a trajectory agree with each other."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.analysis.points import at_times, rows
from dynsys.in_chunks import in_chunks
from dynsys.switches import in_window
from dynsys.switches.window import resolution
from dynsys.trajectory import Trajectory
from dynsys.trees import as_vector

SAME_LOSS = 1e-8
"""Relative difference up to which two losses are one, in 64 bits; 1e-4 in 32."""

ROUNDING = 64
"""Precisions of the largest number along time, or in it, that an output may be off."""


def output_gap(trajectory: Trajectory) -> float:
    """How far outputs are from the dense output, in tolerances: the largest of all."""
    dense, system = trajectory.dense, trajectory.system
    assert dense is not None
    times = np.clip(np.asarray(trajectory.t), float(dense.t0), float(dense.t1))
    states = at_times(_state, times, dense)
    image = jax.vmap(system.controlled)
    going_on = (dense, system, jnp.asarray(trajectory.switches))
    expected = at_times(_going_on, times, *going_on)
    last = at_times(_going_on, np.asarray(trajectory.result.t)[None], *going_on)
    final = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], trajectory.final_state)
    terms = at_times(_terms_of_velocity, times, dense, system)
    pairs = [
        (trajectory.x, system.position(states), 0.0),
        (trajectory.v, trajectory.velocity(times), terms),
        (image(trajectory.state), image(expected), 0.0),
        (image(final), image(last), 0.0),
    ]
    return max(_apart(trajectory, *pair) for pair in pairs)


def _apart(trajectory: Trajectory, given: Any, computed: Any, terms: Any) -> float:
    """The largest difference of two pytrees of rows, in tolerances; infinite if NaN.

    Args:
        trajectory: Whose tolerances.
        given: The rows.
        computed: The same, computed again.
        terms: How large the numbers are that each is made of, if larger than the rows.
    """
    given, computed = (rows(jax.tree.map(jnp.asarray, tree)) for tree in (given, computed))
    sizes = np.abs(computed).max(axis=1)
    largest = np.maximum(sizes.max(), terms)
    floor = ROUNDING * np.finfo(computed.dtype).eps * largest
    unit = np.maximum(float(trajectory.atol) + float(trajectory.rtol) * sizes, floor)
    apart = float((np.abs(given - computed).max(axis=1) / unit).max())
    return apart if np.isfinite(apart) else np.inf


def _state(t: Any, dense: Any) -> Any:
    return dense.state(t)


def _going_on(t: Any, dense: Any, system: Any, switches: Any) -> Any:
    """The state from which a run goes on, also where coefficients switch."""
    t = t.astype(dense.t0.dtype)
    state = dense.state(t)
    if not len(switches):
        return state
    margin = resolution(dense.t0, dense.t1)
    after = in_window(system, t, t + 4 * margin, margin)
    switched = dense.system_at(t, system).restarted(after, t, state)
    at_switch = jnp.any(switches == t)
    return jax.tree.map(lambda a, b: jnp.where(at_switch, a, b), switched, state)


def _terms_of_velocity(t: Any, dense: Any, system: Any) -> Any:
    """How large the terms are that cancel in the velocity, one for each part of a state."""
    t = t.astype(dense.t0.dtype)
    there, state = dense.system_at(t, system), dense.state(t)
    _, push = jax.linearize(lambda state: there.velocity(t, state), state)
    total = jnp.zeros_like(t)
    for i, part in enumerate(state):
        rest = [jax.tree.map(jnp.zeros_like, other) for other in state]
        rest[i] = part
        total += jnp.max(jnp.abs(as_vector(push(type(state)(*rest))))).astype(t.dtype)
    return total


def loss_gap(trajectory: Trajectory) -> float:
    """How far the loss of the system is from that of which kinks were followed."""
    dense: Any = trajectory.dense
    there = dense.system_at(dense.t0, trajectory.system)
    if not hasattr(there, "mode"):
        return 0.0
    pieces = there.objective
    losses = lambda x: _losses(x, trajectory.system.objective, pieces)
    both = jax.jit(lambda xs: in_chunks(losses, xs))(trajectory.x)
    (ours, theirs), (slope, other), away = jax.tree.map(np.asarray, both)
    size = np.abs(ours).max() + np.finfo(ours.dtype).tiny
    gap = float(np.abs(ours - theirs).max() / size)
    if away.any():
        largest = np.abs(slope[away]).max() + np.finfo(slope.dtype).tiny
        gap = max(gap, float(np.abs(slope - other)[away].max() / largest))
    return gap if np.finfo(ours.dtype).bits == 64 else gap * SAME_LOSS / 1e-4


def _losses(x: Any, objective: Any, pieces: Any) -> Any:
    """Values and gradients of two losses at a point, and whether it is away from kinks."""
    signature = pieces.signature(x)
    z = pieces.switching(x, signature)
    away = jnp.all(jnp.abs(z) > 1e-6 * pieces.sizes(x))
    values = objective(x), pieces.piece(x, signature)
    slopes = jax.grad(objective)(x), pieces.gradient(x, signature)
    return values, tuple(map(as_vector, slopes)), away

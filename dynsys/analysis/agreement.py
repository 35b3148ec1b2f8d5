"""Whether the parts of a trajectory agree with each other."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.analysis.points import at_times, rows
from dynsys.in_chunks import in_chunks
from dynsys.trajectory import Trajectory
from dynsys.trees import as_vector

SAME_LOSS = 1e-8
"""Relative difference up to which two losses are one, in 64 bits; 1e-3 in 32."""


def output_gap(trajectory: Trajectory) -> float:
    """How far outputs are from the dense output, in tolerances: the largest of all."""
    dense = trajectory.dense
    assert dense is not None
    times = np.clip(np.asarray(trajectory.t), float(dense.t0), float(dense.t1))
    states = at_times(_state, times, dense)
    end = np.asarray(trajectory.result.t)[None]
    last = at_times(_state, end, dense)
    first = lambda leaf: jnp.asarray(leaf)[None]
    position = trajectory.system.position
    final = jax.tree.map(first, trajectory.final_state)
    pairs = [
        (trajectory.x, position(states)),
        (trajectory.v, trajectory.velocity(times)),
        (trajectory.state, states),
        (position(final), position(last)),
    ]
    # Where a coefficient switches at the end, the last state is that after it.
    if not (np.asarray(trajectory.switches) == end).any():
        pairs.append((final, last))
    return max(_apart(trajectory, *pair) for pair in pairs)


def _apart(trajectory: Trajectory, given: Any, computed: Any) -> float:
    """The largest difference of two pytrees of rows, in tolerances; infinite if NaN."""
    given, computed = (rows(jax.tree.map(jnp.asarray, tree)) for tree in (given, computed))
    unit = float(trajectory.atol) + float(trajectory.rtol) * np.abs(computed).max()
    apart = float(np.abs(given - computed).max() / unit)
    return apart if np.isfinite(apart) else np.inf


def _state(t: Any, dense: Any) -> Any:
    return dense.state(t)


def disagreements(trajectory: Trajectory) -> int:
    """Times out of order, and events where no step ends or no mode changes."""
    dense: Any = trajectory.dense
    times = np.asarray(trajectory.t)
    inside = (times >= float(dense.t0)) & (times <= float(trajectory.result.t))
    wrong = int((~inside).sum() + (np.diff(times) < 0).sum())
    events = trajectory.events
    shown = min(int(events.count), len(np.asarray(events.t)))
    if not shown:
        return wrong
    t, kink = np.asarray(events.t)[:shown], np.asarray(events.kink)[:shown]
    ends = np.asarray(dense.joints)
    ends = ends[np.isfinite(ends)]
    near = 1e3 * np.finfo(times.dtype).eps * max(1.0, float(np.abs(ends).max()))
    own = np.append(ends, float(dense.t0))
    wrong += int((np.abs(own[None] - t[:, None]).min(axis=1) > near).sum())
    wrong += int((np.diff(t) < -near).sum()) + int((kink < 0).sum())
    return wrong


def loss_gap(trajectory: Trajectory) -> float:
    """How far the loss of the system is from that of which kinks were followed."""
    pieces = getattr(trajectory.dense, "pieces", None)
    if pieces is None:
        return 0.0
    losses = lambda x: _losses(x, trajectory.system.objective, pieces)
    both = jax.jit(lambda xs: in_chunks(losses, xs))(trajectory.x)
    (ours, theirs), (slope, other), away = jax.tree.map(np.asarray, both)
    size = np.abs(ours).max() + np.finfo(ours.dtype).tiny
    gap = float(np.abs(ours - theirs).max() / size)
    if away.any():
        largest = np.abs(slope[away]).max() + np.finfo(slope.dtype).tiny
        gap = max(gap, float(np.abs(slope - other)[away].max() / largest))
    return gap if np.finfo(ours.dtype).bits == 64 else gap * SAME_LOSS / 1e-3


def _losses(x: Any, objective: Any, pieces: Any) -> Any:
    """Values and gradients of two losses at a point, and whether it is away from kinks."""
    signature = pieces.signature(x)
    z = pieces.switching(x, signature)
    away = jnp.all(jnp.abs(z) > 1e-6 * pieces.sizes(x))
    values = objective(x), pieces.piece(x, signature)
    slopes = jax.grad(objective)(x), pieces.gradient(x, signature)
    return values, tuple(map(as_vector, slopes)), away

"""Whether times and the ledger of events agree with the steps and their modes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.analysis.points import at_times
from dynsys.switches import switch_times
from dynsys.trajectory import KINDS, Trajectory
from dynsys.trees import as_vector

CROSS, SLIDE, LEAVE = range(len(KINDS))
"""What happens at a kink, by its number in the ledger."""

NEAR = 1e3
"""Precisions of time within which two times are one."""

BENDS = 1e-3
"""Change of the gradient, relative to the largest, from which on a crossing is an event."""


def disagreements(trajectory: Trajectory, until: float) -> int:
    """Times out of order, events where no step ends, and modes that change otherwise.

    Args:
        trajectory: A trajectory with dense output.
        until: From when on there are no modes.
    """
    dense: Any = trajectory.dense
    times, end = np.asarray(trajectory.t), float(trajectory.result.t)
    near = NEAR * np.finfo(times.dtype).eps * max(abs(end), abs(float(dense.t0)))
    inside = (times >= float(dense.t0) - near) & (times <= end + near)
    wrong = int((~inside).sum() + (np.diff(times) < 0).sum())
    wrong += int(abs(float(dense.t1) - end) > near)
    wrong += _wrong_switches(trajectory, near)
    events = trajectory.events
    shown = min(int(events.count), len(np.asarray(events.t)))
    if not hasattr(dense.system_at(dense.t0, trajectory.system), "mode"):
        return wrong + shown
    columns = events.t, events.kink, events.kind
    t, kink, kind = (np.asarray(column)[:shown] for column in columns)
    wrong += int((np.diff(t) < -near).sum())
    edges = _edges(dense, end, near)
    place = np.argmin(np.abs(edges[None] - t[:, None]), axis=1)
    wrong += int((np.abs(edges[place] - t) > near).sum())
    lines: dict[tuple[int, int], list[int]] = {}
    for line in range(shown):
        lines.setdefault((int(place[line]), int(kink[line])), []).append(int(kind[line]))
    return wrong + _changes(trajectory, edges[edges < until], lines)


def _wrong_switches(trajectory: Trajectory, near: float) -> int:
    """Switches that are not those of the coefficients, and those where no step ends."""
    dense: Any = trajectory.dense
    start, end = dense.t0, jnp.asarray(trajectory.result.t)
    found = switch_times(trajectory.system, start, end)
    given = np.asarray(trajectory.switches)
    given = given[given <= float(end) + near]
    right = np.zeros(0) if found is None else np.asarray(found.times)
    right = right[np.isfinite(right)]
    if len(given) != len(right):
        return max(abs(len(given) - len(right)), 1)
    joints = np.append(np.asarray(dense.joints), float(end))
    after = right[right > float(joints.min())]
    far = np.abs(joints[None] - after[:, None]).min(axis=1, initial=np.inf) > near
    return int((np.abs(given - right) > near).sum() + far.sum())


def _edges(dense: Any, end: float, near: float) -> np.ndarray:
    """The start, the ends of steps, and the end; of those next to each other the last."""
    joints = np.asarray(dense.joints)
    edges = np.unique(np.concatenate([[float(dense.t0)], joints[joints < end], [end]]))
    return edges[np.append(np.diff(edges) > near, True)]


class _Side(NamedTuple):
    """The mode of each step, in its middle.

    Args:
        held: The kinks along which it slides, of shape `(steps, kinks)`.
        positive: The sides of the others.
    """

    held: np.ndarray
    positive: np.ndarray


def _changes(
    trajectory: Trajectory, edges: np.ndarray, lines: dict[tuple[int, int], list[int]]
) -> int:
    """Kinks of which the mode changes otherwise than the ledger says."""
    lean = trajectory.dense, trajectory.system
    middles = edges[:-1] + 0.5 * np.diff(edges)
    if not len(middles):
        return 0
    sides = _Side(*at_times(_mode, middles, *lean))
    steps, kinks = sides.held.shape
    free = ~sides.held[:-1] & ~sides.held[1:]
    flips = free & (sides.positive[:-1] != sides.positive[1:])
    looked_at = np.flatnonzero(np.append(flips.any(axis=1), True))
    pairs = np.stack([edges[1:], middles], axis=1)[looked_at]
    jumps, sizes = at_times(_jumps, pairs, *lean)
    bends = np.zeros((steps, kinks), bool)
    bends[looked_at] = jumps > BENDS * sizes.max()
    wrong = sum(not 0 <= k < kinks for _, k in lines)
    for i in range(len(edges)):
        before = None if i == 0 else _Side(sides.held[i - 1], sides.positive[i - 1])
        after = None if i == steps else _Side(sides.held[i], sides.positive[i])
        for k in range(kinks):
            jumps_here = i > 0 and bool(bends[i - 1, k])
            wrong += not _agrees(before, after, k, lines.get((i, k), []), jumps_here)
    return wrong


def _agrees(
    before: _Side | None,
    after: _Side | None,
    kink: int,
    kinds: list[int],
    bends: bool,
) -> bool:
    """Whether what is said of a kink leads from the mode before to that after it."""
    held = None if before is None else bool(before.held[kink])
    side = None if before is None or held else bool(before.positive[kink])
    for kind in kinds:
        if held is not None and held != (kind == LEAVE):
            return False
        held = kind == SLIDE
        side = None if kind != CROSS or side is None else not side
    if after is None or held is None:
        return True
    if held != after.held[kink]:
        return False
    is_other = side is not None and not held and side != after.positive[kink]
    return not (is_other and (bool(kinds) or bends))


def _mode(t: Any, dense: Any, system: Any) -> Any:
    """Which kinks are held in a step, and on which side of the others it is."""
    mode = dense.system_at(t.astype(dense.t0.dtype), system).mode
    return mode.held, mode.signature > 0


def _jumps(pair: Any, dense: Any, system: Any) -> Any:
    """How much the gradient changes across each kink at the end of a step, and its size."""
    end, middle = pair.astype(dense.t0.dtype)
    there = dense.system_at(middle, system)
    x, signature = there.position(dense.state(end)), there.mode.signature
    gradient = lambda signs: as_vector(there.objective.gradient(x, signs))
    here = gradient(signature)
    flip = lambda k: jnp.max(jnp.abs(gradient(signature.at[k].multiply(-1)) - here))
    return jax.lax.map(flip, jnp.arange(len(signature))), jnp.max(jnp.abs(here))

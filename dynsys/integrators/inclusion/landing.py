"""Steps that meet a surface, and those that are to end on it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.integrators.engine.attempt import Attempt
from dynsys.integrators.inclusion.arrival import resolution
from dynsys.integrators.inclusion.events import first_crossing
from dynsys.integrators.inclusion.piece_system import PieceSystem
from dynsys.systems.system import State
from dynsys.trees import constant

Time = Float[Array, ""]

CORRECTIONS = 4
"""Newton steps in time that bring the end of a step onto a surface."""


class Landing(NamedTuple):
    """A step that is to end where a guard is 0.

    Args:
        active: Whether the next step is one.
        which: The guard.
        tries: How often it was corrected.
    """

    active: Bool[Array, ""]
    which: Int[Array, ""]
    tries: Int[Array, ""]


class Fate(NamedTuple):
    """What becomes of a step that was tried.

    Args:
        accept: Whether it is taken.
        turns: Whether the mode may change at its end.
        meets: Whether a guard turns negative in it, so that the next is to land there.
        corrects: Whether it missed the guard that it was to land at.
        next_step: Size of the next step.
        which: The guard that the next step is to land at.
    """

    accept: Bool[Array, ""]
    turns: Bool[Array, ""]
    meets: Bool[Array, ""]
    corrects: Bool[Array, ""]
    next_step: Time
    which: Int[Array, ""]


def fate_of(
    system: PieceSystem,
    landing: Landing,
    starts: Bool[Array, ""],
    ends: tuple[Time, Time],
    tried: Attempt,
    path: Callable[[Time], State],
) -> Fate:
    """What becomes of a step that was tried.

    Where it ends is a constant, so derivatives do not go through the search.

    Args:
        system: The system in its mode.
        landing: Whether the step was to end at a guard.
        starts: Whether the run has not started yet, and no step is taken.
        ends: Start and end of the step.
        tried: The step.
        path: Its dense output, of constants.
    """
    fixed: Any = constant(system)
    start, stop = constant(ends)
    crossing = first_crossing(fixed, start, stop, path)
    # A step that is to land is taken as it is, or corrected by a Newton step in time.
    value, slope = crossing.last[landing.which], crossing.slope[landing.which]
    # No time is known better than to its rounding, and so much after the event is fine.
    unit = resolution(stop)
    early = 0.3 * fixed.slack(path(stop))[landing.which]
    late = jnp.maximum(early, 2 * unit * jnp.abs(slope))
    shift = 0.5 * unit - value / jnp.where(slope == 0, 1, slope)
    sane = jnp.abs(shift) < 0.5 * (stop - start)
    misses = ((value > early) | (value < -late)) & (landing.tries < CORRECTIONS) & sane
    keep = tried.keep & ~starts
    lands = keep & landing.active & ~misses
    corrects = keep & landing.active & misses
    meets = keep & ~landing.active & crossing.found
    accept = (keep & ~landing.active & ~crossing.found) | lands
    next_step = constant(tried.next_step)
    next_step = jnp.where(meets, crossing.t - start, next_step)
    next_step = jnp.where(corrects, stop - start + shift, next_step)
    which = jnp.where(meets, crossing.which, landing.which)
    return Fate(accept, lands | starts, meets, corrects, next_step, which)

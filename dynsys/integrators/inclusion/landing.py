"""Steps that meet a surface, and those that are to end on it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from dynsys.integrators.engine.attempt import Attempt
from dynsys.integrators.engine.carry import Fate
from dynsys.integrators.inclusion.arrival import resolution
from dynsys.integrators.inclusion.events import first_crossing
from dynsys.trees import constant

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


class Plan(NamedTuple):
    """What is decided about a step of an inclusion that was tried.

    Args:
        turns: Whether the mode may change at its end.
        landing: Whether the next step is to end at a guard.
    """

    turns: Bool[Array, ""]
    landing: Landing


def fate_of(tried: Attempt, landing: Landing, starts: Bool[Array, ""]) -> Fate:
    """What becomes of a step that was tried.

    Where it ends is a constant, so derivatives do not go through the search.

    Args:
        tried: The step.
        landing: Whether it was to end at a guard.
        starts: Whether the run has not started yet, and no step is taken.
    """
    fixed: Any = constant(tried._replace(problem=None))
    system, start, stop, path = fixed.system, fixed.before.t, fixed.end, fixed.path
    crossing = first_crossing(system, start, stop, path)
    # A step that is to land is taken as it is, or corrected by a Newton step in time.
    value, slope = crossing.last[landing.which], crossing.slope[landing.which]
    # No time is known better than to its rounding, and so much after the event is fine.
    unit = resolution(stop)
    early = 0.3 * system.slack(path(stop))[landing.which]
    late = jnp.maximum(early, 2 * unit * jnp.abs(slope))
    shift = 0.5 * unit - value / jnp.where(slope == 0, 1, slope)
    sane = jnp.abs(shift) < 0.5 * (stop - start)
    misses = ((value > early) | (value < -late)) & (landing.tries < CORRECTIONS) & sane
    keep = tried.keep & ~starts
    lands = keep & landing.active & ~misses
    corrects = keep & landing.active & misses
    meets = keep & ~landing.active & crossing.found
    retries = meets | corrects
    accept = (keep & ~landing.active & ~crossing.found) | lands
    next_step = fixed.next_step
    next_step = jnp.where(meets, crossing.t - start, next_step)
    next_step = jnp.where(corrects, stop - start + shift, next_step)
    which = jnp.where(meets, crossing.which, landing.which)
    tries = jnp.where(meets, 0, landing.tries + corrects.astype(int))
    control = jax.tree.map(
        lambda a, b: jnp.where(retries | starts, b, a),
        fixed.control,
        tried.before.control,
    )
    plan = Plan(lands | starts, Landing(retries, which, tries))
    return Fate(accept, accept | starts, control, next_step, plan)

"""How fast kinks are crossed, and when it is time to give up following them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.integrators.engine.problem import Problem
from dynsys.integrators.inclusion.mode import Mode
from dynsys.integrators.inclusion.turn import Turn, in_mode
from dynsys.systems.system import AbstractSystem
from dynsys.trees import Time, as_vector, constant

SHORT = 1e-3
"""Part of the interval in which a kink is crossed twice when events are given up."""

OFTEN = 6
"""How often in a row crossings must have become faster."""


class Pace(NamedTuple):
    """How fast each kink is crossed again and again.

    Args:
        times: The last three times that it was crossed.
        faster: How often in a row two crossings took less time than the two before.
        runs_away: Whether it is time to give up following them.
        swing: How far positions swing across kinks when that is decided.
    """

    times: Float[Array, "kinks 3"]
    faster: Int[Array, " kinks"]
    runs_away: Bool[Array, ""]
    swing: Time


def first_pace(problem: Problem, kinks: int) -> Pace:
    """The pace before the start."""
    t0 = problem.t0
    never = jnp.full((kinks, 3), -jnp.inf, t0.dtype)
    return Pace(never, jnp.zeros(kinks, int), jnp.asarray(False), jnp.zeros_like(t0))


def next_pace(
    problem: Problem,
    before: Pace,
    old: Mode,
    happened: Turn,
    is_full: Bool[Array, ""],
    t: Time,
    starts: Bool[Array, ""],
) -> Pace:
    """The pace after an event.

    Without damping in the velocity by the gradient no kink that is crossed is ever slid
    along, so it may be crossed ever faster without end. And no event says what becomes of a
    start that has no velocity across a kink that it lies on.

    Args:
        problem: What is integrated.
        before: The pace before.
        old: The mode before.
        happened: The event.
        is_full: Whether there is no room for another event.
        t: Its time.
        starts: Whether it is the start.
    """
    if not may_run_away(problem.system):
        return before
    times, faster, runs_away, swing = before
    new = happened.mode
    crosses = ~starts & happened.at & (jnp.sign(old.signature) != jnp.sign(new.signature))
    last = t - times[:, 1]
    shrinks = last < times[:, 2] - times[:, 0]
    faster = jnp.where(crosses, jnp.where(shrinks, faster + 1, 0), faster)
    times = jnp.where(
        crosses[:, None],
        jnp.stack([times[:, 1], times[:, 2], jnp.full_like(last, t)], 1),
        times,
    )
    soon = (last < SHORT * (problem.t1 - problem.t0)) | is_full
    fast = (faster >= OFTEN) & (last < jnp.inf)
    is_undamped = _is_undamped(problem, t)
    now = jnp.any(crosses & fast & soon) & is_undamped
    wide = lambda: jnp.max(jnp.where(fast, _swings(problem, happened, last, t), 0))
    swing = jax.lax.cond(now, wide, lambda: swing)
    rests = starts & happened.rests & is_undamped
    return Pace(times, faster, runs_away | now | rests, swing)


def may_run_away(system: AbstractSystem) -> bool:
    """Whether kinks may be crossed ever faster: the velocity may lack the gradient."""
    return system.has_feedback and not system.velocity_has_gradient


def _is_undamped(problem: Problem, t: Time) -> Bool[Array, ""]:
    """Whether the velocity lacks the gradient."""
    feedback = problem.system.feedback(t)
    if feedback is None:
        return jnp.asarray(False)
    return jnp.asarray(feedback.gradient[0] == 0)


def _swings(
    problem: Problem, happened: Turn, period: Float[Array, " kinks"], t: Time
) -> Float[Array, " kinks"]:
    """How far positions swing across each kink: twice what a constant force gives."""
    fixed: Any = constant(in_mode(problem, happened.mode))
    state = constant(happened.state)
    _, normals = fixed.objective.normals(
        fixed.position(state), happened.mode.signature, jnp.eye(len(period), dtype=bool)
    )
    speeds = normals @ as_vector(fixed.velocity(t, state))
    lengths = jnp.linalg.norm(normals, axis=1)
    swings = 0.25 * period * jnp.abs(speeds) / jnp.where(lengths > 0, lengths, 1)
    return swings.astype(t.dtype)

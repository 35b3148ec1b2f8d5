"""What the solve of an inclusion carries from step to step."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from dynsys.integrators.engine.problem import Problem
from dynsys.integrators.inclusion.arrival import Blur
from dynsys.integrators.inclusion.landing import Landing
from dynsys.integrators.inclusion.ledger import Ledger, empty_ledger
from dynsys.integrators.inclusion.mode import Mode, Sides, free_mode
from dynsys.integrators.inclusion.pace import Pace, first_pace
from dynsys.integrators.inclusion.start import Start
from dynsys.integrators.inclusion.turns import Turns
from dynsys.result import Derivative
from dynsys.trajectory import FirstOrder
from dynsys.trees import Time, constant

TURNS = 4
"""Changes of mode for each line of the ledger that there is room for: kinks without a jump
of the gradient, and other multipliers along the same kinks, are no events."""


class Course(NamedTuple):
    """What the solve of an inclusion carries from step to step.

    The first pass of the loop makes no step: it turns the free mode into that of the start.

    Args:
        starts: Whether the next pass is the first.
        start: What was found at the start.
        mode: The mode.
        landing: Whether the next step is to end at a guard.
        ledger: What happened at the kinks.
        turns: The changes of mode, if they are kept.
        pace: How fast kinks are crossed.
        unique: Whether no other mode was consistent.
        derivative: A `Derivative`.
        blur: What the resolution of time has cost.
        first_order: Where steps were of first order, if that can be; known at the end.
        rest_since: Since when nothing moves that no step can follow, if that is looked for;
            known at the end.
    """

    starts: Bool[Array, ""]
    start: Start
    mode: Mode
    landing: Landing
    ledger: Ledger
    turns: Turns | None
    pace: Pace
    unique: Bool[Array, ""]
    derivative: Int[Array, ""]
    blur: Blur
    first_order: FirstOrder | None = None
    rest_since: Time | None = None


def begin_course(problem: Problem, max_events: int, *, keeps_turns: bool) -> Course:
    """What is carried before the first pass: the mode as if the start lay on no kink."""
    pieces: Any = problem.system.objective
    x0 = problem.system.position(problem.state)
    free = free_mode(pieces.signature(x0), constant(pieces.sizes(x0)))
    kinks = len(free.held)
    yes, none = jnp.asarray(True), jnp.zeros((), int)
    zero = jnp.zeros_like(problem.t0)
    return Course(
        starts=yes,
        start=Start(Sides.of(free), jnp.zeros(kinks, bool)),
        mode=free,
        landing=Landing(yes, none, none),
        ledger=empty_ledger(max_events, problem.t0),
        turns=Turns.begin(TURNS * max_events + 1, free) if keeps_turns else None,
        pace=first_pace(problem, kinks),
        unique=yes,
        derivative=jnp.asarray(int(Derivative.EXISTS)),
        blur=Blur(zero, zero),
    )

"""Where the solve of an inclusion stands between two steps."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.integrators.engine.log import Carry
from dynsys.integrators.engine.loop import set_out
from dynsys.integrators.engine.problem import Method, Problem
from dynsys.integrators.engine.switching import at_start
from dynsys.integrators.inclusion.arrival import Blur
from dynsys.integrators.inclusion.landing import Landing
from dynsys.integrators.inclusion.ledger import Ledger, empty_ledger
from dynsys.integrators.inclusion.mode import Mode, Sides, free_mode
from dynsys.integrators.inclusion.pace import Pace, first_pace
from dynsys.integrators.inclusion.start import Start
from dynsys.integrators.inclusion.turn import in_mode
from dynsys.integrators.inclusion.turns import Turns
from dynsys.result import Derivative
from dynsys.trees import constant

Time = Float[Array, ""]

TURNS = 4
"""Changes of mode for each line of the ledger that there is room for: kinks without a jump
of the gradient, and other multipliers along the same kinks, are no events."""


class HybridCarry(NamedTuple):
    """Where the solve of an inclusion stands between two steps.

    The first pass of the loop makes no step: it turns the free mode into that of the start.

    Args:
        base: Time, state and step sizes.
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
    """

    base: Carry
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


def free_at_start(problem: Problem) -> Mode:
    """The mode at the start as if it lay on no kink."""
    pieces: Any = problem.system.objective
    x0 = problem.system.position(problem.state)
    return free_mode(pieces.signature(x0), constant(pieces.sizes(x0)))


def begin_inclusion(
    problem: Problem, method: Method, max_events: int, *, keeps_turns: bool
) -> HybridCarry:
    """Where the solve stands before its first pass."""
    problem = at_start(problem)
    free = free_at_start(problem)
    kinks = len(free.held)
    piece = eqx.tree_at(lambda tree: tree.system, problem, in_mode(problem, free))
    # How long the first step is is told by the first pass, and until then is no matter.
    base = set_out(piece, method.solver, 1e-3 * (problem.t1 - problem.t0))
    yes, no, none = jnp.asarray(True), jnp.asarray(False), jnp.zeros((), int)
    turns = Turns.begin(TURNS * max_events + 1, free) if keeps_turns else None
    zero = jnp.zeros_like(problem.t0)
    return HybridCarry(
        base=base,
        starts=yes,
        start=Start(Sides.of(free), jnp.zeros(kinks, bool)),
        mode=free,
        landing=Landing(no, none, none),
        ledger=empty_ledger(max_events, problem.t0),
        turns=turns,
        pace=first_pace(problem, kinks),
        unique=yes,
        derivative=jnp.asarray(int(Derivative.EXISTS)),
        blur=Blur(zero, zero),
    )

"""What happens at the end of a step: the surfaces, the next mode, the derivative."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from dynsys.integrators.engine.problem import Problem
from dynsys.integrators.inclusion.arrival import Arrival, along_field
from dynsys.integrators.inclusion.mode import Mode
from dynsys.integrators.inclusion.piece_system import (
    REACH,
    PieceSystem,
    carried_sizes,
    multipliers,
    surfaces,
)
from dynsys.integrators.inclusion.saltation import Saltation, saltation
from dynsys.integrators.inclusion.verdict import verdict_on
from dynsys.nonsmooth.active_set import Settled, find_signs
from dynsys.result import select
from dynsys.systems.system import State
from dynsys.trees import Position, Time, as_vector, combine, constant

FORGET = 0.1
"""What is left, from one event to the next, of the size of numbers that got smaller."""


class Turn(NamedTuple):
    """What follows from an event.

    Args:
        mode: The mode after it.
        at: The kinks that took part in it.
        landed: That whose surface the step was to end on.
        group: Of each kink the one that it was taken together with.
        bends: The kinks across which the gradient jumps.
        state: State on the surfaces, with the derivative after the event.
        saltation: The derivative of the event.
        unique: Whether no other mode is consistent.
        rests: Whether there is no velocity across one of the kinks.
        code: A `Status`, success if the run can go on.
        fatal: The kinks at which it cannot.
    """

    mode: Mode
    at: Bool[Array, " kinks"]
    landed: Bool[Array, " kinks"]
    group: Int[Array, " kinks"]
    bends: Bool[Array, " kinks"]
    state: State
    saltation: Saltation
    unique: Bool[Array, ""]
    rests: Bool[Array, ""]
    code: Int[Array, ""]
    fatal: Bool[Array, " kinks"]


def turn(
    system: PieceSystem,
    which: Bool[Array, " kinks"],
    t: Time,
    arrives: Arrival,
    moved: State,
) -> Turn:
    """The event at the end of a step.

    Args:
        system: The system in the mode before.
        which: The kink whose guard the step was to end at.
        t: Time.
        arrives: How it comes there.
        moved: State, on the surfaces that are met or held.
    """
    mode, pieces = system.mode, system.objective
    landed = which & ~mode.held
    slack, weights = system.slack(moved), multipliers(system, t, moved)
    z = pieces.switching(system.position(moved), weights)
    at_bound = which | (1 - jnp.abs(weights) <= slack)
    ends = mode.leads & at_bound
    # One of those that were tied, and turned out to lie elsewhere.
    strays = which & mode.held & ~mode.leads
    near = ~mode.held & (landed | (jnp.abs(z) <= REACH * slack))
    fixed = mode.held & ends[mode.leader] & ~strays
    side = lambda values: jnp.where(values >= 0, 1, -1).astype(weights.dtype)
    signature = jnp.where(strays, side(z), weights)
    signature = jnp.where(fixed, side(weights), signature)
    meeting = (mode.held & ~strays) | near
    settled = signs_after(system, t, moved, signature, meeting, fixed)
    after, on = constant(mode_after(system, settled, moved))
    at = near | fixed | strays
    placed = _shifted(system, moved, on)
    jump = saltation(system, after, (at, settled.ties.leader), t, arrives, moved)
    mixed = jnp.asarray(pieces.mixed, bool)
    bends = settled.bends | mixed
    # To touch a kink without crossing it leaves no derivative.
    turned = (after.signature * mode.signature < 0) | (after.held != mode.held)
    touches = at & bends & ~mode.held
    exists = jump.exists & ~(jnp.any(touches) & ~jnp.any(at & turned))
    unique = settled.unique & ~jnp.any(at & mixed)
    return Turn(
        after,
        at,
        landed,
        settled.ties.leader,
        bends,
        along_field(add(placed, jump.change), arrives.late, jump.onward),
        jump._replace(exists=exists),
        unique,
        jnp.any(at & bends & settled.rests),
        *verdict_on(system, moved, settled, near),
    )


def signs_after(
    system: PieceSystem, t: Time, state: State, signature: Any, meeting: Any, fixed: Any
) -> Settled:
    """The signs of kinks that meet which agree with the velocity that they lead to.

    Args:
        system: The system in the mode before.
        t: Time.
        state: State, on the surfaces.
        signature: The signs to start from.
        meeting: The kinks that meet.
        fixed: Those among them that keep their sign.
    """
    x, aim = system.position(state), system.aim(t, state)
    held = system.mode.leads & meeting
    return find_signs(system.objective, x, aim, signature, meeting, fixed, held)


def mode_after(
    system: PieceSystem, settled: Settled, state: State
) -> tuple[Mode, Position]:
    """The mode that signs belong to, and the position on the surfaces that it holds.

    Args:
        system: The system in the mode before.
        settled: The signs.
        state: State, on the surfaces that were met or held before.
    """
    mode, pieces = system.mode, system.objective
    signature, held, ties = settled.signature, settled.held, settled.ties
    number = (ties.leader + 1).astype(signature.dtype)
    tie = jnp.where(held, ties.side * number, 0)
    zero = jnp.zeros_like(signature)
    x = system.position(state)
    # What changes nothing was rounding, and tells nothing about the size of numbers.
    changes = (tie != mode.tie) | (~held & (signature != mode.signature))
    left = jnp.where(jnp.any(changes), FORGET, 1)
    sizes = jnp.maximum(pieces.sizes(x), left.astype(zero.dtype) * mode.size)
    leads = held & (ties.leader == jnp.arange(pieces.number))
    met = surfaces(pieces, x, signature, leads)
    carried = carried_sizes(pieces, x, signature, met, sizes)
    after = Mode(signature, tie, zero, jnp.maximum(sizes, carried))
    there, z = in_mode_of(system, after), met.z
    on = combine((1.0, x), (1.0, met.shortest(met.some.take(z))))
    # Surfaces that are nearly parallel may meet far from here: then they stay as they are.
    reached = pieces.switching(on, signature)
    length = jnp.where(ties.length > 0, ties.length, 1)
    distance = (jnp.abs(z) + REACH * there.rounding(state)) / length
    allowed = 2 * REACH * jnp.max(jnp.where(leads, distance, 0))
    is_near = jnp.max(jnp.abs(as_vector(on) - as_vector(x))) <= allowed
    rest = jnp.where(is_near, reached, z)
    kept = jnp.where(leads & is_near, 0, rest)
    beyond = jnp.where(signature * rest < 0, rest, 0)
    on = jax.tree.map(lambda a, b: jnp.where(is_near, a, b), on, x)
    return after._replace(offset=jnp.where(held, kept, beyond)), on


def no_turn(system: PieceSystem, t: Time, moved: State) -> Turn:
    """The end of a step that is no event, on the surfaces that are held."""
    mode = system.mode
    zero = jax.tree.map(jnp.zeros_like, moved)
    none = jnp.zeros_like(mode.held)
    alone = jnp.arange(len(none))
    still = Saltation(
        zero, none.astype(t.dtype), jnp.asarray(True), zero, jnp.zeros_like(t)
    )
    fine = select()
    yes, no = jnp.asarray(True), jnp.asarray(False)
    return Turn(mode, none, none, alone, none, moved, still, yes, no, fine, none)


def in_mode(problem: Problem, mode: Mode) -> PieceSystem:
    """The system of a problem in a mode."""
    return PieceSystem(system=problem.system, objective=problem.system.objective, mode=mode)


def in_mode_of(system: PieceSystem, mode: Mode) -> PieceSystem:
    """The same system in another mode."""
    return PieceSystem(system=system.system, objective=system.objective, mode=mode)


def onto_surfaces(system: PieceSystem, state: State, on: Bool[Array, " kinks"]) -> State:
    """The position moved onto surfaces that are met or held; its derivative stays."""
    fixed, here = constant((system, state))
    return _shifted(system, state, fixed.onto(here, on, fixed.mode.signature))


def _shifted(system: PieceSystem, state: State, to: Position) -> State:
    """The state with another position, whose derivative stays."""
    x = system.position(state)
    shifted = jax.tree.map(lambda a, b: a + (b - jax.lax.stop_gradient(a)), x, to)
    return eqx.tree_at(system.position, state, shifted)


def add(a: Any, b: Any) -> Any:
    """The sum of two pytrees."""
    return jax.tree.map(jnp.add, a, b)

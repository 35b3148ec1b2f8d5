r"""How the state after an event depends on the state before it.

At a fixed time $t_*$ the state after an event is that before it, moved by the field of the
old mode to the time of the event and by that of the new mode back:

$$\delta y^+ = \delta y + (f^- - f^+)\,\delta t, \qquad
\delta t = -\frac{\partial_y g\,\delta y}{\dot g},$$

where $g$ is what turns to 0 there (the saltation matrix). Where several kinks are met at
once, the derivative exists only if their jumps of the field add up, whichever comes first.

Source:
    M. A. Aizerman and F. R. Gantmakher, "On the stability of periodic motions", J. Appl.
    Math. Mech. 22 (1958); M. di Bernardo et al., Piecewise-smooth Dynamical Systems,
    Springer 2008, section 2.5.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.integrators.inclusion.arrival import Arrival
from dynsys.integrators.inclusion.mode import Mode
from dynsys.integrators.inclusion.piece_system import PieceSystem
from dynsys.linear_solve import multiply
from dynsys.nonsmooth.listed import listed
from dynsys.systems.system import State
from dynsys.trees import Time, as_vector, constant, dimension, from_vector

TANGENT = 1e-6
"""Cosine between velocity and normal below which a surface is touched, not crossed."""

ADDS_UP = 1e-8
"""Relative difference up to which the jumps of several kinks add up."""


class Saltation(NamedTuple):
    """What an event does to derivatives; the numbers are 0, only their derivatives count.

    Args:
        change: Of the state at the time of the event.
        shift: Of that time, as each kink would have it.
        exists: Whether there is a derivative.
        onward: Rate of the state in the mode after the event.
        lost: How far the state may be off, because times are rounded.
    """

    change: State
    shift: Float[Array, " kinks"]
    exists: Bool[Array, ""]
    onward: State
    lost: Time


def saltation(
    system: PieceSystem,
    after: Mode,
    met: tuple[Bool[Array, " kinks"], Int[Array, " kinks"]],
    t: Time,
    arrival: Arrival,
    moved: State,
) -> Saltation:
    """The derivative of an event.

    Args:
        system: The system in the mode before.
        after: The mode after.
        met: The kinks that took part, and of each the one that it was taken with.
        t: Time of the event.
        arrival: State there, as the step left it, and the rates with which it arrives.
        moved: State there, on the surfaces.
    """
    before, pieces, (at, group) = system.mode, system.objective, met
    turned = jnp.sign(before.signature) != jnp.sign(after.signature)
    changed = at & ((before.held != after.held) | (turned & ~after.held))
    speaks = changed & _representatives(before, changed, group)
    some = listed(speaks, dimension(system.position(moved)) + 2)
    moves = only_derivative(_guards, system, t, arrival.state)
    fixed, t, moved = constant((system, t, moved))
    slopes = some.take(arrival.rates)
    shifts = -some.only(some.take(moves)) / jnp.where(slopes == 0, 1, slopes)
    is_one = jnp.sum(speaks) == 1

    def picked(place: Bool[Array, " kinks"]) -> Mode:
        """The mode as if one group of kinks had changed alone."""
        mine = group == jnp.sum(jnp.where(place, group, 0))
        pick = lambda new, old: jnp.where(is_one | mine, new, old)
        return Mode(*map(pick, after, before))

    def field_in(mode: Mode) -> Float[Array, " size"]:
        there = PieceSystem(system=fixed.system, objective=pieces, mode=mode)
        return as_vector(there.vector_field(t, moved))

    # One field in the program for all modes in question.
    stack = lambda a, b, rest: jnp.concatenate([a[None], b[None], rest])
    modes = jax.tree.map(stack, before, after, jax.vmap(picked)(some.units()))
    field_before, field_after, *_ = fields = jax.lax.map(field_in, constant(modes))
    jumps = jnp.where(some.valid[:, None], field_before[None] - fields[2:], 0)
    # Along one of two kinks that need each other there is no field.
    is_known = jnp.all(jnp.isfinite(jumps))
    jumps = jnp.where(is_known, jumps, 0)
    total = field_before - field_after
    length = lambda rows: jnp.linalg.norm(rows, axis=-1)
    size = length(field_before) + length(total)
    adds_up = length(total - jnp.sum(jumps, 0)) <= ADDS_UP * size
    # Speed against a surface, beside that along it.
    _, normals = pieces.normals(fixed.position(moved), before.signature, some.units())
    speed = length(as_vector(fixed.position(arrival.field)))
    is_tangent = jnp.abs(slopes) <= TANGENT * length(normals) * speed
    has_jump = length(jumps) > ADDS_UP * size
    exists = is_known & adds_up & ~jnp.any(some.valid & is_tangent & has_jump)
    exists = exists & (jnp.sum(speaks) <= len(some.valid))
    # What was tied to another kink and left it alone has no time of its own.
    exists = exists & ~jnp.any(
        changed & before.held & ~before.leads & (group != before.leader)
    )
    change = from_vector(multiply(jumps.T, shifts.astype(jumps.dtype)), moved)
    # What follows from the event at another kink happens at the same time.
    shift = jnp.where(speaks, some.put(shifts), shifts[jnp.argmax(some.valid)])
    onward = from_vector(field_after, moved)
    ended = as_vector(arrival.field)
    bent = jnp.max(jnp.abs(field_before - ended)).astype(t.dtype)
    speed = jnp.max(jnp.abs(ended)).astype(t.dtype)
    lost = arrival.late * bent + arrival.missed * speed
    return Saltation(change, shift.astype(t.dtype), exists, onward, lost)


def _guards(system: PieceSystem, t: Time, state: State) -> Float[Array, " kinks"]:
    return system.guards(t, state)


def _representatives(
    before: Mode, changed: Bool[Array, " kinks"], group: Int[Array, " kinks"]
) -> Bool[Array, " kinks"]:
    """One kink of each group, whose guard tells the time: one with a multiplier, if any."""
    number = len(changed)
    own = jnp.arange(number)
    rank = jnp.where(changed & before.leads, 0, jnp.where(changed, number, 2 * number))
    together = group[None] == group[:, None]
    best = jnp.min(jnp.where(together, (rank + own)[None], 3 * number), axis=1)
    return rank + own == best


@eqx.filter_custom_jvp
def only_derivative(function: Any, *args: Any) -> Any:
    """0 with the derivative of a function, which is evaluated for derivatives only."""
    return jax.tree.map(jnp.zeros_like, eqx.filter_eval_shape(function, *args))


@only_derivative.def_jvp
def _(primals: Any, tangents: Any) -> Any:
    function, *args = primals
    _, *moves = tangents
    _, rate = eqx.filter_jvp(function, args, moves)
    return jax.tree.map(jnp.zeros_like, rate), rate


@jax.custom_jvp
def without_derivative(tree: Any, where: Any) -> Any:
    """A pytree whose forward derivative is not a number where it is told so, or 0."""
    del where
    return tree


@without_derivative.defjvp
def _(primals: Any, tangents: Any) -> Any:
    tree, where = primals
    spoil = lambda rate, bad, value: once(
        jnp.where(bad & (rate != 0), jnp.nan, rate), value
    )
    return tree, jax.tree.map(spoil, tangents[0], where, tree)


@jax.custom_jvp
def once(derivative: Any, value: Any) -> Any:
    """A derivative of a value that has none itself: that of an event is of order 1 only."""
    del value
    return derivative


@once.defjvp
def _(primals: Any, tangents: Any) -> Any:
    del primals, tangents
    raise ValueError(
        "There are no second derivatives across kinks. Differentiate once, or pass "
        "`inclusion='autodiff'`, which ignores that the times of the events move."
    )

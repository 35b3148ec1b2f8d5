"""A system on one piece of its loss, along the kinks that it slides on."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from dynsys.cached_call import cached_call
from dynsys.integrators.inclusion.mode import Mode
from dynsys.linear_solve import factorise, multiply, multiply_matrices
from dynsys.nonsmooth.at_signature import AtSignature
from dynsys.nonsmooth.listed import Listed, listed
from dynsys.nonsmooth.pieces import Pieces, Signature
from dynsys.nonsmooth.search import Aim
from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import (
    Position,
    Time,
    as_vector,
    combine,
    constant,
    dimension,
    from_vector,
)

NESTED_STEPS = 5
"""Newton steps for multipliers where kinks are nested, from those of a few steps back."""

PRECISIONS = 128
"""How many times the precision of what it is made of a switching value may be off."""

REACH = 8.0
"""Kinks meet if they are up to this many slacks away."""


class PieceSystem(AbstractSystem):
    """A system in a mode: smooth, and equal to the inclusion while the mode lasts.

    Args:
        system: The system.
        objective: Its loss with the kinks, `dynsys.nonsmooth.pieces.Pieces`.
        mode: The mode.
    """

    system: AbstractSystem
    objective: Any
    mode: Mode

    @property
    def order(self) -> int:
        return self.system.order

    @property
    def state_type(self) -> type:
        return self.system.state_type

    @property
    def constraints(self) -> Any:
        return self.system.constraints

    def initial_state(self, t: Time, x: Position, v: Position | None) -> State:
        return self.system.initial_state(t, x, v)

    def position(self, state: State) -> Position:
        return self.system.position(state)

    def controlled(self, state: State) -> Any:
        return self.system.controlled(state)

    def feedback(self, t: Time) -> None:
        """`None`: along a kink the multipliers add to the Jacobian."""
        del t

    def velocity(self, t: Time, state: State) -> Position:
        if self.system.feedback(t) is None:
            return self._smooth().velocity(t, state)
        return self.position(self.vector_field(t, state))

    def force(self, t: Time, state: State) -> Position:
        signature = multipliers(self, t, state)
        return self.objective.gradient(self.position(state), signature)

    def vector_field(self, t: Time, state: State) -> State:
        return self._field(t, state, multipliers(self, t, state))

    def _field(self, t: Time, state: State, signature: Signature) -> State:
        feedback = self.system.feedback(t)
        if feedback is None:
            return self._smooth().vector_field(t, state)
        force = self.objective.gradient(self.position(state), signature)
        return type(state)(*feedback.rates(state, force))

    def field_and_guards(
        self, t: Time, state: State
    ) -> tuple[State, Float[Array, " kinks"]]:
        """The field and the guards, for which the multipliers are solved for once."""
        signature = multipliers(self, t, state)
        return self._field(t, state, signature), self._guards(state, signature)

    def aim(self, t: Time, state: State) -> Aim:
        """What the signs of kinks decide about: the velocity."""
        dtype, feedback = self.mode.signature.dtype, self.system.feedback(t)
        if feedback is None:
            # The velocity of a system with a Hessian in it is that of the piece.
            velocity = as_vector(self.velocity(t, state)).astype(dtype)
            return Aim(velocity, jnp.zeros((), dtype))
        rest = as_vector(combine(*zip(feedback.linear[0], state, strict=True)))
        return Aim(rest.astype(dtype), jnp.asarray(feedback.gradient[0]).astype(dtype))

    def guards(self, t: Time, state: State) -> Float[Array, " kinks"]:
        r"""What is positive while the mode lasts.

        $s_iz_i$ of free kinks, $1 - |w_i|$ of those that are held. Of those tied to one
        that is held, how far they are from leaving it.
        """
        return self._guards(state, multipliers(self, t, state))

    def _guards(self, state: State, signature: Signature) -> Float[Array, " kinks"]:
        mode = self.mode
        there = self.onto(state, mode.leads, signature)
        beyond = self.objective.switching(there, signature) - mode.offset
        free = mode.signature * beyond
        tied = REACH * self.slack(state) - jnp.abs(beyond)
        kept = jnp.where(mode.leads, 1 - jnp.abs(signature), tied)
        return jnp.where(mode.held, kept, free)

    def rounding(self, state: State) -> Float[Array, " kinks"]:
        """How far from 0 rounding may leave a switching value, relative to its terms."""
        sizes = self.objective.sizes(self.position(state))
        size = jnp.maximum(constant(sizes), self.mode.size)
        info = jnp.finfo(size.dtype)
        unit = float(info.eps)
        return jnp.maximum(PRECISIONS * unit * size, float(info.tiny) / unit)

    def slack(self, state: State) -> Float[Array, " kinks"]:
        """How far below 0 rounding may bring a guard: of a multiplier 1e-10 in 64 bits."""
        rounding = self.rounding(state)
        unit = float(jnp.finfo(rounding.dtype).eps)
        return jnp.where(self.mode.leads, unit**0.64, rounding)

    def restarted(self, after: AbstractSystem, t: Time, state: State) -> State:
        signature = multipliers(self, t, state)
        piece = AtSignature(self.objective, signature)
        after = eqx.tree_at(lambda tree: tree.objective, after, piece)
        return super().restarted(after, t, state)

    def violation(self, t: Time, state: State, unit: Time) -> Float[Array, ""]:
        guards, pull = jax.vjp(lambda state: self.guards(t, state), state)
        rate = lambda row: jnp.sum(jnp.abs(as_vector(pull(row)[0])))
        rates = jax.lax.map(rate, jnp.eye(len(guards), dtype=guards.dtype))
        room = self.slack(state) + rates * unit.astype(guards.dtype)
        return jnp.maximum(-jnp.min(guards / room), 0).astype(t.dtype)

    def onto(
        self, state: State, on: Bool[Array, " kinks"], signature: Signature
    ) -> Position:
        """The position moved onto some independent kinks, by one step of Newton's method.

        Args:
            state: The state.
            on: The kinks, no more than dimensions.
            signature: The signs of all.
        """
        x = self.position(state)
        still = lambda: jax.tree.map(jnp.zeros_like, x)
        step = jax.lax.cond(jnp.any(on), lambda: self._normal_step(x, on, signature), still)
        return combine((1.0, x), (1.0, step))

    def _normal_step(self, x: Position, on: Any, signature: Signature) -> Position:
        """The shortest step that brings switching values to their offsets."""
        there = surfaces(self.objective, x, signature, on)
        return there.shortest(there.some.take(there.z - self.mode.offset))

    def _smooth(self) -> AbstractSystem:
        """The system with the piece for its objective."""
        piece = AtSignature(self.objective, self.mode.signature)
        return eqx.tree_at(lambda tree: tree.objective, self.system, piece)


class Surfaces(NamedTuple):
    """Kinks on which a position lies, or is to lie.

    Args:
        z: The switching values of all.
        some: These kinks, which are independent.
        shortest: From switching values of these to the shortest step that lowers them by
            that, to first order.
    """

    z: Float[Array, " kinks"]
    some: Listed
    shortest: Callable[[Float[Array, " some"]], Position]


def surfaces(
    pieces: Pieces, x: Position, signature: Signature, on: Bool[Array, " kinks"]
) -> Surfaces:
    """The surfaces of independent kinks, no more than dimensions, near a position."""
    some = listed(on, dimension(x))
    z, normals = pieces.normals(x, signature, some.units())
    length = jnp.linalg.norm(normals, axis=1)
    scale = jnp.where(some.valid & (length > 0), 1 / jnp.where(length > 0, length, 1), 0)
    unit = scale[:, None] * normals
    # Surfaces that touch have parallel normals.
    gram = multiply_matrices(unit, unit.T)
    filled = jnp.where(scale > 0, 1e-13, 1).astype(gram.dtype)
    solve = factorise(gram + filled[:, None] * jnp.eye(len(gram), dtype=gram.dtype))
    shortest = lambda beyond: from_vector(-multiply(unit.T, solve(scale * beyond)), x)
    return Surfaces(z, some, shortest)


def carried_sizes(
    pieces: Pieces,
    x: Position,
    signature: Signature,
    on: Surfaces,
    sizes: Float[Array, " kinks"],
) -> Float[Array, " kinks"]:
    r"""Sizes of switching values by what a position that is moved onto surfaces is made of.

    Where it lies on the surfaces $z_j = 0$, it is moved along $d_j$ by a rounding error in
    $z_j$, with $\langle\nabla z_i, d_j\rangle = \delta_{ij}$, and so is $z_k$ by

    $$\sum_j |\langle\nabla z_k, d_j\rangle|\,\mathrm{size}(z_j) .$$

    Args:
        pieces: The loss.
        x: The position.
        signature: The signs of all kinks.
        on: The surfaces.
        sizes: What the switching values are made of.
    """
    beyond = on.some.take(sizes)

    def add(j: Any, total: Any) -> Any:
        step = on.shortest(jnp.where(jnp.arange(len(beyond)) == j, beyond, 0))
        _, moved = jax.jvp(lambda x: pieces.switching(x, signature), (x,), (step,))
        return total + jnp.abs(moved)

    return jax.lax.fori_loop(0, on.some.end, add, jnp.zeros_like(sizes))


@cached_call
def multipliers(system: PieceSystem, t: Time, state: State) -> Signature:
    """The signature with the multipliers of the kinks that are held."""
    mode = system.mode
    solved = lambda: _solve(system, t, state)
    return jax.lax.cond(jnp.any(mode.held), solved, lambda: mode.signature)


def _solve(system: PieceSystem, t: Time, state: State) -> Signature:
    """The linear system for the multipliers."""
    mode, pieces, x = system.mode, system.objective, system.position(state)
    some = listed(mode.leads, dimension(x))
    aim, spread = system.aim(t, state), mode.spread()
    gradient = lambda s: as_vector(pieces.gradient(x, spread(s)))

    def newton(_: Any, guess: Signature) -> Signature:
        _, normals = pieces.normals(x, spread(guess), some.units())
        value, push = jax.linearize(gradient, guess)
        jumps = jax.vmap(push, out_axes=1)(some.units().astype(guess.dtype))
        rates = multiply(normals, aim.drift + aim.factor * value)
        matrix = multiply_matrices(aim.factor * normals, jumps)
        step = factorise(some.square(matrix))(some.only(-rates))
        return guess + some.put(some.only(step))

    steps = NESTED_STEPS if pieces.program.nested else 1
    if steps == 1:
        return spread(newton(0, mode.signature))
    return spread(jax.lax.fori_loop(0, steps, newton, mode.signature))

"""A system on one piece of its loss, along the kinks that it slides on."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.cached_call import cached_call
from dynsys.dense_solve import factorise
from dynsys.integrators.inclusion.mode import Mode
from dynsys.nonsmooth.active_set import Aim
from dynsys.nonsmooth.at_signature import AtSignature
from dynsys.nonsmooth.pieces import Pieces, Signature
from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import Position, as_vector, combine, constant, dimension, from_vector

Time = Float[Array, ""]

NESTED_STEPS = 5
"""Newton steps for multipliers where kinks are nested, from those of a few steps back."""

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
        feedback = self.system.feedback(t)
        if feedback is None:
            return self._smooth().vector_field(t, state)
        return type(state)(*feedback.rates(state, self.force(t, state)))

    def aim(self, t: Time, state: State) -> Aim:
        """What the signs of kinks decide about: the velocity."""
        signature = self.mode.signature
        feedback, zero = self.system.feedback(t), jnp.zeros_like(signature)
        if feedback is None:
            # The velocity of a system with a Hessian in it is that of the piece.
            velocity = as_vector(self.velocity(t, state)).astype(signature.dtype)
            return Aim(velocity, jnp.zeros((), signature.dtype), zero)
        rest = as_vector(combine(*zip(feedback.linear[0], state, strict=True)))
        factor = jnp.asarray(feedback.gradient[0]).astype(signature.dtype)
        return Aim(rest.astype(signature.dtype), factor, zero)

    def guards(self, t: Time, state: State) -> Float[Array, " kinks"]:
        r"""What is positive while the mode lasts.

        $s_iz_i$ of free kinks, $1 - |w_i|$ of those that are held. Of those tied to one
        that is held, how far they are from leaving it.
        """
        mode = self.mode
        signature = multipliers(self, t, state)
        on = self.onto(state, mode.leads, signature)
        beyond = self.objective.switching(on, signature) - mode.offset
        free = mode.signature * beyond
        tied = REACH * self.slack(state) - jnp.abs(beyond)
        kept = jnp.where(mode.leads, 1 - jnp.abs(signature), tied)
        return jnp.where(mode.held, kept, free)

    def slack(self, state: State) -> Float[Array, " kinks"]:
        """How far beyond 0 rounding may bring a guard: 5e-12 of what it is made of."""
        sizes = self.objective.sizes(self.position(state))
        size = jnp.maximum(constant(sizes), self.mode.size)
        info = jnp.finfo(size.dtype)
        # In 64 bits 5e-12 of what a switching value is made of, 1e-10 of a multiplier.
        unit = float(info.eps)
        floor = float(info.tiny) / unit
        slack = jnp.maximum(unit**0.72 * size, floor)
        return jnp.where(self.mode.leads, unit**0.64, slack)

    def violation(self, t: Time, state: State) -> Float[Array, ""]:
        lowest = jnp.min(self.guards(t, state) / self.slack(state))
        return jnp.maximum(-lowest, 0).astype(t.dtype)

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
        number = min(len(on), dimension(x))
        which, valid = listed(on, number)
        z, normals = self.objective.normals(x, signature, which)
        gram = normals @ normals.T
        lengths = jnp.where(valid, jnp.diagonal(gram), 1)
        scale = 1 / jnp.sqrt(jnp.where(lengths > 0, lengths, 1))
        eye = jnp.eye(number, dtype=gram.dtype)
        gram = jnp.where(valid[:, None] & valid, scale[:, None] * gram * scale, eye)
        # Surfaces that touch have parallel normals.
        weights = factorise(gram + 1e-13 * eye)(
            jnp.where(valid, scale * (z - self.mode.offset)[which], 0)
        )
        return from_vector(-jnp.where(valid, scale * weights, 0) @ normals, x)

    def _smooth(self) -> AbstractSystem:
        """The system with the piece for its objective."""
        piece = AtSignature(self.objective, self.mode.signature)
        return eqx.tree_at(lambda tree: tree.objective, self.system, piece)


def listed(
    mask: Bool[Array, " kinks"], number: int
) -> tuple[Int[Array, " some"], Bool[Array, " some"]]:
    """Indices of what is in a mask, at most so many, and which of them are valid."""
    which = jnp.nonzero(mask, size=number, fill_value=0)[0]
    return which, jnp.arange(number) < jnp.sum(mask)


@cached_call
def multipliers(system: PieceSystem, t: Time, state: State) -> Signature:
    """The signature with the multipliers of the kinks that are held."""
    mode = system.mode
    solved = lambda: _solve(system, t, state)
    return jax.lax.cond(jnp.any(mode.held), solved, lambda: mode.signature)


def _solve(system: PieceSystem, t: Time, state: State) -> Signature:
    """The linear system for the multipliers."""
    mode, pieces, x = system.mode, system.objective, system.position(state)
    number = min(pieces.number, dimension(x))
    which, valid = listed(mode.leads, number)
    aim = system.aim(t, state)

    def newton(_: Any, signature: Signature) -> Signature:
        rates, slopes = _rates_of(pieces, x, aim, mode.spread(signature), which, mode)
        both = valid[:, None] & valid
        matrix = jnp.where(both, slopes, jnp.eye(number, dtype=slopes.dtype))
        step = factorise(matrix)(jnp.where(valid, -rates, 0))
        return signature.at[which].add(jnp.where(valid, step, 0))

    if not pieces.program.nested:
        return mode.spread(newton(0, mode.signature))
    return mode.spread(jax.lax.fori_loop(0, NESTED_STEPS, newton, mode.signature))


def _rates_of(
    pieces: Pieces, x: Position, aim: Aim, signature: Signature, which: Any, mode: Mode
) -> tuple[Float[Array, " some"], Float[Array, "some some"]]:
    r"""Rates $\langle\nabla z_i, \dot x\rangle$ of kinks, and their slopes in the signs."""
    _, normals = pieces.normals(x, signature, which)
    unit = jax.nn.one_hot(which, len(signature), dtype=signature.dtype)
    gradient = lambda s: as_vector(pieces.gradient(x, s))
    value, push = jax.linearize(gradient, signature)
    jumps = jax.vmap(lambda direction: push(mode.spread(direction)))(unit)
    rates = normals @ (aim.drift + aim.factor * value)
    return rates, aim.factor * normals @ jumps.T

r"""On which piece of a loss a trajectory is, and along which kinks it slides.

A kink $z_i$ is free, then $s_i = \pm1$ is the side of it, or held: then $z_i(x(t)) = 0$ and
the multiplier $w_i \in [-1, 1]$ in place of $s_i$ keeps the velocity on the surface,

$$\langle\nabla z_i(x), \dot x\rangle = 0, \qquad
\dot z_1 = \sum_j a_{1j}z_j + b_1\,\nabla_x f_w(x) ,$$

a linear system for the multipliers of all held kinks.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.cached_call import cached_call
from dynsys.integrators.dense_solve import factorise
from dynsys.nonsmooth.pieces import Pieces
from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import Position, as_vector, combine, dimension

Time = Float[Array, ""]


NESTED_STEPS = 5
"""Newton steps for multipliers where kinks are nested, from those of a few steps back."""


class Mode(NamedTuple):
    """A signature and the kinks that are held.

    Args:
        signature: Side of each kink; of a held one a guess of its multiplier.
        held: Whether the trajectory slides along it.
    """

    signature: Float[Array, " kinks"]
    held: Bool[Array, " kinks"]

    def as_floats(self) -> tuple[Float[Array, " kinks"], Float[Array, " kinks"]]:
        """Both as numbers, to be written down with a step."""
        return self.signature, self.held.astype(self.signature.dtype)


def as_mode(floats: Any) -> Mode:
    """The inverse of `Mode.as_floats`."""
    signature, held = floats
    return Mode(signature, held > 0.5)


class PieceSystem(AbstractSystem):
    """A system in a mode: smooth, and equal to the inclusion while the mode lasts.

    Args:
        system: The system, in feedback form.
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
        return self.position(self.vector_field(t, state))

    def force(self, t: Time, state: State) -> Position:
        signature = multipliers(self, t, state)
        return self.objective.gradient(self.position(state), signature)

    def guards(self, t: Time, state: State) -> Float[Array, " kinks"]:
        r"""What is positive while the mode lasts.

        $s_iz_i$ of free kinks, $1 - |w_i|$ of those that are held.
        """
        signature = multipliers(self, t, state)
        z = self.objective.switching(self.position(state), signature)
        free = self.mode.signature * z
        return jnp.where(self.mode.held, 1 - jnp.abs(signature), free)

    def slack(self, state: State) -> Float[Array, " kinks"]:
        """How far below 0 rounding may bring a guard."""
        x = self.position(state)
        sizes = [jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(x) if leaf.size]
        size = 1 + jnp.max(jnp.stack(sizes))
        # In 64 bits 5e-12 of a position and 1e-10 of a multiplier.
        unit = float(jnp.finfo(size.dtype).eps)
        return jnp.where(self.mode.held, unit**0.64, unit**0.72 * size)

    def violation(self, t: Time, state: State) -> Float[Array, ""]:
        lowest = jnp.min(self.guards(t, state) / self.slack(state))
        return jnp.maximum(-lowest, 0).astype(t.dtype)

    def vector_field(self, t: Time, state: State) -> State:
        feedback: Any = self.system.feedback(t)
        return type(state)(*feedback.rates(state, self.force(t, state)))


@cached_call
def multipliers(system: PieceSystem, t: Time, state: State) -> Float[Array, " kinks"]:
    """The signature with the multipliers of the kinks that are held."""
    held, signature = system.mode.held, system.mode.signature
    solved = lambda: _solve(system, t, state)
    return jax.lax.cond(jnp.any(held), solved, lambda: signature)


def _solve(system: PieceSystem, t: Time, state: State) -> Float[Array, " kinks"]:
    """The linear system for the multipliers."""
    held, signature = system.mode.held, system.mode.signature
    number = min(len(held), dimension(system.position(state)))
    which = jnp.nonzero(held, size=number, fill_value=0)[0]
    valid = jnp.arange(number) < jnp.sum(held)

    def newton(_: Any, signature: Float[Array, " kinks"]) -> Float[Array, " kinks"]:
        rates, slopes = rates_of(system, t, state, signature, which)
        matrix = jnp.where(
            valid[:, None] & valid[None, :], slopes, jnp.eye(number, dtype=slopes.dtype)
        )
        step = factorise(matrix)(jnp.where(valid, -rates, 0))
        return signature.at[which].add(jnp.where(valid, step, 0))

    if not system.objective.program.nested:
        return newton(0, signature)
    return jax.lax.fori_loop(0, NESTED_STEPS, newton, signature)


def rates_of(
    system: PieceSystem,
    t: Time,
    state: State,
    signature: Float[Array, " kinks"],
    which: Int[Array, " some"],
) -> tuple[Float[Array, " some"], Float[Array, "some some"]]:
    r"""Rates $\langle\nabla z_i, \dot x\rangle$ of kinks, and their slopes in the signs.

    Args:
        system: The system.
        t: Time.
        state: State.
        signature: Signs, or multipliers, of all kinks.
        which: Indices of the kinks in question.
    """
    pieces: Pieces = system.objective
    x = system.position(state)
    feedback: Any = system.system.feedback(t)
    _, normals = pieces.normals(x, signature, which)
    unit = jax.nn.one_hot(which, len(signature), dtype=signature.dtype)
    gradient = lambda s: as_vector(pieces.gradient(x, s))
    value, push = jax.linearize(gradient, signature)
    jumps = jax.vmap(push)(unit)
    rest = combine(*zip(feedback.linear[0], state, strict=True))
    factor = feedback.gradient[0].astype(normals.dtype)
    rates = normals @ (as_vector(rest) + factor * value)
    return rates, factor * normals @ jumps.T

"""What happens at the end of a step: the surfaces, the next mode, the derivative."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.integrators.dense_solve import factorise
from dynsys.integrators.inclusion.mode import Mode, PieceSystem, multipliers
from dynsys.integrators.inclusion.saltation import Saltation, saltation
from dynsys.integrators.inclusion.transition import transition
from dynsys.integrators.problem import Problem
from dynsys.systems.system import State
from dynsys.trees import as_vector, constant, dimension, from_vector

Time = Float[Array, ""]


@dataclass(frozen=True)
class Polynomial:
    """The polynomial of the solver over one step; the mode is not needed for it."""

    local: Any

    def __call__(self, t0: Time, t1: Time, polynomial: Any, mode: Any) -> Any:
        del mode
        return self.local(t0=t0, t1=t1, **polynomial)


class Turn(NamedTuple):
    """What follows from an event.

    Args:
        mode: The mode after it.
        at: The kinks whose guards were 0.
        state: State on the surfaces, with the derivative after the event.
        saltation: The derivative of the event.
        unique: Whether no other mode is consistent.
    """

    mode: Mode
    at: Bool[Array, " kinks"]
    state: State
    saltation: Saltation
    unique: Bool[Array, ""]


def turn(system: PieceSystem, landed: Bool[Array, " kinks"], t: Time, state: State) -> Turn:
    """The event at the end of a step.

    Args:
        system: The system in the mode before.
        landed: The kink whose guard the step was to end at.
        t: Time.
        state: State, as the step left it.
    """
    mode = system.mode
    at = landed | (jnp.abs(system.guards(t, state)) <= system.slack(state))
    moved = onto_surfaces(system, state, at)
    meeting, fixed = mode.held | at, mode.held & at
    side = jnp.sign(multipliers(system, t, moved))
    sided = mode._replace(signature=jnp.where(fixed, side, mode.signature))
    with_sides = PieceSystem(system=system.system, objective=system.objective, mode=sided)
    turned = transition(with_sides, t, moved, meeting, fixed)
    after = constant(turned.mode)
    jump = saltation(system, after, at, t, state, moved)
    unique = turned.unique & ~jnp.any(at & jnp.asarray(system.objective.mixed, bool))
    return Turn(after, at, _add(moved, jump.change), jump, unique)


def no_turn(system: PieceSystem, t: Time, state: State) -> Turn:
    """The end of a step that is no event."""
    moved = onto_surfaces(system, state, jnp.zeros_like(system.mode.held))
    zero = jax.tree.map(jnp.zeros_like, moved)
    none = jnp.zeros_like(system.mode.held)
    still = Saltation(zero, none.astype(t.dtype), jnp.asarray(True))
    return Turn(system.mode, none, moved, still, jnp.asarray(True))


class Turns(NamedTuple):
    """All turns of a solve, to be taken again; row 0 is the mode at the start.

    Args:
        signature: Signatures of the modes after them.
        held: The kinks held after them.
        at: The kinks whose guards were 0.
    """

    signature: Float[Array, "rows kinks"]
    held: Bool[Array, "rows kinks"]
    at: Bool[Array, "rows kinks"]

    @classmethod
    def begin(cls, rows: int, mode: Mode) -> "Turns":
        """Room for a number of turns, and the mode at the start."""
        repeat = lambda leaf: jnp.broadcast_to(leaf, (rows, *leaf.shape))
        held = repeat(mode.held)
        return cls(repeat(mode.signature), held, jnp.zeros_like(held))

    def write(self, row: Int[Array, ""], turn: Turn) -> "Turns":
        """With one more turn."""
        new = (*turn.mode, turn.at)
        put = lambda leaf, value: leaf.at[row].set(value, mode="drop")
        return Turns(*map(put, self, new))

    def system(self, problem: Problem, row: Int[Array, ""]) -> PieceSystem:
        """The system in the mode after a turn."""
        mode = Mode(self.signature[row], self.held[row])
        return in_mode(problem, mode)

    def polynomials(self, local: Any, infos: Any, rows: Int[Array, " steps"]) -> Any:
        """Polynomials of steps and what they are built from, as the dense output has it."""
        mode = Mode(self.signature[rows], self.held[rows])
        return Polynomial(local), {"polynomial": infos, "mode": mode.as_floats()}

    def again(
        self, problem: Problem, rows: Any, t: Time, state: State
    ) -> tuple[State, Float[Array, " kinks"]]:
        """The state after the end of a step, and the derivative of that time.

        Args:
            problem: What was solved.
            rows: The turns that the step started and ended with.
            t: End of the step.
            state: State, as the step left it.
        """
        before, after = rows
        system = self.system(problem, before)

        def event() -> tuple[State, Float[Array, " kinks"]]:
            at = self.at[after]
            moved = onto_surfaces(system, state, at)
            mode = Mode(self.signature[after], self.held[after])
            jump = saltation(system, mode, at, t, state, moved)
            return _add(moved, jump.change), jump.shift

        def plain() -> tuple[State, Float[Array, " kinks"]]:
            still = no_turn(system, t, state)
            return still.state, still.saltation.shift

        return jax.lax.cond(after > before, event, plain)


def in_mode(problem: Problem, mode: Mode) -> PieceSystem:
    """The system of a problem in a mode."""
    return PieceSystem(system=problem.system, objective=problem.system.objective, mode=mode)


def onto_surfaces(system: PieceSystem, state: State, at: Bool[Array, " kinks"]) -> State:
    """The position moved onto the surfaces that are met or held; its derivative stays."""
    on = system.mode.held | at
    fixed, here = constant((system, state))
    still = lambda: as_vector(jax.tree.map(jnp.zeros_like, system.position(here)))
    shift = jax.lax.cond(jnp.any(on), lambda: _normal_step(fixed, here, on), still)
    x = system.position(state)
    return eqx.tree_at(system.position, state, _add(x, from_vector(shift, x)))


def _normal_step(system: PieceSystem, state: State, on: Any) -> Float[Array, " size"]:
    """A Newton step of the position onto surfaces."""
    x = system.position(state)
    number = min(len(on), dimension(x))
    which = jnp.nonzero(on, size=number, fill_value=0)[0]
    valid = jnp.arange(number) < jnp.sum(on)
    z, normals = system.objective.normals(x, system.mode.signature, which)
    gram = normals @ normals.T
    gram = jnp.where(
        valid[:, None] & valid[None, :], gram, jnp.eye(number, dtype=gram.dtype)
    )
    # Surfaces that touch have parallel normals.
    gram = gram + 1e-13 * jnp.trace(gram) * jnp.eye(number, dtype=gram.dtype)
    weights = factorise(gram)(jnp.where(valid, z[which], 0))
    return -jnp.where(valid, weights, 0) @ normals


def _add(a: Any, b: Any) -> Any:
    return jax.tree.map(jnp.add, a, b)

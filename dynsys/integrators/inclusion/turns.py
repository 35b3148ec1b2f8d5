"""The record of all turns of a solve, from which they are taken again."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from dynsys.integrators.engine.log import put
from dynsys.integrators.engine.motion import AbstractTurns
from dynsys.integrators.engine.problem import Problem
from dynsys.integrators.engine.solved import Story
from dynsys.integrators.inclusion.arrival import along_field, arrival, nowhere
from dynsys.integrators.inclusion.ledger import Ledger
from dynsys.integrators.inclusion.mode import Mode, Sides
from dynsys.integrators.inclusion.piece_system import PieceSystem
from dynsys.integrators.inclusion.saltation import once, saltation
from dynsys.integrators.inclusion.start import across_kinks
from dynsys.integrators.inclusion.turn import Turn, add, in_mode, no_turn, onto_surfaces
from dynsys.result import Derivative
from dynsys.systems.system import State
from dynsys.trees import Time


class Turns(NamedTuple):
    """All turns of a solve, to be taken again; row 0 is the mode at the start.

    Args:
        mode: The modes after them.
        at: The kinks that took part.
        landed: That whose surface a step ended on.
        group: Of each kink the one that it was taken together with.
    """

    mode: Mode
    at: Bool[Array, "rows kinks"]
    landed: Bool[Array, "rows kinks"]
    group: Int[Array, "rows kinks"]

    @classmethod
    def begin(cls, rows: int, mode: Mode) -> "Turns":
        """Room for a number of turns, and the mode at the start."""
        repeat = lambda leaf: jnp.broadcast_to(leaf, (rows, *leaf.shape))
        none = jnp.zeros((rows, len(mode.signature)), bool)
        group = repeat(jnp.arange(len(mode.signature)))
        return cls(jax.tree.map(repeat, mode), none, none, group)

    def write(self, row: Int[Array, ""], turn: Turn) -> "Turns":
        """With one more turn."""
        new = Turns(turn.mode, turn.at, turn.landed, turn.group)
        return jax.tree.map(lambda leaf, value: put(leaf, value, row), self, new)

    def row(self, row: Int[Array, ""]) -> "Turns":
        """One turn."""
        return jax.tree.map(lambda leaf: leaf[row], self)


@dataclass(frozen=True)
class TakenAgain(AbstractTurns):
    """The turns of a solve, from which its derivative takes them again.

    Args:
        turns: The turns.
        ledger: What was noted of them.
    """

    turns: Turns
    ledger: Ledger

    def system(self, problem: Problem, row: Int[Array, ""]) -> PieceSystem:
        return in_mode(problem, self.turns.row(row).mode)

    def modes(self, rows: Int[Array, " steps"]) -> Sides:
        return Sides.of(self.turns.row(rows).mode)

    def again(
        self, problem: Problem, rows: Any, t: Time, state: State
    ) -> tuple[State, Float[Array, " kinks"]]:
        before, after = rows
        system, taken = self.system(problem, before), self.turns.row(after)
        landed = taken.landed & (after > before)
        tolerances = problem.rtol, problem.atol
        arrives = jax.lax.cond(
            after > before,
            lambda: arrival(system, landed, t, state, tolerances),
            lambda: nowhere(system, t, state),
        )
        moved = onto_surfaces(system, arrives.state, landed | system.mode.leads)

        def event() -> tuple[State, Float[Array, " kinks"]]:
            placed = onto_surfaces(in_mode(problem, taken.mode), moved, taken.mode.leads)
            where = (taken.at, taken.group)
            jump = saltation(system, taken.mode, where, t, arrives, moved)
            onto = add(placed, jump.change)
            return along_field(onto, arrives.late, jump.onward), jump.shift

        def plain() -> tuple[State, Float[Array, " kinks"]]:
            still = no_turn(system, t, moved)
            return still.state, still.saltation.shift

        return jax.lax.cond(after > before, event, plain)

    def rates(
        self, shifts: PyTree, story: Story, turns: Int[Array, " ends"]
    ) -> Float[Array, "steps kinks"]:
        times = story.events.t
        if times is None:
            return jnp.zeros_like(shifts)
        rows, kinks = self.ledger.turn, self.ledger.kink
        ends_with = (turns[1:] > turns[:-1])[:, None] & (turns[1:, None] == rows[None])
        of_kinks = jax.nn.one_hot(kinks, shifts.shape[1], dtype=shifts.dtype)
        rates = jnp.where(rows > 0, times, 0).astype(shifts.dtype)
        return ends_with.astype(shifts.dtype) @ (rates[:, None] * of_kinks)

    def exist(self, story: Story) -> Bool[Array, ""]:
        return story.derivative != int(Derivative.NONE)

    def spoil(self, problem: Problem, gradient: Problem, story: Story) -> Problem:
        variables = eqx.filter(problem, eqx.is_inexact_array)
        gradient = jax.tree.map(once, gradient, variables)
        pieces: Any = problem.system.objective
        position = problem.system.position
        spoiled = jax.tree.map(
            lambda leaf, bad: jnp.where(bad, jnp.nan, leaf),
            position(gradient.state),
            across_kinks(pieces, position(problem.state), story.start.bends),
        )
        return eqx.tree_at(lambda tree: position(tree.state), gradient, spoiled)

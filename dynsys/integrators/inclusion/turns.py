"""The record of all turns of a solve, from which they are taken again."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.integrators.engine.log import put
from dynsys.integrators.engine.problem import Problem
from dynsys.integrators.inclusion.arrival import along_field, arrival, nowhere
from dynsys.integrators.inclusion.mode import Mode, Sides
from dynsys.integrators.inclusion.piece_system import PieceSystem
from dynsys.integrators.inclusion.saltation import saltation
from dynsys.integrators.inclusion.turn import Turn, add, in_mode, no_turn, onto_surfaces
from dynsys.systems.system import State

Time = Float[Array, ""]


@dataclass(frozen=True)
class Polynomial:
    """The polynomial of the solver over one step; its mode is not needed for it."""

    local: Any

    def __call__(self, t0: Time, t1: Time, polynomial: Any, sides: Any) -> Any:
        del sides
        return self.local(t0=t0, t1=t1, **polynomial)


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

    def system(self, problem: Problem, row: Int[Array, ""]) -> PieceSystem:
        """The system in the mode after a turn."""
        return in_mode(problem, self.row(row).mode)

    def polynomials(self, local: Any, infos: Any, rows: Int[Array, " steps"]) -> Any:
        """Polynomials of steps and what they are built from, as the dense output has it."""
        return Polynomial(local), {
            "polynomial": infos,
            "sides": Sides.of(self.row(rows).mode),
        }

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
        system, taken = self.system(problem, before), self.row(after)

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

"""Motion along one smooth field."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from dynsys.dense_output import AbstractDenseOutput
from dynsys.integrators.engine.attempt import Attempt
from dynsys.integrators.engine.carry import Arrived, Carry, Fate, set_out
from dynsys.integrators.engine.dense import DenseOutput
from dynsys.integrators.engine.first_step import first_step
from dynsys.integrators.engine.log import Log
from dynsys.integrators.engine.motion import AbstractMotion, AbstractTurns
from dynsys.integrators.engine.problem import TERM, Method, Problem
from dynsys.integrators.engine.solved import Solved, Story
from dynsys.result import Derivative, Status
from dynsys.systems.system import AbstractSystem, State
from dynsys.trajectory import KinkEvents
from dynsys.trees import Time


class NoTurns(AbstractTurns):
    """One mode throughout."""

    def system(self, problem: Problem, row: Int[Array, ""]) -> AbstractSystem:
        return problem.system

    def modes(self, rows: Int[Array, " steps"]) -> PyTree:
        return ()

    def again(
        self, problem: Problem, rows: Any, t: Time, state: State
    ) -> tuple[State, PyTree]:
        return state, ()

    def rates(self, shifts: PyTree, story: Story, turns: Int[Array, " ends"]) -> PyTree:
        return shifts

    def exist(self, story: Story) -> Bool[Array, ""]:
        return jnp.asarray(True)

    def spoil(self, problem: Problem, gradient: Problem, story: Story) -> Problem:
        return gradient


@dataclass(frozen=True)
class Smooth(AbstractMotion):
    """The motion without events. Its course is empty, and so is its mode.

    Args:
        max_events: Length of the ledger, in which nothing is written.
    """

    max_events: int

    def obstacle(self, problem: Problem) -> str:
        return ""

    def begin(self, problem: Problem, method: Method, *, keeps_turns: bool) -> Carry:
        order: Any = method.solver.error_order(TERM)
        return set_out(problem, method.solver, first_step(problem, order), ())

    def goes_on(self, course: Any, otherwise: Bool[Array, ""]) -> Bool[Array, ""]:
        return otherwise

    def is_exact(self, course: Any) -> None:
        return None

    def system(self, problem: Problem, course: Any) -> AbstractSystem:
        return problem.system

    def mode(self, course: Any) -> PyTree:
        return course

    def turns_so_far(self, course: Any) -> Int[Array, ""]:
        return jnp.zeros((), int)

    def fate(self, tried: Attempt) -> Fate:
        return Fate(tried.keep, tried.keep, tried.control, tried.next_step, ())

    def arrive(self, tried: Attempt, fate: Fate, stops: Bool[Array, ""]) -> Arrived:
        fine, size = jnp.asarray(int(Status.SUCCESS)), tried.end - tried.before.t
        return Arrived(tried.new, (), fate.next_step, size, fine)

    def finish(
        self, problem: Problem, method: Method, carry: Carry, log: Log
    ) -> tuple[Carry, Log]:
        return carry, log

    def tell(self, problem: Problem, carry: Carry) -> Story:
        events = KinkEvents.none(self.max_events, problem.t0.dtype)
        exists = jnp.asarray(int(Derivative.EXISTS))
        return Story(events, jnp.asarray(True), exists, None, None, ())

    def first_state(self, problem: Problem, story: Story) -> State:
        return problem.state

    def system_at(
        self, problem: Problem, solved: Solved, row: Int[Array, ""], begins: Bool[Array, ""]
    ) -> AbstractSystem:
        return problem.system

    def dense(self, problem: Problem, steps: DenseOutput) -> AbstractDenseOutput:
        return steps

    def turns(self, course: Any) -> NoTurns:
        return NoTurns()

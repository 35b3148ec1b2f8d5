"""Motion along one smooth field."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from dynsys.dense_output import AbstractDenseOutput
from dynsys.integrators.engine.attempt import Attempt
from dynsys.integrators.engine.carry import Arrived, Carry, Fate, set_out
from dynsys.integrators.engine.dense import DenseOutput
from dynsys.integrators.engine.first_step import first_step
from dynsys.integrators.engine.log import Log
from dynsys.integrators.engine.motion import AbstractMotion, AbstractTurns, Story
from dynsys.integrators.engine.problem import TERM, Method, Problem
from dynsys.result import Derivative, Status
from dynsys.systems.system import AbstractSystem, State
from dynsys.trajectory import KinkEvents

Time = Float[Array, ""]


class NoTurns(AbstractTurns):
    """One mode throughout."""

    def system(self, problem: Problem, row: Int[Array, ""]) -> AbstractSystem:
        del row
        return problem.system

    def modes(self, rows: Int[Array, " steps"]) -> PyTree:
        del rows
        return ()

    def again(
        self, problem: Problem, rows: Any, t: Time, state: State
    ) -> tuple[State, PyTree]:
        del problem, rows, t
        return state, ()

    def rates(self, shifts: PyTree, story: Story, turns: Int[Array, " ends"]) -> PyTree:
        del story, turns
        return shifts

    def exist(self, story: Story) -> Bool[Array, ""]:
        del story
        return jnp.asarray(True)

    def spoil(self, problem: Problem, gradient: Problem, story: Story) -> Problem:
        del problem, story
        return gradient


@dataclass(frozen=True)
class Smooth(AbstractMotion):
    """The motion without events. Its course is empty, and so is its mode.

    Args:
        max_events: Length of the ledger, in which nothing is written.
    """

    max_events: int

    def obstacle(self, problem: Problem) -> str:
        del problem
        return ""

    def begin(self, problem: Problem, method: Method, *, keeps_turns: bool) -> Carry:
        del keeps_turns
        order: Any = method.solver.error_order(TERM)
        return set_out(problem, method.solver, first_step(problem, order), ())

    def goes_on(self, course: Any, otherwise: Bool[Array, ""]) -> Bool[Array, ""]:
        del course
        return otherwise

    def is_exact(self, course: Any) -> None:
        del course

    def system(self, problem: Problem, course: Any) -> AbstractSystem:
        del course
        return problem.system

    def mode(self, course: Any) -> PyTree:
        return course

    def turns_so_far(self, course: Any) -> Int[Array, ""]:
        del course
        return jnp.zeros((), int)

    def fate(
        self, system: AbstractSystem, before: Carry, end: Time, tried: Attempt, local: Any
    ) -> Fate:
        del system, before, end, local
        return Fate(tried.keep, tried.keep, tried.control, tried.next_step, ())

    def arrive(
        self,
        problem: Problem,
        method: Method,
        before: Carry,
        system: AbstractSystem,
        fate: Fate,
        end: Time,
        tried: Attempt,
        stops: Bool[Array, ""],
    ) -> Arrived:
        del problem, method, system, stops
        fine = jnp.asarray(int(Status.SUCCESS))
        return Arrived(tried.new, (), fate.next_step, end - before.t, fine)

    def finish(
        self, problem: Problem, method: Method, carry: Carry, log: Log
    ) -> tuple[Carry, Log]:
        del problem, method
        return carry, log

    def tell(self, problem: Problem, carry: Carry) -> Story:
        del carry
        events = KinkEvents.none(self.max_events, problem.t0.dtype)
        exists = jnp.asarray(int(Derivative.EXISTS))
        return Story(events, jnp.asarray(True), exists, None, None, ())

    def first_state(self, problem: Problem, story: Story) -> State:
        del story
        return problem.state

    def system_at(
        self,
        problem: Problem,
        steps: DenseOutput,
        row: Int[Array, ""],
        begins: Bool[Array, ""],
        story: Story,
    ) -> AbstractSystem:
        del steps, row, begins, story
        return problem.system

    def dense(self, problem: Problem, steps: DenseOutput) -> AbstractDenseOutput:
        del problem
        return steps

    def turns(self, course: Any) -> NoTurns:
        del course
        return NoTurns()

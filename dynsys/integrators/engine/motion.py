"""What moves: along one smooth field, or along pieces with events where they meet.

The loop over the steps, what is written down of them, and the derivative by replay are the
same for every motion. A motion says which field a step follows and what happens at its end.
"""

import abc
from typing import Any

from jaxtyping import Array, Bool, Int, PyTree

from dynsys.dense_output import AbstractDenseOutput
from dynsys.integrators.engine.attempt import Attempt
from dynsys.integrators.engine.carry import Arrived, Carry, Fate
from dynsys.integrators.engine.dense import DenseOutput
from dynsys.integrators.engine.log import Log
from dynsys.integrators.engine.problem import Method, Problem
from dynsys.integrators.engine.solved import Solved, Story
from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import Time


class AbstractMotion(abc.ABC):
    """How a run moves; fixed when a program is compiled.

    Its `course` is what it carries from step to step, and a mode is what of that decides
    about the field in a step.
    """

    @abc.abstractmethod
    def obstacle(self, problem: Problem) -> str:
        """Why the loop over the steps cannot be one kernel; empty if it can."""

    @abc.abstractmethod
    def begin(self, problem: Problem, method: Method, *, keeps_turns: bool) -> Carry:
        """Where a run stands before the first pass of the loop."""

    @abc.abstractmethod
    def goes_on(self, course: Any, otherwise: Bool[Array, ""]) -> Bool[Array, ""]:
        """Whether the loop goes on, given whether it would without this motion."""

    @abc.abstractmethod
    def is_exact(self, course: Any) -> Bool[Array, ""] | None:
        """Whether the next step is to end at an event; `None` if there are no events."""

    @abc.abstractmethod
    def system(self, problem: Problem, course: Any) -> AbstractSystem:
        """The system that the next step follows."""

    @abc.abstractmethod
    def mode(self, course: Any) -> PyTree:
        """The mode of the next step."""

    @abc.abstractmethod
    def turns_so_far(self, course: Any) -> Int[Array, ""]:
        """Number of changes of mode."""

    @abc.abstractmethod
    def fate(self, tried: Attempt) -> Fate:
        """What becomes of a step that was tried."""

    @abc.abstractmethod
    def arrive(self, tried: Attempt, fate: Fate, stops: Bool[Array, ""]) -> Arrived:
        """What is found at the end of a step, in which the run may stop."""

    @abc.abstractmethod
    def finish(
        self, problem: Problem, method: Method, carry: Carry, log: Log
    ) -> tuple[Carry, Log]:
        """What follows on the loop over the steps."""

    @abc.abstractmethod
    def tell(self, problem: Problem, carry: Carry) -> Story:
        """What there is to tell at the end."""

    @abc.abstractmethod
    def first_state(self, problem: Problem, story: Story) -> State:
        """The state at the start, with the derivative that it has."""

    @abc.abstractmethod
    def system_at(
        self, problem: Problem, solved: Solved, row: Int[Array, ""], begins: Bool[Array, ""]
    ) -> AbstractSystem:
        """The system at an output.

        Args:
            problem: What was solved, with its coefficients as they are in the step.
            solved: What came of it.
            row: The step that the output lies in.
            begins: Whether the output is at the start.
        """

    @abc.abstractmethod
    def dense(self, problem: Problem, steps: DenseOutput) -> AbstractDenseOutput:
        """The solution at any time, from the polynomials of the steps."""

    @abc.abstractmethod
    def turns(self, course: Any) -> "AbstractTurns":
        """The changes of mode, to be taken again."""


class AbstractTurns(abc.ABC):
    """The changes of mode of a run, from which its derivative takes them again."""

    @abc.abstractmethod
    def system(self, problem: Problem, row: Int[Array, ""]) -> AbstractSystem:
        """The system after a turn; row 0 is the start."""

    @abc.abstractmethod
    def modes(self, rows: Int[Array, " steps"]) -> PyTree:
        """The modes after some turns."""

    @abc.abstractmethod
    def again(
        self, problem: Problem, rows: Any, t: Time, state: State
    ) -> tuple[State, PyTree]:
        """The state from which a run goes on after a step, and the shift of that time.

        The shift is 0, and its derivative that of the time.

        Args:
            problem: What was solved.
            rows: The turns that the step started and ended with.
            t: End of the step.
            state: State there, as the step left it.
        """

    @abc.abstractmethod
    def rates(self, shifts: PyTree, story: Story, turns: Int[Array, " ends"]) -> PyTree:
        """Cotangents of the times that steps end at, from those of a story.

        Args:
            shifts: The derivatives of those times.
            story: Cotangent of the story.
            turns: Number of turns up to each of the ends.
        """

    @abc.abstractmethod
    def exist(self, story: Story) -> Bool[Array, ""]:
        """Whether there is a derivative."""

    @abc.abstractmethod
    def spoil(self, problem: Problem, gradient: Problem, story: Story) -> Problem:
        """The cotangent of a problem, NaN where there is no derivative."""

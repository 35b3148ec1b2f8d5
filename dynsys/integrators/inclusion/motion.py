"""Motion along smooth pieces of a loss, with events at the kinks where they meet."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.dense_output import AbstractDenseOutput
from dynsys.integrators.engine.attempt import Attempt
from dynsys.integrators.engine.carry import Arrived, Carry, Fate, set_out
from dynsys.integrators.engine.dense import DenseOutput
from dynsys.integrators.engine.log import Log
from dynsys.integrators.engine.motion import AbstractMotion
from dynsys.integrators.engine.problem import Method, Problem
from dynsys.integrators.engine.solved import Solved, Story
from dynsys.integrators.engine.stop import has_stop
from dynsys.integrators.inclusion.course import TURNS, Course, begin_course
from dynsys.integrators.inclusion.first_order import integrate_in_first_order
from dynsys.integrators.inclusion.landing import fate_of
from dynsys.integrators.inclusion.ledger import up_to
from dynsys.integrators.inclusion.mode import Sides
from dynsys.integrators.inclusion.pace import may_run_away
from dynsys.integrators.inclusion.piece_system import PieceSystem
from dynsys.integrators.inclusion.rest import at_rest, come_to_rest, may_rest
from dynsys.integrators.inclusion.start import off_kinks
from dynsys.integrators.inclusion.transition import transition
from dynsys.integrators.inclusion.turn import in_mode
from dynsys.integrators.inclusion.turns import TakenAgain
from dynsys.nonsmooth.listed import FEW
from dynsys.nonsmooth.pieces import Pieces, Signature
from dynsys.result import Status
from dynsys.systems.system import AbstractSystem, State
from dynsys.trajectory import KinkEvents
from dynsys.trees import Time, constant, zeros_like


class PiecewiseOutput(AbstractDenseOutput):
    """The solution of an inclusion at any time, with the mode of each step.

    Args:
        t0: Start of the solution.
        t1: Its end.
        steps: The polynomials and the modes.
        pieces: The loss with its kinks.
    """

    t0: Time
    t1: Time
    steps: DenseOutput
    pieces: Pieces

    @property
    def joints(self) -> Float[Array, " rows"]:
        return self.steps.joints

    def state(self, t: Time) -> State:
        return self.steps.state(t)

    def slope(self, t: Time) -> State:
        return self.steps.slope(t)

    def between_switches(self, t: Time, system: AbstractSystem) -> AbstractSystem:
        return self.steps.between_switches(t, system)

    def system_at(self, t: Time, system: AbstractSystem) -> PieceSystem:
        system = self.between_switches(t, system)
        mode = self.steps.mode(self.steps.row(t)).mode()
        return PieceSystem(system=system, objective=self.pieces, mode=mode)


@dataclass(frozen=True)
class Piecewise(AbstractMotion):
    """The motion along the pieces of a loss, which is a `dynsys.nonsmooth.pieces.Pieces`.

    Args:
        max_events: Length of the ledger of events.
    """

    max_events: int

    def obstacle(self, problem: Problem) -> str:
        pieces: Any = problem.system.objective
        number = pieces.number
        return "" if number <= FEW else f"its {number:,} kinks are more than {FEW}"

    def begin(self, problem: Problem, method: Method, *, keeps_turns: bool) -> Carry:
        course = begin_course(problem, self.max_events, keeps_turns=keeps_turns)
        system = self.system(problem, course)
        piece = eqx.tree_at(lambda tree: tree.system, problem, system)
        # The first pass sets the size of the first step; until then it does not matter.
        return set_out(piece, method.solver, 1e-3 * (problem.t1 - problem.t0), course)

    def goes_on(self, course: Course, otherwise: Bool[Array, ""]) -> Bool[Array, ""]:
        return course.starts | (otherwise & ~course.pace.runs_away)

    def is_exact(self, course: Course) -> Bool[Array, ""]:
        return course.landing.active

    def system(self, problem: Problem, course: Course) -> PieceSystem:
        return in_mode(problem, course.mode)

    def mode(self, course: Course) -> Sides:
        return Sides.of(course.mode)

    def turns_so_far(self, course: Course) -> Int[Array, ""]:
        return course.ledger.turns

    def fate(self, tried: Attempt) -> Fate:
        course: Course = tried.before.course
        return fate_of(tried, course.landing, course.starts)

    def arrive(self, tried: Attempt, fate: Fate, stops: Bool[Array, ""]) -> Arrived:
        problem, system, before = tried.problem, tried.system, tried.before
        course: Course = before.course
        starts, plan = course.starts, fate.plan
        t = jnp.where(fate.accept, tried.end, before.t)
        state = _choose(starts, before.state, tried.new)
        happened, after, first = transition(tried, plan, t, state)
        x = system.position(_choose(fate.moves, happened.state, before.state))
        after = after._replace(
            landing=plan.landing,
            unique=course.unique & (happened.unique | stops),
            blur=course.blur.after(happened.saltation.lost, x),
        )
        room = len(after.ledger.kink)
        is_full = (after.ledger.lines > room) | (after.ledger.turns > TURNS * room)
        is_blurred = after.blur.shows(problem.rtol, problem.atol)
        fails = plan.turns & (happened.code != Status.SUCCESS)
        code = jnp.where(is_blurred, int(Status.TIME_UNRESOLVED), int(Status.SUCCESS))
        code = jnp.where(fails, happened.code, code)
        is_full = is_full & ~after.pace.runs_away
        code = jnp.where(is_full, int(Status.MAX_EVENTS), code)
        next_step = jnp.where(starts, first, fate.next_step)
        size = jnp.where(starts, first, tried.end - before.t)
        return Arrived(happened.state, after, next_step, size, code)

    def finish(
        self, problem: Problem, method: Method, carry: Carry, log: Log
    ) -> tuple[Carry, Log]:
        if may_rest(problem):
            rest_since = jnp.full_like(problem.t0, jnp.inf)
            if method.may_rest:
                carry, log, rest_since = come_to_rest(problem, method, carry, log, _kept)
            carry = carry._replace(course=at_rest(carry.course, rest_since))
        if may_run_away(problem.system):
            swing = carry.course.pace.swing
            run_on = integrate_in_first_order
            carry, log, first_order = run_on(problem, method, carry, log, _kept, swing)
            carry = carry._replace(course=carry.course._replace(first_order=first_order))
        return carry, log

    def tell(self, problem: Problem, carry: Carry) -> Story:
        course: Course = carry.course
        pieces = problem.system.objective
        assert isinstance(pieces, Pieces)
        ledger = up_to(course.ledger, carry.t) if has_stop(problem) else course.ledger
        lines = (ledger.lines, ledger.t, ledger.kink, ledger.kind)
        return Story(
            KinkEvents(*lines, pieces.places),
            course.unique,
            course.derivative,
            course.first_order,
            course.rest_since,
            constant(course.start),
        )

    def first_state(self, problem: Problem, story: Story) -> State:
        pieces: Any = problem.system.objective
        return off_kinks(problem.system, pieces, problem.state, story.start.bends)

    def system_at(
        self, problem: Problem, solved: Solved, row: Int[Array, ""], begins: Bool[Array, ""]
    ) -> PieceSystem:
        assert solved.steps is not None
        sides = _choose(begins, solved.story.start.sides, solved.steps.mode(row))
        return in_mode(problem, sides.mode())

    def dense(self, problem: Problem, steps: DenseOutput) -> PiecewiseOutput:
        pieces: Any = problem.system.objective
        return PiecewiseOutput(steps.t0, steps.t1, steps, pieces)

    def turns(self, course: Course) -> TakenAgain:
        assert course.turns is not None
        return TakenAgain(course.turns, course.ledger)


def _choose(mask: Bool[Array, ""], new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(mask, a, b), new, old)


def _kept(y0: State, y1: State, signs: Signature) -> dict[str, Any]:
    """What is kept of a step that is a straight line."""
    return {
        "polynomial": {"y0": y0, "y1": y1, "k": (zeros_like(y0),) * 3},
        "mode": Sides(signs, jnp.zeros_like(signs)),
    }

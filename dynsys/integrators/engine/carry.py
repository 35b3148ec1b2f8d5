"""Where a run stands between two steps, and what becomes of a step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from dynsys.integrators.engine.problem import TERM, Problem
from dynsys.integrators.engine.step_control import first_memory
from dynsys.systems.system import State
from dynsys.trees import Time


class Carry(NamedTuple):
    """Where a run stands between two steps.

    Args:
        t: Time.
        state: State at that time.
        hidden: What the solver carries from step to step.
        control: What the control of the step size remembers.
        next_step: Size of the next step.
        tried: Size of the last step that was tried.
        accepted: Number of accepted steps.
        rejected: Number of rejected steps.
        code: A `Status`; success while the run goes on.
        course: What the motion carries from step to step.
    """

    t: Time
    state: State
    hidden: PyTree
    control: PyTree
    next_step: Time
    tried: Time
    accepted: Int[Array, ""]
    rejected: Int[Array, ""]
    code: Int[Array, ""]
    course: Any


def set_out(problem: Problem, solver: Any, first: Time, course: Any) -> Carry:
    """Where a run stands before its first step, which has some size."""
    system, state, t0 = problem.system, problem.state, problem.t0
    hidden = solver.init(TERM, t0, t0 + first, state, system)
    zero = jnp.zeros((), int)
    return Carry(
        t=t0,
        state=state,
        hidden=jax.tree.map(jnp.asarray, hidden),
        control=first_memory(problem, solver),
        next_step=first,
        tried=first,
        accepted=zero,
        rejected=zero,
        code=problem.code,
        course=course,
    )


class Fate(NamedTuple):
    """What becomes of a step that was tried.

    Args:
        accept: Whether it is taken.
        moves: Whether time or state change.
        control: What the control of the step size remembers.
        next_step: Size of the next step.
        plan: What else the motion has decided about it.
    """

    accept: Bool[Array, ""]
    moves: Bool[Array, ""]
    control: PyTree
    next_step: Time
    plan: Any


class Arrived(NamedTuple):
    """What is found at the end of a step.

    Args:
        state: State from which the run goes on.
        course: What the motion carries on.
        next_step: Size of the next step.
        tried: Size of the step.
        code: A `Status`, success if the run can go on.
    """

    state: State
    course: Any
    next_step: Time
    tried: Time
    code: Int[Array, ""]


class Step(NamedTuple):
    """One step that was tried.

    Args:
        start: Its start.
        end: Its end.
        kept: What is kept of it: the arguments of its polynomial, and its mode.
        accepted: Whether it was taken.
        turns: Number of changes of mode up to its end.
    """

    start: Time
    end: Time
    kept: dict[str, PyTree]
    accepted: Bool[Array, ""]
    turns: Int[Array, ""]

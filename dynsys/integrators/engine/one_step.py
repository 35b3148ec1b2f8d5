"""What steps of all kinds share: where they end, and how a run may end there."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from dynsys.integrators.engine.carry import Carry, Step
from dynsys.integrators.engine.log import Log, write
from dynsys.integrators.engine.problem import Method, Problem
from dynsys.integrators.engine.ranges import leaves_range
from dynsys.integrators.engine.stop import stop_holds_in
from dynsys.integrators.engine.switching import (
    allows_none,
    between,
    go_on,
    longest_step,
    target_of,
)
from dynsys.integrators.start import is_finite
from dynsys.result import Status
from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import Time, constant


def end_of_step(
    problem: Problem,
    method: Method,
    t: Time,
    size: Time,
    is_exact: Bool[Array, ""] | None = None,
) -> Time:
    """The end of a step: not beyond the next target, and not just short of it.

    The size of a step is a constant; ends that are given have derivatives.

    Args:
        problem: What is integrated.
        method: With what.
        t: Start of the step.
        size: Its size.
        is_exact: Whether it may end just short of a target; `None` if none may.
    """
    target = target_of(problem, method, t)
    size = longest_step(problem, t, size)
    end = constant(t + size)
    is_near = end > target - 1e-3 * size
    if is_exact is None:
        return jnp.where(is_near, target, end)
    return jnp.where(is_near & ~is_exact, target, jnp.minimum(end, target))


def status_after(
    problem: Problem,
    before: Carry,
    t: Time,
    accept: Bool[Array, ""],
    stops: Bool[Array, ""],
    found: Int[Array, ""],
) -> Int[Array, ""]:
    """The `Status` after a step.

    Args:
        problem: What is integrated.
        before: Where the run stood before it.
        t: Where it stands now.
        accept: Whether the step was taken.
        stops: Whether the run stops in it.
        found: What else was found in it or at its end.
    """
    leaves = accept & leaves_range(problem.system, t)
    code = jnp.where(leaves, int(Status.COEFFICIENT_OUT_OF_RANGE), before.code)
    code = jnp.where(found != Status.SUCCESS, found, code)
    # What is at the end of its last step does not matter to a run that stops in it.
    code = jnp.where(stops & ~leaves, int(Status.STOPPED), code)
    if problem.max_step is not None:
        forbidden = allows_none(problem, before.t)
        code = jnp.where(forbidden, int(Status.MAX_STEP_NOT_POSITIVE), code)
    # A run that had already ended keeps its status.
    return jnp.where(before.code == Status.SUCCESS, code, before.code)


class Move(NamedTuple):
    """A step that is taken as it is.

    Args:
        state: State at its end.
        system: The system that it follows.
        kept: What is kept of it.
        aside: What else is wanted of it.
    """

    state: State
    system: AbstractSystem
    kept: dict[str, PyTree]
    aside: Any = ()


def take(
    given: Problem,
    method: Method,
    loop: tuple[Carry, Log],
    size: Time,
    move: Callable[[Problem, Time, Time, State], Move],
) -> tuple[Carry, Log, Move]:
    """Take a step without error control, and write it down.

    Args:
        given: What is integrated.
        method: With what.
        loop: Where the run stands, and what is written down.
        size: Size of the step.
        move: The step, from its start, its end, and the state at its start.
    """
    before, log = loop
    t = before.t
    end = end_of_step(given, method, t, size)
    problem = between(given, t, end)
    moved = move(problem, t, end, before.state)
    local = method.solver.interpolation_cls(t0=t, t1=end, **moved.kept["polynomial"])
    inside = eqx.tree_at(lambda tree: tree.system, problem, moved.system)
    stops = stop_holds_in(inside, t, end, moved.state, local.evaluate)
    is_sound = is_finite(moved.state)
    found = jnp.where(is_sound, int(Status.SUCCESS), int(Status.STEP_UNDERFLOW))
    after = before._replace(
        t=end,
        state=go_on(given, moved.system, end, moved.state),
        tried=end - t,
        accepted=before.accepted + 1,
        code=status_after(given, before, end, jnp.asarray(True), stops, found),
    )
    step = Step(t, end, moved.kept, jnp.asarray(True), jnp.zeros((), int))
    return after, write(given, method, log, before, after, step, None), moved

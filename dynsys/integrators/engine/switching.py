"""Where steps have to end, and what happens where coefficients switch."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from dynsys.integrators.engine.problem import TERM, Method, Problem
from dynsys.switches.window import in_window
from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import Time


def between(problem: Problem, start: Time, end: Time) -> Problem:
    """A problem whose coefficients are looked at strictly inside of an interval.

    Args:
        problem: The problem.
        start: Where the interval starts.
        end: Where it ends; no coefficient switches in between.
    """
    if problem.switches is None:
        return problem
    system = in_window(problem.system, start, end, problem.switches.margin)
    return eqx.tree_at(lambda tree: tree.system, problem, system)


def just_after(problem: Problem, t: Time) -> Problem:
    """A problem with the limits of its coefficients from later times."""
    if problem.switches is None:
        return problem
    return between(problem, t, t + 4 * problem.switches.margin)


def margin_of(problem: Problem) -> Time | None:
    """How far inside of a step coefficients are looked at, if they switch."""
    return None if problem.switches is None else problem.switches.margin


def at_start(problem: Problem) -> Problem:
    """A problem with its coefficients as they are just after the start."""
    return just_after(problem, problem.t0)


def switches_at(problem: Problem, t: Time) -> Bool[Array, ""]:
    """Whether a coefficient switches at a time."""
    if problem.switches is None:
        return jnp.asarray(False)
    return jnp.any(problem.switches.times == t)


def go_on(problem: Problem, before: AbstractSystem, t: Time, state: State) -> State:
    """The state at the end of a step, from which the next one starts.

    Args:
        problem: The problem.
        before: The system that the step followed.
        t: The end of the step.
        state: The state as the step left it.
    """
    if problem.switches is None:
        return state
    switched = lambda: before.restarted(just_after(problem, t).system, t, state)
    return jax.lax.cond(switches_at(problem, t), switched, lambda: state)


def hidden_after(
    problem: Problem,
    system: AbstractSystem,
    solver: diffrax.AbstractSolver,
    t: Time,
    state: State,
    hidden: PyTree,
) -> PyTree:
    """What the solver carries on, anew where coefficients switch.

    Args:
        problem: The problem.
        system: The system as it is just after the step.
        solver: The solver.
        t: The end of the step.
        state: The state from which the next one starts.
        hidden: What the solver carried on.
    """
    if problem.switches is None or not jax.tree.leaves(hidden):
        return hidden
    end = t + problem.switches.margin
    as_arrays = lambda tree: jax.tree.map(jnp.asarray, tree)
    anew = lambda: as_arrays(solver.init(TERM, t, end, state, system))
    return jax.lax.cond(switches_at(problem, t), anew, lambda: hidden)


def target_of(problem: Problem, method: Method, t: Time) -> Time:
    """The next time after another at which a step has to end."""
    target = problem.t1
    # Of times that are equal the first is the variable.
    tables = [
        None if problem.switches is None else problem.switches.times,
        problem.landing_times,
        problem.times if method.lands else None,
    ]
    for table in tables:
        if table is not None and len(table):
            following = jnp.searchsorted(table, t, side="right")
            last = len(table) - 1
            found = table[jnp.minimum(following, last)]
            # Of two that are equal the end of the interval is the variable.
            target = jnp.where((following <= last) & (found < target), found, target)
    return target


def longest_step(problem: Problem, t: Time, proposed: Time) -> Time:
    """The proposed size of a step, or the largest that is allowed, 0 where none is."""
    if problem.max_step is None:
        return proposed
    allowed = jax.lax.stop_gradient(jnp.asarray(problem.max_step(t)).astype(t.dtype))
    return jnp.where(allowed > 0, jnp.minimum(proposed, allowed), 0)


def allows_none(problem: Problem, t: Time) -> Bool[Array, ""]:
    """Whether the largest step that is allowed at a time is not positive."""
    return ~(longest_step(problem, t, jnp.ones_like(t)) > 0)

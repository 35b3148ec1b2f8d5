"""Ending a run early."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from dynsys.integrators.engine.problem import Problem
from dynsys.systems.system import State
from dynsys.trees import Time, norm

SAMPLES = 9
"""Times inside a step at which a real value is looked at, so that a dip in a long step
is seen unless it is shorter than a tenth of the step."""

BISECTIONS = 60
"""Halvings that bring the bracket of a stop from one step to rounding."""


def has_stop(problem: Any) -> bool:
    """Whether the run has a condition that ends it; `problem` may be its inputs, too."""
    return problem.stop_norm is not None or problem.stop is not None


def stop_value(problem: Problem, t: Time, state: State) -> Array:
    """The condition at a state: a boolean, or a real number that ends the run at 0.

    Raises:
        ValueError: The callable does not return one boolean or real number.
    """
    system = problem.system
    x = system.position(state)
    if problem.stop_norm is not None:
        return norm(system.gradient(x)) - problem.stop_norm.astype(t.dtype)
    assert problem.stop is not None
    value = jnp.asarray(problem.stop(t, x, system.velocity(t, state)))
    is_real = jnp.issubdtype(value.dtype, jnp.floating)
    if value.shape != () or not (is_real or value.dtype == jnp.bool_):
        raise ValueError(
            f"`stop(t, x, v)` must return one boolean or real number, but returned "
            f"shape {value.shape} and dtype {value.dtype}."
        )
    return value


def stop_holds(problem: Problem, t: Time, state: State) -> Bool[Array, ""]:
    """Whether the condition holds: it is true, or not positive, or NaN."""
    if not has_stop(problem):
        return jnp.asarray(False)
    value = stop_value(problem, t, state)
    # A value may be 0 just before it is NaN, and that is where the run ends.
    return value if value.dtype == jnp.bool_ else ~(value > 0)


def stop_is_nan(problem: Problem, t: Time, state: State) -> Bool[Array, ""]:
    """Whether the condition is NaN."""
    if not has_stop(problem):
        return jnp.asarray(False)
    return jnp.isnan(stop_value(problem, t, state))


def stop_holds_in(
    problem: Problem,
    start: Time,
    end: Time,
    last: State,
    state_at: Callable[[Time], State],
) -> Bool[Array, ""]:
    """Whether the condition holds at the end of a step or, if real, at times in it."""
    holds = stop_holds(problem, end, last)
    if not has_stop(problem) or _is_boolean(problem):
        return holds
    return holds | jnp.any(_holds_at_samples(problem, start, end, state_at))


def locate_stop(
    problem: Problem, start: Time, end: Time, state_at: Callable[[Time], State]
) -> Time:
    """Where in the last step a real value falls to 0; its end for a boolean."""
    if _is_boolean(problem):
        return end
    holds = jnp.append(_holds_at_samples(problem, start, end, state_at), True)
    first = jnp.argmax(holds)
    times = _samples(start, end)
    low = jnp.where(first == 0, start, times[jnp.maximum(first - 1, 0)])
    high = jnp.where(first == SAMPLES, end, times[jnp.minimum(first, SAMPLES - 1)])

    def halve(_: Any, bracket: tuple[Time, Time]) -> tuple[Time, Time]:
        low, high = bracket
        middle = 0.5 * (low + high)
        holds = stop_holds(problem, middle, state_at(middle))
        return jnp.where(holds, low, middle), jnp.where(holds, middle, high)

    _, found = jax.lax.fori_loop(0, BISECTIONS, halve, (low, high))
    found = jax.lax.stop_gradient(found)
    return differentiable_stop(problem, found, state_at)


def _samples(start: Time, end: Time) -> Float[Array, " samples"]:
    part = jnp.arange(1, SAMPLES + 1, dtype=start.dtype) / (SAMPLES + 1)
    return start + (end - start) * part


def _holds_at_samples(
    problem: Problem, start: Time, end: Time, state_at: Callable[[Time], State]
) -> Bool[Array, " samples"]:
    times = _samples(start, end)
    return jax.vmap(lambda t: stop_holds(problem, t, state_at(t)))(times)


def differentiable_stop(
    problem: Problem, found: Time, state_at: Callable[[Time], State]
) -> Time:
    """The time of a stop as a function of the problem, by implicit differentiation.

    One Newton step from the root that was found, of which only the derivative is kept,
    has the derivative of the root.
    """
    if _is_boolean(problem):
        return found
    value = lambda t: stop_value(problem, t, state_at(t))
    height, rate = jax.jvp(value, (found,), (jnp.ones_like(found),))
    rate = jax.lax.stop_gradient(rate)
    shift = height / jnp.where(rate == 0, 1, rate)
    return found - (shift - jax.lax.stop_gradient(shift))


def _is_boolean(problem: Problem) -> bool:
    value = lambda t, state: stop_value(problem, t, state)
    return jax.eval_shape(value, problem.t0, problem.state).dtype == jnp.bool_

"""Ending a run early."""

from typing import TYPE_CHECKING, Any

import diffrax
import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array, Float

from dynsys.systems.system import State
from dynsys.trees import norm

if TYPE_CHECKING:
    from dynsys.integrators.segment import Method, Problem

Time = Float[Array, ""]


def stop_value(problem: "Problem", method: "Method", t: Time, state: State) -> Array:
    """The condition at a state: a boolean, or a real number that ends the run at 0."""
    system = problem.system
    x = system.position(state)
    if problem.stop_norm is not None:
        return norm(system.gradient(x)) - problem.stop_norm.astype(t.dtype)
    assert method.stop is not None
    return jnp.asarray(method.stop(t, x, system.velocity(t, state)))


def stop_event(problem: "Problem", method: "Method") -> diffrax.Event | None:
    """The event that ends a run.

    A real value ends the run where it first falls to 0, located to the tolerance of
    the run. A boolean ends the run after the first step at whose end it is true.

    Raises:
        ValueError: The callable does not return one boolean or real number.
    """
    if problem.stop_norm is None and method.stop is None:
        return None

    def condition(t: Time, y: State, args: Any, **kwargs: Any) -> Array:
        del args, kwargs
        return stop_value(problem, method, t, y)

    if _is_boolean(problem, method):
        return diffrax.Event(condition)
    tolerances: Any = (problem.rtol, problem.atol)
    root_finder = optx.Bisection(*tolerances)
    return diffrax.Event(condition, root_finder, direction=False)


def stops_at_start(problem: "Problem", method: "Method") -> Array:
    """Whether the condition holds before the first step."""
    if problem.stop_norm is None and method.stop is None:
        return jnp.asarray(False)
    value = stop_value(problem, method, problem.t0, problem.state)
    return value if _is_boolean(problem, method) else value <= 0


def _is_boolean(problem: "Problem", method: "Method") -> bool:
    value = lambda t, state: stop_value(problem, method, t, state)
    shape = jax.eval_shape(value, problem.t0, problem.state)
    is_boolean = shape.dtype == jnp.bool_
    is_real = jnp.issubdtype(shape.dtype, jnp.floating)
    if shape.shape != () or not (is_boolean or is_real):
        raise ValueError(
            f"`stop(t, x, v)` must return one boolean or real number, but returned {shape}."
        )
    return is_boolean


def locates_stop(problem: "Problem", method: "Method") -> bool:
    """Whether the time of the stop is the root of a real value."""
    if problem.stop_norm is None and method.stop is None:
        return False
    return not _is_boolean(problem, method)

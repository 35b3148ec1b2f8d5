"""What functions of the user close over, made visible to derivatives."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from dynsys import objectives, schedules
from dynsys.integrators.objective_check import NOT_TRACEABLE
from dynsys.objectives.traced_once import TracedOnce
from dynsys.systems.system import AbstractSystem
from dynsys.trees import Position


class Condition(eqx.Module):
    """A plain callable that ends a run, as static data."""

    function: Callable[..., Any] = eqx.field(static=True)

    def __call__(self, t: Any, x: Any, v: Any) -> Any:
        return self.function(t, x, v)


def as_condition(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a callable `stop(t, x, v)` into one that is a pytree."""
    is_leaf = jax.tree_util.all_leaves([function])
    return Condition(function) if is_leaf else function


def open_system(system: AbstractSystem, t: Float[Array, ""], x: Position) -> AbstractSystem:
    """A system whose plain functions hold what they close over as leaves.

    So a loss such as `lambda x: jnp.sum(weights * x**2)` is differentiable in `weights`.
    """

    def convert(node: Any) -> Any:
        if isinstance(node, objectives.Function):
            return eqx.filter_closure_convert(node.function, x)
        if isinstance(node, schedules.Function):
            return _convert("A schedule", node.function, t)
        return node

    is_function = lambda n: isinstance(n, objectives.Function | schedules.Function)
    opened = jax.tree.map(convert, system, is_leaf=is_function)
    once = TracedOnce(opened.objective)
    return eqx.tree_at(lambda tree: tree.objective, opened, once)


def open_schedule(
    schedule: Callable[[Any], Any], t: Float[Array, ""]
) -> Callable[[Any], Any]:
    """A function of time, with what it closes over as leaves."""
    if not isinstance(schedule, schedules.Function):
        return schedule
    return _convert("`max_step`", schedule.function, t)


def open_condition(
    stop: Callable[..., Any] | None, t: Float[Array, ""], x: Position
) -> Callable[..., Any] | None:
    """The condition of a stop, with what it closes over as leaves."""
    if not isinstance(stop, Condition):
        return stop
    return _convert("`stop(t, x, v)`", stop.function, t, x, x)


def _convert(what: str, function: Callable[..., Any], *args: Any) -> Callable[..., Any]:
    """A function with what it closes over as leaves, or why it is none of JAX's.

    Raises:
        TypeError: The function cannot be traced, or does not take these arguments.
    """
    try:
        jax.eval_shape(function, *args)
        return eqx.filter_closure_convert(function, *args)
    except NOT_TRACEABLE as error:
        raise TypeError(
            f"{what} cannot be traced by JAX. Write it with jax.numpy instead of numpy or "
            f"math, and with jnp.where, & and | instead of `if`, `and` and `or`."
        ) from error
    except TypeError as error:
        raise TypeError(f"{what} failed: {error}") from error

"""Run a discrete method and keep its iterates."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int

from dynsys.algorithms.mini_batches import MiniBatches
from dynsys.checks import known
from dynsys.objectives.objective import as_objective
from dynsys.result import SimulationError
from dynsys.trees import Position, as_position

Gradient = Callable[[Position, Int[Array, ""]], Position]
"""A gradient, or an estimate of it, at a position in an iteration: `gradient(x, k)`."""


class Iterates(eqx.Module):
    """The iterates of a discrete method.

    Args:
        k: The iterations that were kept, of shape `(kept,)`, from 0 on.
        x: The position in each of them, with a leading axis `kept`.
        state: The state of the optimiser in each of them, with a leading axis `kept`.
    """

    k: Int[Array, " kept"]
    x: Position
    state: Any


def iterate(
    method: optax.GradientTransformation,
    objective: Callable[[Any], Any],
    x0: Any,
    steps: int,
    *,
    gradient: Gradient | None = None,
    every: int = 1,
    throw: bool = True,
) -> Iterates:
    r"""The iterates $x_0, x_1, \dots$ of an optimiser on an objective.

    One compiled loop, anew for each new `method`. `update` gets what Newton's method and
    line searches need, too: `value`, `grad` and `value_fn`, of the mini-batch if there is
    one. With another `gradient` the function that belongs to it is not known, and methods
    that need it say so.

    Args:
        method: An optax transformation: `dynsys.inna`, one of `dynsys.algorithms` or of
            optax.
        objective: Function to minimise.
        x0: The first position: a number, an array or a pytree.
        steps: Number of steps, at least 1.
        gradient: Instead of the gradient of the objective, a function of the position and
            the number of the iteration, such as a `MiniBatches`.
        every: Keep one in so many iterates, and the first.
        throw: Raise an error if an iterate is not finite.

    Raises:
        TypeError: `method` is no transformation of optax, `objective` is not callable, or
            `x0` holds no real numbers.
        ValueError: `steps` is no multiple of `every`, or one of them is not positive.
        SimulationError: An iterate is not finite.

    Example:
        >>> f = lambda x: 0.5 * jnp.sum(x**2)
        >>> iterate(optax.sgd(0.5), f, [4.0], steps=3).x[:, 0].tolist()
        [4.0, 2.0, 1.0, 0.5]
    """
    if not isinstance(method, optax.GradientTransformation):
        raise TypeError(
            f"`method` must be a transformation of optax, but is a "
            f"{type(method).__name__}. The method of a system is "
            f"`discretise(system, step_size).method`."
        )
    x0 = as_position("x0", x0)
    kept = checked_length(steps, every)
    found = _run(method, as_objective(objective), x0, gradient, kept, every)
    if throw:
        require_finite(found.x, found.k)
    return found


def checked_length(steps: Any, every: Any) -> int:
    """How many iterates are kept besides the first.

    Raises:
        ValueError: A number is no positive integer, or `every` does not divide `steps`.
    """
    for name, number in (("steps", steps), ("every", every)):
        is_whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
        if not is_whole or number < 1:
            raise ValueError(f"`{name}` must be a positive integer, but is {number!r}.")
    if steps % every:
        raise ValueError(
            f"`steps` must be a multiple of `every`, so that the last iterate is kept, but "
            f"they are {steps} and {every}. Take {steps + every - steps % every} steps."
        )
    return int(steps) // int(every)


def require_finite(x: Position, k: Int[Array, " kept"]) -> None:
    """Refuse iterates that are not finite; nothing happens while they are traced.

    Raises:
        SimulationError: One is not finite.
    """
    if known(x) is None:
        return
    leaves = [np.asarray(leaf).reshape(len(k), -1) for leaf in jax.tree.leaves(x)]
    fine = np.all([np.isfinite(leaf).all(axis=1) for leaf in leaves], axis=0)
    if not fine.all():
        raise SimulationError(
            f"The iterates are not finite from iteration {int(k[np.argmin(fine)])} on: the "
            f"step is too long, or a gradient is not finite there (with Newton's method, a "
            f"Hessian is singular). Take a smaller learning rate, or pass `throw=False` to "
            f"look at them."
        )


def scan(
    method: optax.GradientTransformation,
    objective: Callable[[Any], Any],
    x0: Position,
    gradient: Gradient | None,
    kept: int,
    every: int,
) -> Iterates:
    """The loop of `iterate`, to be compiled."""
    method = optax.with_extra_args_support(method)

    def step(carry: Any, k: Int[Array, ""]) -> tuple[Any, None]:
        x, state = carry
        slope, extra = _slope(objective, gradient, x, k)
        updates, state = method.update(slope, state, x, **extra)
        return (optax.apply_updates(x, updates), state), None

    def keep(carry: Any, ks: Int[Array, " every"]) -> tuple[Any, Any]:
        after, _ = jax.lax.scan(step, carry, ks)
        return after, after

    start = x0, method.init(x0)
    ks = jnp.arange(kept * every).reshape(kept, every)
    _, after = jax.lax.scan(keep, start, ks)
    x, state = jax.tree.map(
        lambda first, rest: jnp.concatenate([jnp.asarray(first)[None], rest]), start, after
    )
    return Iterates(jnp.arange(kept + 1) * every, x, state)


def _slope(
    objective: Callable[[Any], Any], gradient: Gradient | None, x: Position, k: Any
) -> tuple[Position, dict[str, Any]]:
    """The gradient, and what belongs to the same function, where that is known."""
    if gradient is not None and not isinstance(gradient, MiniBatches):
        return gradient(x, k), {}
    f = objective if gradient is None else gradient.batch_loss(gradient.indices(k))
    value, slope = jax.value_and_grad(f)(x)
    return slope, {"value": value, "grad": slope, "value_fn": f}


_run = eqx.filter_jit(scan)

r"""Newton's method, the explicit Euler discretisation of continuous Newton."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from dynsys.algorithms.hyperparameters import checked
from dynsys.algorithms.parameters import cast, required_params, required_value_fn
from dynsys.trees import Position, as_vector, from_vector


def newton(
    learning_rate: optax.ScalarOrSchedule = 1.0, *, regularization: Any = 0.0
) -> optax.GradientTransformationExtraArgs:
    r"""Newton's method, with a step size.

    $$\theta_{k+1} = \theta_k - \gamma\big(\nabla^2 f(\theta_k) + r I\big)^{-1} v_k$$

    with the gradient $v_k$ that `update` is given, and the Hessian of its extra argument
    `value_fn`, a function of all parameters alone. The Hessian is formed and solved with,
    by Gaussian elimination: $n^2$ numbers and $n^3$ operations a step for $n$ parameters,
    so a few thousand at most.

    With $\gamma = h/\beta$ it is the explicit Euler method of step $h$ for
    `dynsys.ContinuousNewton`, and with $r = \alpha/\beta$ for
    `dynsys.LevenbergMarquardt`. Unlike those it goes on where the Hessian is not positive
    definite, and then it may well climb. Where the matrix is singular, the parameters are
    no longer finite, as everywhere in optax: `iterate` raises an error, and
    `optax.apply_if_finite` leaves such steps out. Rounding may hide it, and then the step
    is huge.

    Args:
        learning_rate: Step size $\gamma$, at least 0, or a schedule of it; 1 is Newton's.
            No unit.
        regularization: The number $r \ge 0$. Unit: that of the Hessian.

    Returns:
        A chain of `scale_by_newton` and `optax.scale_by_learning_rate`.

    Raises:
        TypeError: A hyperparameter is not a number.
        ValueError: One is out of range, or `update` lacks `params` or `value_fn`.

    Example:
        >>> from dynsys.algorithms import iterate
        >>> f = lambda x: jnp.sum((x - 2.0) ** 2)
        >>> iterate(newton(), f, [5.0], steps=1).x[:, 0].tolist()
        [5.0, 2.0]

    Source:
        The talk, equation (CN), whose Euler discretisation it is.
    """
    rate = checked("learning_rate", learning_rate, "at least 0")
    return optax.chain(
        scale_by_newton(regularization=regularization), optax.scale_by_learning_rate(rate)
    )


def scale_by_newton(*, regularization: Any = 0.0) -> optax.GradientTransformationExtraArgs:
    r"""The direction of Newton's method, to be multiplied by $-\gamma$.

    $$\big(\nabla^2 f(\theta_k) + r I\big)^{-1} v_k$$

    For chains of one's own, such as Newton's method with a line search.

    Args:
        regularization: The number $r \ge 0$.

    Raises:
        TypeError: `regularization` is not a number.
        ValueError: It is negative, or `update` lacks `params` or `value_fn`.

    Example:
        >>> from dynsys.algorithms import iterate
        >>> damped = optax.chain(
        ...     scale_by_newton(),
        ...     optax.scale(-1.0),
        ...     optax.scale_by_backtracking_linesearch(max_backtracking_steps=15),
        ... )
        >>> f = lambda x: jnp.sum(jnp.sqrt(1 + x**2))  # A full step cubes x.
        >>> bool(abs(iterate(damped, f, [4.0], steps=9).x[-1, 0]) < 1e-6)
        True

    Source:
        As for `newton`.
    """
    shift = _number("regularization", regularization)

    def init(params: Position) -> optax.EmptyState:
        del params
        return optax.EmptyState()

    def update(
        updates: Position,
        state: Any,
        params: Position | None = None,
        *,
        value_fn: Callable[[Any], Any] | None = None,
        **extra: Any,
    ) -> tuple[Position, optax.EmptyState]:
        del extra
        x = required_params("Newton's method", params)
        f = required_value_fn("Newton's method", value_fn, "its Hessian")
        matrix = _hessian(f, x)
        matrix = matrix + jnp.diag(jnp.full(len(matrix), shift, matrix.dtype))
        gradient = as_vector(cast(updates, x))
        return from_vector(jnp.linalg.solve(matrix, gradient), x), state

    return optax.GradientTransformationExtraArgs(init, update)


def _number(name: str, value: Any) -> Any:
    if callable(value):
        raise TypeError(f"`{name}` must be a number, but is {value!r}, a schedule.")
    return checked(name, value, "at least 0")


def _hessian(f: Callable[[Any], Any], x: Position) -> Float[Array, "dim dim"]:
    """The Hessian over all entries of the parameters, in the widest of their dtypes."""
    return jax.hessian(lambda vector: f(from_vector(vector, x)))(as_vector(x))

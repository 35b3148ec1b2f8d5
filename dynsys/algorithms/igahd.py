r"""IGAHD, the inertial gradient algorithm with Hessian damping, and Nesterov's method."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int

from dynsys.algorithms.hyperparameters import at, checked
from dynsys.algorithms.parameters import cast, required_params, required_value_fn
from dynsys.checks import known, warn
from dynsys.trees import Position, combine, zeros_like


class IGAHDState(NamedTuple):
    r"""State of IGAHD and of its strongly convex member.

    Args:
        count: Number of steps taken, a scalar.
        previous: The iterate before the parameters, $x_{k-1}$.
        gradient: The gradient there.
    """

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]
    previous: Position
    gradient: Position


def igahd(
    step_size: optax.ScalarOrSchedule,
    alpha: optax.ScalarOrSchedule = 3.0,
    beta: optax.ScalarOrSchedule = 0.0,
) -> optax.GradientTransformationExtraArgs:
    r"""The inertial gradient algorithm with Hessian damping (IGAHD).

    $$\begin{aligned}
    y_k &= x_k + \big(1 - \tfrac\alpha k\big)(x_k - x_{k-1})
    - \beta\sqrt s\,\big(\nabla f(x_k) - \nabla f(x_{k-1})\big)
    - \tfrac{\beta\sqrt s}k\nabla f(x_{k-1})\\
    x_{k+1} &= y_k - s\nabla f(y_k), \qquad k \ge 1
    \end{aligned}$$

    The parameters are $x_k$, and the first ones are $x_1 = x_0$. The gradient at $x_k$ is
    what `update` is given; that at $y_k$ it takes of the extra argument `value_fn`, a
    function of all parameters alone. A step costs two gradients; besides the parameters
    there are two buffers of their size.

    For $\alpha \ge 3$, $0 < s \le 1/L$ and $0 \le \beta < 2\sqrt s$, on convex functions,
    $f(x_k) - \min f = O(k^{-2})$. As $s \to 0$ with the other two fixed the iterates tend
    to `dynsys.systems.AttouchChbaniFadiliRiahi` with $b(t) = 1 + \beta/t$, at
    $t = k\sqrt s$. That limit leaves the range of $\beta$, and yet it is stable: on
    quadratics with eigenvalues up to $1/s$ no iteration with $\beta < 4.5\sqrt s$ grows
    for large $k$, and one with a larger $\beta$ does not below the eigenvalue that the
    warning names, about $2/(\beta\sqrt s)$.

    Args:
        step_size: Step size $s$, positive, or a schedule of it. Unit: time^2.
        alpha: Damping, at least 0, or a schedule of it; 3 is Nesterov's. No unit.
        beta: Hessian-driven damping, at least 0, or a schedule of it. Unit: time.

    Returns:
        A transformation whose state is an `IGAHDState`.

    Raises:
        TypeError: A hyperparameter is neither a number nor a schedule.
        ValueError: One is out of range, or `update` lacks `params` or `value_fn`.

    Warns:
        UserWarning: `beta` is at least $2\sqrt s$: the theorem does not cover it.

    Example:
        >>> f = lambda x: 0.5 * jnp.sum(x**2)
        >>> method = igahd(step_size=0.25, alpha=3.0, beta=0.5)
        >>> x = jnp.array([8.0])
        >>> updates, state = method.update(x, method.init(x), x, value_fn=f)
        >>> optax.apply_updates(x, updates).tolist()
        [4.5]

    Source:
        Attouch, Chbani, Fadili, Riahi, arXiv 1907.10536v2, p. 15 (IGAHD) and theorem 6.
        The stability: derived here from the recursion on a quadratic for large k.
    """
    method = unwarned_igahd(step_size, alpha, beta)
    _warn_of_a_large_beta(step_size, beta)
    return method


def nesterov(
    step_size: optax.ScalarOrSchedule, alpha: optax.ScalarOrSchedule = 3.0
) -> optax.GradientTransformationExtraArgs:
    r"""Nesterov's accelerated gradient method for convex functions.

    $$y_k = x_k + \big(1 - \tfrac\alpha k\big)(x_k - x_{k-1}), \qquad
    x_{k+1} = y_k - s\nabla f(y_k)$$

    It is `igahd` with $\beta = 0$, and discretises `dynsys.AVD`. Su, Boyd and Candès have
    the momentum $1 - \frac\alpha{k + \alpha - 1}$, which is never negative: the same up to
    a shift of $k$ by $\alpha - 1$. The parameters are $x_k$, unlike those of
    `optax.sgd(nesterov=True)`, which are $y_k$ and have a constant momentum.

    Args:
        step_size: Step size $s$, positive, or a schedule of it. Unit: time^2.
        alpha: Damping, at least 0, or a schedule of it. No unit.

    Raises:
        TypeError: As for `igahd`.
        ValueError: As for `igahd`.

    Example:
        >>> from dynsys.algorithms import iterate
        >>> f = lambda x: 0.5 * jnp.sum(x**2)
        >>> iterate(nesterov(0.5), f, [8.0], steps=3).x[:, 0].tolist()
        [8.0, 4.0, 3.0, 1.5]

    Source:
        As for `igahd`; the other momentum: Su, Boyd, Candès, arXiv 1503.01243.
    """
    return igahd(step_size, alpha)


def unwarned_igahd(
    step_size: Any, alpha: Any, beta: Any
) -> optax.GradientTransformationExtraArgs:
    """IGAHD for any damping: small steps towards the flow need no warning."""
    step_size = checked("step_size", step_size, "positive")
    alpha = checked("alpha", alpha, "at least 0")
    beta = checked("beta", beta, "at least 0")

    def update(
        updates: Position,
        state: Any,
        params: Position | None = None,
        *,
        value_fn: Callable[[Any], Any] | None = None,
        **extra: Any,
    ) -> tuple[Position, IGAHDState]:
        del extra
        x = required_params("IGAHD", params)
        f = required_value_fn("IGAHD", value_fn, "the gradient at y_k")
        updates, count = cast(updates, x), state.count
        s, a, b = at(step_size, count), at(alpha, count), at(beta, count)
        k = count.astype(s.dtype) + 1
        push, before = b * jnp.sqrt(s), previous_gradient(updates, state)
        move = combine(
            (1 - a / k, combine((1.0, x), (-1.0, state.previous))),
            (-push, updates),
            (push - push / k, before),
        )
        slope = jax.grad(f)(combine((1.0, x), (1.0, move)))
        return combine((1.0, move), (-s, slope)), next_state(updates, state, x)

    return optax.GradientTransformationExtraArgs(start_state, update)


def start_state(params: Position) -> IGAHDState:
    """The state before the first step, in which the gradient is not known yet."""
    # A copy: the buffers of parameters and state may both be given to a program.
    previous = jax.tree.map(jnp.array, params)
    return IGAHDState(jnp.zeros((), jnp.int32), previous, zeros_like(params))


def next_state(updates: Position, state: IGAHDState, x: Position) -> IGAHDState:
    """The state after a step from `x` with the gradient `updates`."""
    return IGAHDState(jnp.asarray(optax.safe_increment(state.count)), x, updates)


def previous_gradient(updates: Position, state: IGAHDState) -> Position:
    """The gradient at the iterate before; in the first step the two are one."""
    is_first = state.count == 0
    return jax.tree.map(lambda a, b: jnp.where(is_first, a, b), updates, state.gradient)


def _warn_of_a_large_beta(step_size: Any, beta: Any) -> None:
    """Say so if the damping is beyond what the theorem of convergence allows."""
    if any(callable(one) or known(one) is None for one in (step_size, beta)):
        return
    step_size, beta = (float(np.asarray(one)) for one in (step_size, beta))
    root = math.sqrt(step_size)
    ratio = beta / root
    if ratio < 2:
        return
    largest = 1 / step_size
    discriminant = (2 * ratio - 1) * (2 * ratio - 9)
    if discriminant > 0:
        largest *= (2 * ratio + 3 - math.sqrt(discriminant)) / (4 * ratio)
    warn(
        f"`beta` is {beta:.4g}, but convergence is proved for beta < "
        f"2 sqrt(step_size), which is {2 * root:.4g}. On a quadratic the iteration is "
        f"stable for eigenvalues of the Hessian below {largest:.4g}. Take a smaller "
        f"`beta`, or a larger `step_size` if that is at most 1 / L."
    )

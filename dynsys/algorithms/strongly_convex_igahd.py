r"""IGAHD-SC, the member of IGAHD for strongly convex functions."""

from typing import Any

import jax.numpy as jnp
import optax

from dynsys.algorithms.hyperparameters import at, checked
from dynsys.algorithms.igahd import (
    IGAHDState,
    next_state,
    previous_gradient,
    start_state,
)
from dynsys.algorithms.parameters import cast, required_params
from dynsys.checks import is_concrete
from dynsys.trees import Position, combine


def igahd_strongly_convex(
    step_size: optax.ScalarOrSchedule,
    mu: optax.ScalarOrSchedule,
    beta: optax.ScalarOrSchedule = 0.0,
) -> optax.GradientTransformationExtraArgs:
    r"""IGAHD for strongly convex functions (IGAHD-SC).

    $$x_{k+1} = x_k + \frac{1-r}{1+r}(x_k - x_{k-1})
    - \frac{\beta\sqrt s}{1+r}\big(\nabla f(x_k) - \nabla f(x_{k-1})\big)
    - \frac s{1+r}\nabla f(x_k), \qquad r = \sqrt{\mu s}$$

    The parameters are $x_k$, and the first ones are $x_1 = x_0$. A step costs one gradient,
    the one that `update` is given; besides the parameters there are two buffers of their
    size. It discretises `dynsys.systems.StronglyConvexDIN`, at $t = k\sqrt s$.

    If $f$ is $\mu$-strongly convex with an $L$-Lipschitz gradient, and

    $$0 \le \beta \le \frac1{\sqrt\mu}, \qquad 8\beta L \le \sqrt\mu, \qquad
    L \le \frac{\sqrt\mu/(2s) + \mu/\sqrt s}{2\beta\mu + 1/\sqrt s + \sqrt\mu/2},$$

    then $f(x_k) - \min f \le E_1(1 + \tfrac12\sqrt{\mu s})^{-(k-1)}$ with

    $$E_1 = f(x_1) - \min f + \tfrac12\|\sqrt\mu(x_1 - x^\star)
    + \beta\nabla f(x_1)\|^2.$$

    Args:
        step_size: Step size $s$, positive and at most $1/\mu$, or a schedule of it.
            Unit: time^2.
        mu: The constant $\mu$ of strong convexity, positive, or a schedule of it.
            Unit: 1 / time^2.
        beta: Hessian-driven damping, at least 0, or a schedule of it. Unit: time.

    Returns:
        A transformation whose state is an `IGAHDState`.

    Raises:
        TypeError: A hyperparameter is neither a number nor a schedule.
        ValueError: One is out of range, or `update` is called without the parameters.

    Example:
        >>> method = igahd_strongly_convex(step_size=0.25, mu=1.0, beta=0.5)
        >>> x = jnp.array([6.0])
        >>> updates, state = method.update(x, method.init(x), x)  # The loss is x^2 / 2.
        >>> optax.apply_updates(x, updates).tolist()
        [5.0]

    Source:
        Attouch, Chbani, Fadili, Riahi, arXiv 1907.10536v2, p. 28 (IGAHD-SC) and
        theorem 11.
    """
    step_size = checked("step_size", step_size, "positive")
    mu = checked("mu", mu, "positive")
    beta = checked("beta", beta, "at least 0")
    _check_momentum(step_size, mu)

    def update(
        updates: Position, state: Any, params: Position | None = None, **extra: Any
    ) -> tuple[Position, IGAHDState]:
        del extra
        x = required_params("IGAHD-SC", params)
        updates, count = cast(updates, x), state.count
        s, push = at(step_size, count), at(beta, count)
        r, push = jnp.sqrt(at(mu, count) * s), push * jnp.sqrt(s)
        before = previous_gradient(updates, state)
        step = combine(
            ((1 - r) / (1 + r), combine((1.0, x), (-1.0, state.previous))),
            (-(push + s) / (1 + r), updates),
            (push / (1 + r), before),
        )
        return step, next_state(updates, state, x)

    return optax.GradientTransformationExtraArgs(start_state, update)


def _check_momentum(step_size: Any, mu: Any) -> None:
    """Refuse a step that is longer than any gradient step may be."""
    if any(callable(one) or not is_concrete(one) for one in (step_size, mu)):
        return
    if mu * step_size > 1 + 1e-12:
        raise ValueError(
            f"`step_size` must be at most 1 / mu, which is {1 / mu:.6g}, but has value "
            f"{step_size:.6g}: no Lipschitz constant L of the gradient is below mu, and "
            f"the step is at most 1 / L."
        )

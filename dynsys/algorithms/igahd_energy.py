r"""The Lyapunov sequence of IGAHD."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dynsys.checks import as_parameter, default_float, is_concrete
from dynsys.objectives.objective import as_objective
from dynsys.trees import Position, combine, dot


def igahd_energy(
    objective: Callable[[Any], Any],
    x: Position,
    step_size: Any,
    alpha: Any = 3.0,
    beta: Any = 0.0,
    *,
    minimiser: Position,
) -> Float[Array, " iterates"]:
    r"""The Lyapunov sequence of IGAHD.

    $$E_k = t_k^2\big(f(x_k) - f(x^\star)\big) + \tfrac1{2s}\Big\|x_{k-1} - x^\star
    + t_k\big(x_k - x_{k-1} + \beta\sqrt s\,\nabla f(x_{k-1})\big)\Big\|^2,
    \qquad t_k = \tfrac{k-1}{\alpha-1}$$

    Under the conditions of the theorem it is nonincreasing eventually, which bounds
    $f(x_k) - f(x^\star)$ by a constant over $t_k^2$. It may rise first.

    Args:
        objective: The function $f$.
        x: The iterates $x_0, x_1, \dots$, with a leading axis. `igahd` starts with
            $x_1 = x_0$: put its first iterate twice.
        step_size: Step size $s$, positive.
        alpha: Damping, above 1.
        beta: Hessian-driven damping, at least 0.
        minimiser: The minimiser $x^\star$, like an iterate.

    Returns:
        The values $E_1, E_2, \dots$, one fewer than there are iterates.

    Raises:
        TypeError: A parameter is not a number.
        ValueError: A parameter is out of range.

    Example:
        >>> f = lambda x: 0.5 * x**2
        >>> x = jnp.array([0.0, 1.0, 0.0])  # Two starts, and what `igahd` makes of them.
        >>> igahd_energy(f, x, 1.0, minimiser=jnp.array(0.0)).tolist()
        [0.0, 0.125]

    Source:
        Attouch, Chbani, Fadili, Riahi, arXiv 1907.10536v2, proof of theorem 6. That it
        decreases only eventually: the example above.
    """
    s = as_parameter("step_size", step_size, "positive").astype(default_float())
    alpha = as_parameter("alpha", alpha).astype(s.dtype)
    if is_concrete(alpha) and alpha <= 1:
        raise ValueError(
            f"`alpha` must be above 1, but has value {alpha}. The energy divides by "
            f"alpha - 1."
        )
    beta = as_parameter("beta", beta, "at least 0").astype(s.dtype)
    return _energies(as_objective(objective), x, s, alpha, beta, minimiser)


@eqx.filter_jit
def _energies(
    objective: Callable[[Any], Any],
    x: Position,
    s: Float[Array, ""],
    alpha: Float[Array, ""],
    beta: Float[Array, ""],
    minimiser: Position,
) -> Float[Array, " iterates"]:
    push = beta * jnp.sqrt(s)

    def energy(k: Int[Array, ""], before: Position, now: Position) -> Float[Array, ""]:
        t = k.astype(s.dtype) / (alpha - 1)
        gradient = jax.grad(objective)(before)
        v = combine((1 - t, before), (t, now), (t * push, gradient), (-1.0, minimiser))
        gap = objective(now) - objective(minimiser)
        return t**2 * gap.astype(s.dtype) + dot(v, v).astype(s.dtype) / (2 * s)

    before = jax.tree.map(lambda leaf: leaf[:-1], x)
    now = jax.tree.map(lambda leaf: leaf[1:], x)
    return jax.vmap(energy)(jnp.arange(len(jax.tree.leaves(now)[0])), before, now)

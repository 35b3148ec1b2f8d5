r"""How INNA starts: the first velocity, or the first auxiliary variable."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from dynsys.algorithms.hyperparameters import Hyperparameter, checked
from dynsys.algorithms.parameters import cast, widened
from dynsys.checks import known
from dynsys.trees import Position, combine

CHOICES = (
    '`start` must be "gradient", "rest", a number (the speed against the first gradient) '
    "or a pytree of arrays like the parameters (psi)"
)


def speed_or_psi(start: Any) -> tuple[Hyperparameter | None, Position | None]:
    """What `start` says: a speed against the gradient, the first psi, or neither.

    Raises:
        TypeError: It is a boolean.
        ValueError: It is none of the choices, or not finite.
    """
    if isinstance(start, str) and start in ("gradient", "rest"):
        return (0.0 if start == "rest" else None), None
    leaves = jax.tree.leaves(start)
    if isinstance(start, str) or not leaves or any(map(callable, leaves)):
        raise ValueError(f"{CHOICES}, but is {start!r}.")
    if leaves[0] is start and np.ndim(start) == 0:
        return checked("start", start, "finite"), None
    values = [known(leaf) for leaf in leaves]
    if not all(value is None or np.isfinite(value).all() for value in values):
        raise ValueError("`start` must be finite, but the psi that was given is not.")
    return None, start


def initial_momentum(
    params: Position,
    alpha: Float[Array, ""],
    beta: Float[Array, ""],
    psi: Position | None,
) -> Position:
    r"""The first momentum, as far as it is known without a gradient.

    $$p_0 = (\tfrac1\beta - \alpha)\theta_0 - \tfrac1\beta\psi_0$$

    Args:
        params: The parameters $\theta_0$.
        alpha: Viscous damping.
        beta: Geometric damping.
        psi: The $\psi_0$ that the user gave, if any; otherwise it is 0.

    Raises:
        ValueError: `psi` is not like the parameters.
    """
    if psi is None or not jax.tree.leaves(params):
        # Without leaves it is a placeholder of `optax.tree.map_params`.
        return jax.tree.map(lambda leaf: jnp.zeros_like(jnp.asarray(leaf)), params)
    theta = widened(params)
    pair = (1 / beta - alpha, theta), (-1 / beta, _like(theta, psi))
    return cast(combine(*pair), params)


def _like(params: Position, psi: Position) -> Position:
    """The psi of the user in the structure and types of the parameters."""

    def as_leaf(theta: Any, given: Any) -> Any:
        if isinstance(theta, optax.MaskedNode):
            return theta
        given = jnp.asarray(given, theta.dtype)
        if given.shape != theta.shape:
            raise ValueError(
                f"Its shape is {given.shape} where that of the parameters is {theta.shape}."
            )
        return given

    is_masked = lambda node: isinstance(node, optax.MaskedNode)
    try:
        return jax.tree.map(as_leaf, params, psi, is_leaf=is_masked)
    except (TypeError, ValueError) as error:
        trees = jax.tree.structure(psi), jax.tree.structure(params)
        why = (
            f"Its tree is {trees[0]}, theirs {trees[1]}." if trees[0] != trees[1] else error
        )
        raise ValueError(f"{CHOICES}, but as a psi it does not fit them. {why}") from error

r"""How INNA starts: the first auxiliary variable, and with it the first velocity."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from dynsys.algorithms.hyperparameters import Hyperparameter, checked
from dynsys.trees import Position


def speed_or_psi(start: Any) -> tuple[Hyperparameter | None, Position | None]:
    """What `start` says: a speed against the gradient, the first psi, or neither."""
    if isinstance(start, str):
        if start not in ("gradient", "rest"):
            raise ValueError(
                f'`start` must be "gradient", "rest", a number (the speed against the '
                f"gradient) or a pytree like the parameters (psi), but is {start!r}."
            )
        return (0.0 if start == "rest" else None), None
    leaves = jax.tree.leaves(start)
    if len(leaves) == 1 and leaves[0] is start and jnp.ndim(start) == 0:
        return checked("start", start, "finite"), None
    return None, start


def initial_difference(params: Position, linear: Any, psi: Position | None) -> Position:
    r"""The first $\psi - \theta$, as far as it is known without a gradient.

    Args:
        params: The parameters $\theta$.
        linear: The factor $-\alpha\beta$ of them.
        psi: The $\psi$ that the user gave, if any.

    Raises:
        ValueError: `psi` is not like the parameters.
    """
    if psi is None:
        return jax.tree.map(
            lambda theta: (linear * theta.astype(linear.dtype)).astype(theta.dtype), params
        )
    if not jax.tree.leaves(params):  # A placeholder of `optax.tree.map_params`.
        return params

    def as_leaf(theta: Any, given: Any) -> Any:
        if isinstance(theta, optax.MaskedNode):
            return theta
        if jnp.shape(given) != theta.shape:
            raise ValueError(
                f"`start` must have the shapes of the parameters, but has "
                f"{jnp.shape(given)} where they have {theta.shape}."
            )
        return jnp.asarray(given, theta.dtype) - theta

    is_masked = lambda node: isinstance(node, optax.MaskedNode)
    try:
        return jax.tree.map(as_leaf, params, psi, is_leaf=is_masked)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`start` must be a pytree like the parameters, or a number, or one of "
            f'"gradient" and "rest". {error}'
        ) from error

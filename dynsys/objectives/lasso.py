"""The lasso: least squares with an l1 penalty."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.checks import as_floats, as_parameter, known
from dynsys.objectives.objective import AbstractObjective, Facts


class Lasso(AbstractObjective):
    r"""Least squares with an l1 penalty, kinked on every coordinate plane.

    $$f(x) = \frac12\|Ax - b\|^2 + \lambda\|x\|_1$$

    Where $\lambda \ge \|A^\top b\|_\infty$ the minimiser is 0; in general it has no
    closed form. $\mu$ is the smallest eigenvalue of $A^\top A$.

    Args:
        features: Matrix $A$ of shape `(samples, dim)`.
        targets: Vector $b$ of shape `(samples,)`.
        penalty: Weight $\lambda$, at least 0.

    Raises:
        ValueError: The shapes do not fit or `penalty` is negative.

    Example:
        >>> float(Lasso([[1.0]], [2.0], 0.5)(jnp.array([1.0])))
        1.0

    Source:
        Tibshirani (1996). The condition for 0 is $0 \in \partial f(0)$.
    """

    features: Float[Array, "samples dim"]
    targets: Float[Array, " samples"]
    penalty: Float[Array, ""]

    def __init__(self, features: Any, targets: Any, penalty: Any):
        features, targets = as_floats(features), as_floats(targets)
        if features.ndim != 2 or targets.shape != features.shape[:1]:
            raise ValueError(
                f"`features` must have shape (samples, dim) and `targets` (samples,), but "
                f"they have shapes {features.shape} and {targets.shape}."
            )
        self.features = features
        self.targets = targets
        self.penalty = as_parameter("penalty", penalty, "at least 0")

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        residual = self.features.astype(x.dtype) @ x - self.targets.astype(x.dtype)
        penalty = self.penalty.astype(x.dtype) * jnp.sum(jnp.abs(x))
        return 0.5 * jnp.dot(residual, residual) + penalty

    @property
    def smooth(self) -> bool:
        return False

    @property
    def facts(self) -> Facts:
        dim = self.features.shape[1]
        mu = jnp.maximum(jnp.linalg.eigvalsh(self.features.T @ self.features)[0], 0.0)
        saddles = jnp.zeros((0, dim))
        correlation = jnp.max(jnp.abs(self.features.T @ self.targets))
        excess = known(self.penalty - correlation)
        is_zero = excess is not None and excess >= 0
        if not is_zero:
            return Facts(mu=mu, saddles=saddles)
        return Facts(
            minimisers=jnp.zeros((1, dim)),
            minimum=0.5 * jnp.dot(self.targets, self.targets),
            mu=mu,
            saddles=saddles,
        )

"""Logistic regression with an l2 penalty."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsys.checks import as_floats, as_parameter, known
from dynsys.objectives.objective import AbstractObjective, Facts


class LogisticRegression(AbstractObjective):
    r"""Regularised logistic regression on data $(a_i, y_i)$ with $y_i = \pm1$.

    $$f(x) = \frac1N\sum_{i=1}^N \log\big(1 + e^{-y_i\langle a_i, x\rangle}\big)
    + \frac\lambda2\|x\|^2$$

    Strongly convex with $\mu = \lambda$ and $L = \lambda + \|A\|_2^2 / (4N)$; its
    minimiser has no closed form.

    Args:
        features: Rows $a_i$, of shape `(samples, dim)`.
        labels: Labels $y_i$, each -1 or 1, of shape `(samples,)`.
        regularization: Weight $\lambda$ of the penalty, positive.

    Raises:
        ValueError: The shapes do not fit, a label is neither -1 nor 1, or
            `regularization` is not positive.

    Example:
        >>> loss = LogisticRegression([[1.0], [2.0]], [1.0, -1.0], 0.1)
        >>> round(float(loss(jnp.array([0.0]))), 6)
        0.693147

    Source:
        Elementary: the logistic function has derivative at most 1/4.
    """

    features: Float[Array, "samples dim"]
    labels: Float[Array, " samples"]
    regularization: Float[Array, ""]

    def __init__(self, features: Any, labels: Any, regularization: Any):
        signs = known(labels)
        features, labels = as_floats(features), as_floats(labels)
        if features.ndim != 2 or labels.shape != features.shape[:1]:
            raise ValueError(
                f"`features` must have shape (samples, dim) and `labels` (samples,), but "
                f"they have shapes {features.shape} and {labels.shape}."
            )
        if signs is not None and not (np.abs(signs) == 1).all():
            raise ValueError(
                "`labels` must be -1 or 1. From labels 0 and 1, pass 2 * labels - 1."
            )
        self.features = features
        self.labels = labels
        self.regularization = as_parameter("regularization", regularization, "positive")

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        features, labels = self.features.astype(x.dtype), self.labels.astype(x.dtype)
        losses = jax.nn.softplus(-labels * (features @ x))
        penalty = 0.5 * self.regularization.astype(x.dtype) * jnp.dot(x, x)
        return jnp.mean(losses) + penalty

    @property
    def smooth(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        largest = jnp.linalg.norm(self.features, ord=2)
        return Facts(
            mu=self.regularization,
            L=self.regularization + largest**2 / (4 * len(self.labels)),
            saddles=jnp.zeros((0, self.features.shape[1])),
        )

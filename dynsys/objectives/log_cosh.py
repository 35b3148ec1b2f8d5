"""A quadratic plus log-cosh: smooth, strongly convex and not quadratic."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.checks import as_floats, as_parameter, known
from dynsys.objectives.objective import AbstractObjective, Facts


class LogCosh(AbstractObjective):
    r"""A smooth, strongly convex function that is not quadratic.

    $$f(x) = \frac12\sum_i c_i x_i^2 + w\sum_i \log\cosh x_i$$

    Its minimiser is 0 with value 0; $\mu = \min c_i$ and $L = \max c_i + w$.

    Args:
        curvature: The curvatures $c_i$, positive, of shape `(dim,)`.
        weight: The weight $w$, at least 0.

    Raises:
        ValueError: `curvature` is not a vector of positive numbers, or `weight` is
            negative.

    Example:
        >>> round(float(LogCosh([1.0, 10.0])(jnp.array([1.0, 0.0]))), 6)
        0.933781

    Source:
        Elementary: $(\log\cosh)'' = 1 - \tanh^2$ lies in $(0, 1]$.
    """

    curvature: Float[Array, " dim"]
    weight: Float[Array, ""]

    def __init__(self, curvature: Any, weight: Any = 1.0):
        values = known(curvature)
        curvature = as_floats(curvature)
        if curvature.ndim != 1:
            raise ValueError(
                f"`curvature` must have shape (dim,), but has shape {curvature.shape}."
            )
        if values is not None and not (values > 0).all():
            raise ValueError(f"`curvature` must be positive, but has value {values}.")
        self.curvature = curvature
        self.weight = as_parameter("weight", weight, "at least 0")

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        log_cosh = x + jax.nn.softplus(-2.0 * x) - jnp.log(jnp.asarray(2.0, x.dtype))
        quadratic = 0.5 * self.curvature.astype(x.dtype) * x**2
        return jnp.sum(quadratic + self.weight.astype(x.dtype) * log_cosh)

    @property
    def smooth(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        return Facts(
            minimisers=jnp.zeros((1, *self.curvature.shape)),
            minimum=jnp.zeros(()),
            mu=jnp.min(self.curvature),
            L=jnp.max(self.curvature) + self.weight,
            saddles=jnp.zeros((0, *self.curvature.shape)),
        )

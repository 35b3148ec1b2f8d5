"""The Rosenbrock function: a smooth curved valley."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.checks import as_parameter
from dynsys.objectives.objective import AbstractObjective, Facts


class Rosenbrock(AbstractObjective):
    r"""The Rosenbrock function in `dim` dimensions.

    $$f(x) = \sum_{i=1}^{n-1} b\,(x_{i+1} - x_i^2)^2 + (1 - x_i)^2$$

    Its minimiser is $(1, \dots, 1)$ with value 0. In two dimensions this is the only
    critical point; from four on there are others.

    Args:
        dim: Dimension $n$, at least 2.
        b: Steepness of the walls of the valley, positive.

    Raises:
        ValueError: `dim` is below 2 or `b` is not positive.

    Example:
        >>> float(Rosenbrock()(jnp.array([-1.0, 1.0])))
        4.0

    Source:
        Rosenbrock (1960) for two dimensions. The critical point in two dimensions:
        $\partial_2 f = 0$ gives $x_2 = x_1^2$, then $\partial_1 f = 0$ gives $x_1 = 1$.
    """

    b: Float[Array, ""]
    dim: int = eqx.field(static=True)

    def __init__(self, dim: int = 2, b: Any = 100.0):
        if dim < 2:
            raise ValueError(f"`dim` must be at least 2, but has value {dim}.")
        self.b = as_parameter("b", b, "positive")
        self.dim = dim

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        if x.shape != (self.dim,):
            raise ValueError(
                f"Rosenbrock(dim={self.dim}) needs x of shape ({self.dim},), but got "
                f"shape {x.shape}."
            )
        head, tail = x[:-1], x[1:]
        return jnp.sum(self.b.astype(x.dtype) * (tail - head**2) ** 2 + (1 - head) ** 2)

    @property
    def smooth(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        saddles = jnp.zeros((0, 2)) if self.dim == 2 else None
        return Facts(
            minimisers=jnp.ones((1, self.dim)), minimum=jnp.zeros(()), saddles=saddles
        )

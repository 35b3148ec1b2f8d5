"""Powers of the distance to 0, whose flatness sets the rate of convergence."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.objectives.objective import AbstractObjective, Facts


class PowerFunction(AbstractObjective):
    r"""The power $f(x) = \frac1p\sum_i |x_i|^p$, flat at its minimiser 0 for $p > 2$.

    Its Kurdyka-Łojasiewicz exponent is $1 - 1/p$, which sets the rate of convergence.

    Args:
        p: The power, at least 1. Static: another power is another program.

    Raises:
        ValueError: `p` is below 1, where the function is not locally Lipschitz.

    Example:
        >>> float(PowerFunction(4)(jnp.array([2.0])))
        4.0

    Source:
        Elementary: $|f'| = p^{1 - 1/p} f^{1 - 1/p}$ in one dimension.
    """

    p: float = eqx.field(static=True)

    def __init__(self, p: float):
        if not p >= 1:
            raise ValueError(
                f"`p` must be at least 1, but has value {p}: below it the function is "
                f"not locally Lipschitz."
            )
        self.p = float(p)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        x = jnp.asarray(x)
        if self.p % 2 == 0:
            return jnp.sum(x ** int(self.p)) / self.p
        return jnp.sum(jnp.abs(x) ** self.p) / self.p

    @property
    def smooth(self) -> bool:
        return self.p > 1

    @property
    def exponent(self) -> float:
        """The Kurdyka-Łojasiewicz exponent at 0."""
        return 1 - 1 / self.p

    @property
    def facts(self) -> Facts:
        return Facts(minimisers=jnp.zeros((1, 1)), minimum=jnp.zeros(()))

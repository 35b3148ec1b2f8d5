"""High-resolution equation of the heavy-ball method."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.systems.high_resolution_strongly_convex import (
    AbstractHighResolutionStronglyConvex,
)
from dynsys.systems.inertial_newton import Coefficients


class HighResolutionHeavyBall(AbstractHighResolutionStronglyConvex):
    r"""High-resolution equation of the heavy-ball method.

    $$\ddot x + 2\sqrt\mu\,\dot x + (1 + \sqrt{\mu s})\nabla f(x) = 0$$

    Args:
        objective: Function $f$ to minimise, $\mu$-strongly convex.
        mu: The constant $\mu$, positive. Unit: 1 / time^2.
        s: Step size of the method, positive. Unit: time^2.

    Raises:
        TypeError: `objective` is not callable or a parameter is not a number.
        ValueError: `mu` or `s` is not positive.

    Example:
        >>> system = HighResolutionHeavyBall(lambda x: 0.5 * x**2, mu=1.0, s=0.04)
        >>> round(float(system.initial_velocity(3.0)), 6)
        -1.0

    Source:
        Shi, Du, Jordan, Su, arXiv 1810.08907, equation (1.10).
    """

    def coefficients(self, t: Float[Array, ""]) -> Coefficients:
        mu, s = self.mu.astype(t.dtype), self.s.astype(t.dtype)
        one, factor = jnp.ones_like(t), 1 + jnp.sqrt(mu * s)
        return Coefficients(one, 2 * jnp.sqrt(mu), jnp.zeros_like(t), factor)

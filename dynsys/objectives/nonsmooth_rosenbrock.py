"""The non-smooth Rosenbrock-like function of the talk."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.objectives.objective import AbstractObjective, Facts


class NonsmoothRosenbrock(AbstractObjective):
    r"""The talk's example of a non-smooth, non-convex valley.

    $$f(x) = 100\,(x_2 - |x_1|)^2 + |1 - x_1|$$

    Kinked on $x_1 = 0$ (a concave kink where $x_2 > 0$) and on $x_1 = 1$. Its only
    Clarke-critical point is the minimiser $(1, 1)$, with value 0.

    Example:
        >>> float(NonsmoothRosenbrock()(jnp.array([-1.0, 1.5])))
        27.0

    Source:
        C. Castera, talk (Dalat, 2023), "Numerical illustration", "inspired by H.H.
        Rosenbrock and Y. Nesterov".
    """

    def __call__(self, x: Float[Array, " 2"]) -> Float[Array, ""]:
        if x.shape != (2,):
            raise ValueError(
                f"NonsmoothRosenbrock needs x of shape (2,), but got shape {x.shape}."
            )
        return 100.0 * (x[1] - jnp.abs(x[0])) ** 2 + jnp.abs(1.0 - x[0])

    @property
    def smooth(self) -> bool:
        return False

    @property
    def facts(self) -> Facts:
        return Facts(
            minimisers=jnp.ones((1, 2)),
            minimum=jnp.zeros(()),
            saddles=jnp.zeros((0, 2)),
        )

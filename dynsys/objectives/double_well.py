"""The double well of the saddle paper."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.objectives.objective import AbstractObjective, Facts


class DoubleWell(AbstractObjective):
    r"""A double well with a strict saddle between its minima.

    $$f(x) = x_1^4 - 4 x_1^2 + x_2^2$$

    Minimisers $(\pm\sqrt2, 0)$ with value -4; saddle 0 with Hessian eigenvalues -8, 2.

    Example:
        >>> float(DoubleWell()(jnp.array([1.0, 0.0])))
        -3.0

    Source:
        Castera (2023), code of the experiments (camcastera/INNAavoidsSaddles,
        `plot_Ability_to_escape_Saddle_Points`).
    """

    def __call__(self, x: Float[Array, " 2"]) -> Float[Array, ""]:
        if x.shape != (2,):
            raise ValueError(f"DoubleWell needs x of shape (2,), but got shape {x.shape}.")
        return x[0] ** 4 - 4.0 * x[0] ** 2 + x[1] ** 2

    @property
    def smooth(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        root = jnp.sqrt(2.0)
        return Facts(
            minimisers=jnp.array([[-root, 0.0], [root, 0.0]]),
            minimum=jnp.asarray(-4.0),
            saddles=jnp.zeros((1, 2)),
        )

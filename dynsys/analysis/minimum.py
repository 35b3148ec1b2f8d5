"""The minimum of an objective, as the objective or the user knows it."""

from typing import Any

import jax
import numpy as np

from dynsys.analysis.energies.energy import Minimum
from dynsys.objectives.objective import AbstractObjective
from dynsys.trajectory import Trajectory
from dynsys.trees import as_position


def minimum_of(
    trajectory: Trajectory, minimiser: Any = None, minimum: Any = None
) -> Minimum:
    """What is known of the minimum: what is passed, or what the objective says of itself.

    Args:
        trajectory: A trajectory.
        minimiser: A minimiser, if the user passes one.
        minimum: The smallest value, if the user passes it.

    Raises:
        ValueError: The minimiser has another shape than the positions.
    """
    objective = trajectory.system.objective
    knows = objective if isinstance(objective, AbstractObjective) else None
    if minimiser is None and knows is not None:
        minimiser = knows.minimiser
        minimum = knows.minimum if minimum is None else minimum
    if minimiser is None:
        return Minimum(None, 0.0 if minimum is None else minimum)
    like = jax.tree.map(lambda leaf: leaf[0], trajectory.x)
    x = as_position("minimiser", minimiser)
    if jax.tree.map(np.shape, x) != jax.tree.map(np.shape, like):
        raise ValueError(
            f"`minimiser` must have the structure and shapes of a position, "
            f"{jax.tree.map(np.shape, like)}, but has {jax.tree.map(np.shape, x)}."
        )
    x = jax.tree.map(lambda a, b: a.astype(b.dtype), x, like)
    return Minimum(x, objective(x) if minimum is None else minimum)

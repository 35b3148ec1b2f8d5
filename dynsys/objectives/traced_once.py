"""An objective inside of a program, traced once however often it is called."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float

from dynsys.cached_call import cached_call
from dynsys.objectives.objective import AbstractObjective, Facts, is_known_smooth
from dynsys.trees import Position


class TracedOnce(AbstractObjective):
    """An objective that a program evaluates in many places.

    A step of an implicit method takes ten gradients; tracing each of them anew was a
    quarter of the time of a first call.

    Args:
        objective: The objective.
    """

    objective: Callable[..., Any]

    def __call__(self, x: Position) -> Float[Array, ""]:
        return self.objective(x)

    @property
    def smooth(self) -> bool | None:
        return is_known_smooth(self.objective)

    @property
    def facts(self) -> Facts:
        return Facts()

    def gradient(self, x: Position) -> Position:
        """The gradient, traced once for each kind of position."""
        return _gradient(self.objective, x)


@cached_call
def _gradient(objective: Callable[..., Any], x: Position) -> Position:
    return jax.grad(objective)(x)

"""What an objective is: a callable `x -> scalar`, with what is known about it."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from dynsys.trees import Position


class Facts(NamedTuple):
    """What is known about an objective; `None` where nothing is.

    Args:
        minimisers: All global minimisers, one a row.
        minimum: The smallest value.
        mu: A constant of strong convexity, everywhere.
        L: A Lipschitz constant of the gradient, everywhere.
        saddles: All saddle points, one a row; no row means that there is none.
    """

    minimisers: Float[Array, "count ..."] | None = None
    minimum: Float[Array, ""] | None = None
    mu: Float[Array, ""] | None = None
    L: Float[Array, ""] | None = None
    saddles: Float[Array, "count ..."] | None = None


class AbstractObjective(eqx.Module):
    """A function to minimise. Its data are leaves, differentiable and batchable."""

    @property
    @abc.abstractmethod
    def smooth(self) -> bool | None:
        """Whether the gradient is continuous; `None` if nobody has said so."""

    @abc.abstractmethod
    def __call__(self, x: Any) -> Float[Array, ""]:
        """Value at the point `x`."""

    @property
    @abc.abstractmethod
    def facts(self) -> Facts:
        """What is known, with its source in the docstring of the class."""

    @property
    def minimiser(self) -> Float[Array, "..."] | None:
        """The global minimiser, `None` if it is unknown or not unique."""
        minimisers = self.facts.minimisers
        return minimisers[0] if minimisers is not None and len(minimisers) == 1 else None

    @property
    def minimum(self) -> Float[Array, ""] | None:
        """The smallest value, `None` if unknown."""
        return self.facts.minimum

    @property
    def mu(self) -> Float[Array, ""] | None:
        """A constant of strong convexity, `None` if none is known."""
        return self.facts.mu

    @property
    def L(self) -> Float[Array, ""] | None:
        """A Lipschitz constant of the gradient, `None` if none is known."""
        return self.facts.L

    @property
    def saddles(self) -> Float[Array, "count ..."] | None:
        """All saddle points, one a row, `None` if unknown."""
        return self.facts.saddles


class Function(AbstractObjective):
    """A plain callable as an objective: static data, with nothing known about it.

    Every system wraps the callable that it is given in this way. Two systems with the
    same function object share one compiled program. A loss with data belongs in an
    `equinox.Module` or a `jax.tree_util.Partial(loss, data)`: then the data are leaves.

    Args:
        function: JAX function from a position to a scalar.

    Example:
        >>> Function(lambda x: x**2)(3.0)
        9.0
    """

    function: Callable[[Any], Any] = eqx.field(static=True)

    def __call__(self, x: Position) -> Float[Array, ""]:
        return self.function(x)

    @property
    def smooth(self) -> None:
        return None

    @property
    def facts(self) -> Facts:
        return Facts()


class Split(AbstractObjective):
    """A module with functions among its leaves, such as a network with an activation.

    Args:
        data: The module with its arrays only.
        rest: What is left of it, static.
    """

    data: Any
    rest: Any = eqx.field(static=True)

    def __call__(self, x: Position) -> Float[Array, ""]:
        return eqx.combine(self.data, self.rest)(x)

    @property
    def smooth(self) -> None:
        return None

    @property
    def facts(self) -> Facts:
        return Facts()


def _is_data(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray | np.generic | float | int)


def as_objective(objective: Any) -> Callable[[Any], Any]:
    """Turn any callable into an objective that is a pytree.

    Raises:
        TypeError: `objective` is not callable.
    """
    if not callable(objective):
        raise TypeError(
            f"The objective must be a callable from x to a scalar, but is "
            f"{objective!r} of type {type(objective).__name__}."
        )
    if jax.tree_util.all_leaves([objective]):
        return Function(objective)
    data, rest = eqx.partition(objective, _is_data)
    return Split(data, rest) if jax.tree.leaves(rest) else objective


def is_known_smooth(objective: Any) -> bool | None:
    """Whether an objective says of itself that it is smooth; `None` if it does not."""
    return objective.smooth if isinstance(objective, AbstractObjective) else None

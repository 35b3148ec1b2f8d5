"""The mean of several losses, which remembers its terms."""

from collections.abc import Callable, Sequence
from typing import Any

from jaxtyping import Array, Float

from dynsys.objectives.objective import (
    AbstractObjective,
    Facts,
    as_objective,
    is_known_smooth,
)
from dynsys.trees import Position


class Mean(AbstractObjective):
    r"""The mean of several losses, such as those of the samples of a training set.

    $$J(x) = \frac1N\sum_{n=1}^N J_n(x)$$

    It remembers its terms, which the talk's operator D needs: where their kinks meet, the
    mean of their subdifferentials may be larger than the subdifferential of the mean.

    Args:
        terms: The losses $J_n$, at least one.

    Raises:
        TypeError: A term is not callable.
        ValueError: There is no term.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = Mean([lambda x: jnp.abs(x), lambda x: jnp.abs(x - 2)])
        >>> float(loss(jnp.array(0.5)))
        1.0

    Source:
        C. Castera, J. Bolte, C. Fevotte and E. Pauwels, JMLR 22(134), 2021.
    """

    terms: tuple[Callable[[Any], Any], ...]

    def __init__(self, terms: Sequence[Callable[[Any], Any]]):
        self.terms = tuple(as_objective(term) for term in terms)
        if not self.terms:
            raise ValueError("`terms` is empty. Pass at least one loss.")

    def __call__(self, x: Position) -> Float[Array, ""]:
        return sum(term(x) for term in self.terms) / len(self.terms)  # pyright: ignore

    @property
    def smooth(self) -> bool | None:
        """Whether all terms are; kinks of terms may cancel, so `None` if one is not."""
        known = [is_known_smooth(term) for term in self.terms]
        return True if all(fact is True for fact in known) else None

    @property
    def facts(self) -> Facts:
        return Facts()

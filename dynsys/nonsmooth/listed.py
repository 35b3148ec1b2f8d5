"""Some of the kinks in a list of fixed length.

Lists are masks and not indices: what is taken from and put to places that are computed
cannot be joined with its surroundings (`dynsys.kernel`).
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

FEW = 16
"""Kinks up to which each has its own place in a list that has room for all."""


class Listed(NamedTuple):
    """Some of the kinks in a list that may have more room than is used.

    Args:
        places: Of each place in the list the kink that it is for; `None` where each kink
            has its own place.
        valid: Whether it is in use; what is at the others means nothing.
    """

    places: Bool[Array, "some kinks"] | None
    valid: Bool[Array, " some"]

    @property
    def end(self) -> Int[Array, ""]:
        """Number of places up to the last one that is in use."""
        return jnp.max(jnp.where(self.valid, jnp.arange(1, len(self.valid) + 1), 0))

    def units(self) -> Bool[Array, "some kinks"]:
        """Of each place in the list the kink that it is for."""
        return jnp.eye(len(self.valid), dtype=bool) if self.places is None else self.places

    def take(self, values: Any) -> Any:
        """The values of the kinks in the list."""
        if self.places is None:
            return values
        return jnp.sum(jnp.where(self.places, values[None], 0), axis=1, dtype=values.dtype)

    def put(self, values: Any) -> Any:
        """The values in the list at their kinks."""
        if self.places is None:
            return values
        spread = jnp.where(self.places, values[:, None], 0)
        return jnp.sum(spread, axis=0, dtype=values.dtype)

    def mark(self, mask: Bool[Array, " some"]) -> Bool[Array, " kinks"]:
        """The kinks of those in the list that are in a mask."""
        if self.places is None:
            return mask
        return jnp.any(self.places & mask[:, None], axis=0)

    def only(self, values: Any) -> Any:
        """The values in the list, and 0 where no kink is."""
        return jnp.where(self.valid, values, 0)

    def square(self, matrix: Any) -> Any:
        """A matrix with the rows and columns of the identity where there is no kink."""
        both = self.valid[:, None] & self.valid[None]
        return jnp.where(both, matrix, jnp.eye(len(matrix), dtype=matrix.dtype))


def listed(mask: Bool[Array, " kinks"], room: int) -> Listed:
    """The kinks in a mask, in a list of at most so many; what is beyond is left out."""
    if len(mask) <= min(room, FEW):
        return Listed(None, mask)
    return in_order(mask, room)


def in_order(mask: Bool[Array, " kinks"], room: int) -> Listed:
    """The same, with the places in use at the front."""
    number = min(len(mask), room)
    place = jnp.where(mask, jnp.cumsum(mask), 0)
    places = place[None] == jnp.arange(1, number + 1)[:, None]
    return Listed(places, jnp.any(places, axis=1))


def pick(values: Any, which: Int[Array, " some"]) -> Any:
    """Entries of a vector, at places that are in it."""
    at = values.at[which]
    return at.get(mode="promise_in_bounds", wrap_negative_indices=False)

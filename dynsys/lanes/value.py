"""The values of a program of one member, for many members at once."""

from typing import Any

import jax

Array = Any


class Value:
    """An array of a member, in all lanes.

    Args:
        array: The array if it is the same in all lanes; otherwise with the lanes as its
            last axis, so that arithmetic on it fills the vector units of a processor.
        varies: Whether it may differ from lane to lane.
        place: Which array of a loop it is, as long as that has only been written into, and
            not in the lanes that are done.
    """

    __slots__ = ("array", "place", "varies")

    def __init__(self, array: Array, varies: bool, place: int | None = None):
        self.array, self.varies, self.place = array, varies, place

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape in a member."""
        return self.array.shape[:-1] if self.varies else self.array.shape

    def wide(self, width: int) -> Array:
        """With the lanes as the last axis."""
        return self.array if self.varies else along_lanes(self.array, width)

    def like(self, shape: tuple[int, ...], width: int) -> Array:
        """The same in another shape, repeated along axes of length 1 and those missing."""
        axes = range(len(shape) - len(self.shape), len(shape) + self.varies)
        return jax.lax.broadcast_in_dim(self.array, (*shape, width), tuple(axes))


def along_lanes(array: Array, width: int) -> Array:
    """An array that is the same in all lanes, once for each."""
    axes = tuple(range(array.ndim))
    return jax.lax.broadcast_in_dim(array, (*array.shape, width), axes)


def choose(mask: Array, new: Array, old: Array) -> Array:
    """A new array in some lanes, the old one in the others."""
    return jax.lax.select(
        jax.lax.broadcast_in_dim(mask, new.shape, (new.ndim - 1,)), new, old
    )

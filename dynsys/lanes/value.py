"""The values of a program of one member, for many lanes at once."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from dynsys.lanes.graph import Ref, fill, known, one_of

Entries = Any
"""An array of NumPy that holds a `Ref` for each entry."""

SMALL = 32
"""Entries of an array up to which each is a vector over the lanes of its own."""


class Value:
    """An array of a member.

    It is one of three things: the same in all lanes (`same`); entry by entry a vector over
    the lanes (`entries`); or one array with the lanes as its first axis (`block`).

    Of a block that a loop carries, `place` says which it is, as long as it has only been
    written into, lane by lane, and not in the lanes that are done.

    Args:
        shape: Shape of a member.
        dtype: Its type.
    """

    __slots__ = ("_block", "_entries", "dtype", "place", "same", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: Any):
        self.shape, self.dtype = tuple(shape), dtype
        self.same: Any = None
        self.place: int | None = None
        self._entries: Entries | None = None
        self._block: Ref | None = None

    @classmethod
    def of_same(cls, array: Any) -> "Value":
        """What is the same in all lanes."""
        value = cls(np.shape(array), array.dtype)
        value.same = array
        return value

    @classmethod
    def of_entries(cls, entries: Entries, dtype: Any) -> "Value":
        """A small array, entry by entry."""
        value = cls(entries.shape, dtype)
        value._entries = entries
        return value

    @classmethod
    def of_block(cls, block: Ref, shape: tuple[int, ...], dtype: Any) -> "Value":
        """An array with the lanes as its first axis."""
        value = cls(shape, dtype)
        value._block = block
        return value

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(np.prod(self.shape, dtype=int))

    @property
    def is_small(self) -> bool:
        """Whether it is taken apart into entries."""
        return self.size <= SMALL

    @property
    def is_same(self) -> bool:
        """Whether it is the same in all lanes."""
        return self.same is not None

    @property
    def constant(self) -> np.ndarray | None:
        """Its numbers, if they are known before anything is computed."""
        if self.is_same:
            is_known = isinstance(self.same, np.ndarray | np.generic)
            return np.asarray(self.same) if is_known else None
        if self._entries is None or any(ref.constant is None for ref in self._entries.flat):
            return None
        numbers = [ref.constant for ref in self._entries.flat]
        return np.asarray(numbers, self.dtype).reshape(self.shape)

    def entries(self) -> Entries:
        """Its entries, each the same in all lanes or a vector over them."""
        if self._entries is None:
            entries = np.empty(self.shape, object)
            for index in np.ndindex(self.shape):
                entries[index] = self._entry(index)
            self._entries = entries
        return self._entries

    def _entry(self, index: tuple[int, ...]) -> Ref:
        if self._block is not None:
            return one_of(lambda values: values[0][(slice(None), *index)], [self._block])
        array = self.same
        if isinstance(array, np.ndarray | np.generic):
            return known(np.asarray(array)[index], varies=False)
        return one_of(lambda _: array[index], [])

    def block(self, width: int) -> Ref:
        """All of it, with the lanes as the first axis."""
        if self._block is None and self.is_same and not self.is_small:
            whole, wide = self.same, (width, *self.shape)
            self._block = one_of(lambda _: jnp.broadcast_to(whole, wide), [])
        if self._block is None:
            shape, dtype = self.shape, self.dtype

            def stack(values: list[Any]) -> Any:
                columns = [fill(value, width).astype(dtype) for value in values]
                if not columns:
                    return jnp.zeros((width, *shape), dtype)
                return jnp.stack(columns, 1).reshape(width, *shape)

            self._block = one_of(stack, list(self.entries().flat))
        return self._block

    def refs(self, width: int) -> list[Ref]:
        """What holds it: its entries if it is small, or the block."""
        return list(self.entries().flat) if self.is_small else [self.block(width)]


def count_of(shape: tuple[int, ...]) -> int:
    """Number of arrays that hold a value: one an entry if it is small."""
    size = int(np.prod(shape, dtype=int))
    return size if size <= SMALL else 1


def take(refs: Iterator[Ref], aval: Any) -> Value:
    """A value of a shape and type, put together again from the next of some parts.

    Args:
        refs: Parts, as `Value.refs` gives them.
        aval: Shape and type.
    """
    shape, dtype = tuple(aval.shape), aval.dtype
    parts = [next(refs) for _ in range(count_of(shape))]
    if int(np.prod(shape, dtype=int)) > SMALL:
        return Value.of_block(parts[0], shape, dtype)
    entries = np.empty(shape, object)
    entries.reshape(-1)[:] = parts
    return Value.of_entries(entries, dtype)


def gather(values: Sequence[Value | None], width: int) -> list[Ref]:
    """The parts of all values that are not the same in all lanes."""
    varying = [v for v in values if v is not None and not v.is_same]
    return [ref for value in varying for ref in value.refs(width)]


def rebuild(values: Sequence[Value | None], arrays: Sequence[Any]) -> list[Value | None]:
    """The same values, with arrays in place of the parts that `gather` gave."""
    refs = iter([known(array, varies=True) for array in arrays])
    return [v if v is None or v.is_same else take(refs, v) for v in values]

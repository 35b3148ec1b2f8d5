"""A graph of operations on lanes, and how it becomes a program.

A lane is one member of many that are computed side by side. Each number of a member is one
vector over the lanes, so that arithmetic on it fills the vector units of a processor.

Operations are written down first and carried out later. So nothing is computed that is not
used, the same is not computed twice, and it is known how often each result is used. The
last matters on CPUs: XLA computes a cheap result anew in each operation that uses it, and
of a step with a thousand operations that made 25,000. What would be computed too
often is therefore divided by a 1 that the compiler does not know: XLA never repeats a
division, and a division by 1 changes no bit.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

REPEATED = 16
"""Repeated operations that cost more than a division."""


class Operation:
    """Something to be computed.

    Args:
        make: From the values of the operands to those of the results.
        operands: What it needs.
        is_cheap: Whether XLA may repeat it.
    """

    __slots__ = ("is_cheap", "make", "operands", "order")
    _count = 0

    def __init__(
        self,
        make: Callable[[list[Any]], Sequence[Any]],
        operands: Sequence["Ref"],
        is_cheap: bool,
    ):
        self.make, self.operands, self.is_cheap = make, tuple(operands), is_cheap
        Operation._count += 1
        self.order = Operation._count


class Ref:
    """A result of an operation, or a value that is there already.

    Args:
        operation: The operation, or `None`.
        index: Which of its results.
        value: The value, if it is there.
        varies: Whether it may differ from lane to lane.
    """

    __slots__ = ("index", "operation", "value", "varies")

    def __init__(
        self,
        operation: Operation | None,
        index: int = 0,
        value: Any = None,
        varies: bool = True,
    ):
        self.operation, self.index = operation, index
        self.value, self.varies = value, varies

    @property
    def constant(self) -> Any:
        """The number that it is, if that is known before anything is computed."""
        return self.value if isinstance(self.value, np.generic | np.ndarray) else None


def known(value: Any, *, varies: bool) -> Ref:
    """A value that is there already."""
    return Ref(None, value=value, varies=varies)


def one_of(
    make: Callable[[list[Any]], Any], operands: Sequence[Ref], *, is_cheap: bool = False
) -> Ref:
    """The only result of a new operation."""
    varies = any(ref.varies for ref in operands)
    operation = Operation(lambda values: [make(values)], operands, is_cheap)
    return Ref(operation, varies=varies)


def carry_out(roots: Iterable[Ref], one: Any) -> list[Any]:
    """Values of what is asked for.

    Args:
        roots: What is asked for.
        one: The number 1 as a traced value, or `None` where a compiler need not be kept
            from computing anything twice.
    """
    roots = list(roots)
    live = _live(roots)
    uses: dict[tuple[int, int], int] = {}
    for ref in (*roots, *(ref for operation in live for ref in operation.operands)):
        uses[_key(ref)] = uses.get(_key(ref), 0) + 1
    done: dict[tuple[int, int], Any] = {}
    weights: dict[tuple[int, int], int] = {}
    read = lambda ref: ref.value if ref.operation is None else done[_key(ref)]
    for operation in live:
        results = operation.make([read(ref) for ref in operation.operands])
        inner = [weights.get(_key(ref), 0) for ref in operation.operands]
        weight = 1 + sum(inner) if operation.is_cheap else 0
        for index, result in enumerate(results):
            key = (id(operation), index)
            again = weight * (uses.get(key, 0) - 1)
            repeats = again > REPEATED and _can_divide(result)
            if one is not None and repeats:
                done[key], weights[key] = result / one.astype(result.dtype), 0
            else:
                done[key], weights[key] = result, weight
    return [read(ref) for ref in roots]


def _can_divide(value: Any) -> bool:
    return jnp.ndim(value) == 1 and jnp.issubdtype(value.dtype, jnp.floating)


def _key(ref: Ref) -> tuple[int, int]:
    return (id(ref.operation) if ref.operation is not None else id(ref), ref.index)


def _live(roots: Iterable[Ref]) -> list[Operation]:
    """All operations that are needed, in the order in which they were written down."""
    found: dict[int, Operation] = {}
    todo = [ref.operation for ref in roots if ref.operation is not None]
    while todo:
        operation = todo.pop()
        if operation.order in found:
            continue
        found[operation.order] = operation
        todo += [r.operation for r in operation.operands if r.operation is not None]
    return [found[order] for order in sorted(found)]


def fill(value: Any, width: int) -> Any:
    """A value in each lane, of one that may be the same in all."""
    value = jnp.asarray(value)
    return value if value.ndim else jax.lax.broadcast(value, (width,))

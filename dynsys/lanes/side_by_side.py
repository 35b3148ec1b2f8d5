"""A function of one member as a function of many."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr

from dynsys.lanes.interpreter import Interpreter
from dynsys.lanes.refill import Refill
from dynsys.lanes.value import Value


def side_by_side(
    closed: ClosedJaxpr,
    shared: Sequence[Any],
    points: Sequence[Any],
    *,
    lanes: int,
    main: str,
    wrap: Callable[..., Any],
) -> tuple[list[Any], list[bool]]:
    """The outputs of a program for many members.

    Args:
        closed: The program of one member: of the shared inputs and those of a point.
        shared: Inputs that all members share.
        points: Inputs of the members, along the first axis of each.
        lanes: Number of members that go through the main loop at once.
        main: Name of the program with the main loop in it.
        wrap: How to call the main loop.

    Returns:
        The outputs, and which of them have the members as a first axis. The others are
        the same for all.
    """
    width = points[0].shape[0]
    values = [Value(jnp.asarray(array), False) for array in shared]
    values += [Value(jnp.moveaxis(array, 0, -1), True) for array in points]
    interpreter = Interpreter(width, name=main, main=Refill(lanes, wrap))
    outputs = interpreter.run(closed, values)
    varies = [value.varies for value in outputs]
    first = lambda v: jnp.moveaxis(v.array, -1, 0) if v.varies else v.array
    return [first(value) for value in outputs], varies

"""A function of one member as a function of many."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr

from dynsys.lanes.graph import known
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
    one: Any,
    wrap: Callable[..., Any],
) -> tuple[list[Any], list[bool]]:
    """The outputs of a program for many members.

    Args:
        closed: The program of one member: of the shared inputs and those of a point.
        shared: Inputs that all members share.
        points: Inputs of the members, along the first axis of each.
        lanes: Number of members that go through the main loop at once.
        main: Name of the program with the main loop in it.
        one: The number 1 as a traced value, or `None`.
        wrap: How to call the main loop.

    Returns:
        The outputs, and which of them have the members as a first axis. The others are
        the same for all.
    """
    width = points[0].shape[0]
    values = [Value.of_same(array) for array in shared]
    for array in points:
        shape, dtype = array.shape[1:], array.dtype
        value = Value.of_block(known(array, varies=True), shape, dtype)
        values.append(value)
    interpreter = Interpreter(width, one, name=main, main=Refill(lanes, wrap))
    outputs: list[Any] = interpreter.run(closed, values)
    varies = [not value.is_same for value in outputs]
    refs = [
        value.block(width) if v else known(value.same, varies=False)
        for value, v in zip(outputs, varies, strict=True)
    ]
    return [jnp.asarray(a) for a in interpreter.values_of(refs)], varies

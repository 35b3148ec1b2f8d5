"""Where in the code of the user an operation is."""

import contextlib
import os
import re
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from jax.extend import source_info_util

LIBRARY = str(Path(__file__).absolute().parents[2]) + os.sep
TRACERS = (LIBRARY, os.path.dirname(eqx.__file__) + os.sep)
OBJECTIVES = os.path.join(LIBRARY, "objectives")
LINE = re.compile(r"^(?P<file>.*):(?P<line>\d+):\d+ \(.*\)$")


def line_of(equation: Any) -> str:
    """The file and the line of an equation, as in `lasso.py:12`, if they are known."""
    where = source_info_util.summarize(equation.source_info)
    parts = LINE.match(where)
    if parts is None:
        return where
    path = parts["file"]
    # A loss that is a function of JAX is first called by this library, or by Equinox.
    if path.startswith(TRACERS) and not path.startswith(OBJECTIVES):
        return ""
    return f"{os.path.basename(path)}:{parts['line']}"


def place(equation: Any) -> str:
    """A primitive and its line, as in "`abs` at lasso.py:12"."""
    where = line_of(equation)
    return f"`{equation.primitive.name}`" + (f" at {where}" if where else "")


def entry_of(shape: tuple[int, ...], index: int) -> str:
    """An entry of an array by its indices: nothing for a scalar, one number in a vector."""
    if not shape:
        return ""
    indices = tuple(map(int, np.unravel_index(index, shape)))
    return str(indices[0]) if len(indices) == 1 else str(indices)


def placed(equation: Any) -> Any:
    """The equation, at the place that new ones get if it has none itself."""
    if source_info_util.summarize(equation.source_info):
        return equation
    return equation.replace(source_info=source_info_util.current())


def at_place(equation: Any) -> contextlib.AbstractContextManager[Any]:
    """New equations get the place of this one, if it has one."""
    if not source_info_util.summarize(equation.source_info):
        return contextlib.nullcontext()
    return source_info_util.user_context(equation.source_info.traceback)

"""What runs need of memory, told and refused before it is taken."""

from typing import Any, NamedTuple

from dynsys.integrators.engine.problem import LARGE
from dynsys.trees import dimension, widest_dtype

LARGEST = 2**31
"""Bytes above which a run is refused."""

STORED = 9
"""States that are kept of a step for its polynomial: both ends and seven stages."""

COPIES = 4
"""Copies of what is kept of steps, in an ensemble: before, after and in its main loop."""


class Size(NamedTuple):
    """The size of what a run moves.

    Args:
        dimension: Coordinates of the position.
        coordinates: Coordinates of the state.
        itemsize: Bytes of a number.
    """

    dimension: int
    coordinates: int
    itemsize: int


def size_of(system: Any, x: Any) -> Size:
    """The size of what a system moves from a position."""
    count = dimension(x)
    return Size(count, count * len(system.state_type._fields), widest_dtype(x).itemsize)


def check_memory(size: Size, count: int, max_steps: int, dense: bool) -> None:
    """Refuse a run that takes too much memory.

    Args:
        size: The size of what moves.
        count: Number of outputs.
        max_steps: Largest number of steps.
        dense: Whether every step is kept.
    """
    outputs, store = _kept(size, count, max_steps if dense else 0)
    rows = min(count, max_steps) if not dense and size.coordinates <= LARGE else 0
    work = _work(size, count, rows)
    _refuse(store, "this state", dense_steps=max_steps)
    _refuse(outputs + store + work, "this state", count)


def check_ensemble_memory(
    size: Size,
    count: int,
    max_steps: int,
    dense: bool,
    *,
    kept: int,
    computed: int,
) -> None:
    """Refuse an ensemble that takes too much memory.

    Args:
        size: The size of what a member moves.
        count: Number of outputs of a member.
        max_steps: Largest number of steps.
        dense: Whether every step is kept.
        kept: Number of trajectories that are kept at once.
        computed: Number of trajectories that are computed at once.
    """
    outputs, store = _kept(size, count, max_steps if dense else 0)
    rows = max_steps if dense else min(count, max_steps)
    work = outputs + COPIES * _work(size, count, rows if size.coordinates <= LARGE else 0)
    of = f"{kept:,} members"
    less = ", keep less of each with `reduce`, or take them one by one: `stream=True`"
    _refuse(kept * store, of, dense_steps=max_steps)
    _refuse(kept * (outputs + store), of, count, less)
    at_once = f"{computed:,} members that are computed at once"
    _refuse(computed * work, at_once, count, ", or pass a smaller `width`")


def check_rows(rows: int, numbers: int, itemsize: int, count: int, *, dense: bool) -> None:
    """Refuse too many steps to keep, where it is known what is kept of one.

    Args:
        rows: Number of steps.
        numbers: Numbers that are kept of one.
        itemsize: Bytes of a number.
        count: Number of outputs.
        dense: Whether every step is kept.
    """
    store = rows * numbers * itemsize
    of = "what the solver and kinks keep of this state"
    if dense:
        _refuse(store, of, dense_steps=rows)
    else:
        _refuse(store, of, count)


def _kept(size: Size, count: int, steps: int) -> tuple[int, int]:
    """Bytes of times, positions, velocities and states, and of a dense output."""
    dimension, coordinates, itemsize = size
    outputs = count * (1 + 2 * dimension + coordinates)
    return itemsize * outputs, itemsize * steps * (2 + STORED * coordinates)


def _work(size: Size, count: int, rows: int) -> int:
    """Bytes of states with their derivatives at the outputs, and of the steps there."""
    dimension, coordinates, itemsize = size
    work = count * (2 + dimension + coordinates) + rows * (2 + STORED * coordinates)
    return itemsize * work


def _refuse(
    size: int, of: str, count: int = 0, less: str = "", dense_steps: int | None = None
) -> None:
    if size <= LARGEST:
        return
    takes = f"about {size / 2**30:.3g} GiB, more than {LARGEST / 2**30:.3g}"
    if dense_steps is not None:
        raise ValueError(
            f"The dense output of {dense_steps} steps of {of} takes {takes}. Lower "
            f"`max_steps`, or ask for `times` instead of `dense=True`."
        )
    raise ValueError(f"{count} outputs of {of} take {takes}. Ask for fewer `times`{less}.")

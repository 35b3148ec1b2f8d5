"""Members of an ensemble as they are done, and all of them together."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from dynsys.cached_call import join, split
from dynsys.integrators.engine.progress import compiling, report_members
from dynsys.integrators.ensemble.block import (
    Block,
    Layout,
    on_accelerators,
    on_processors,
)
from dynsys.integrators.ensemble.member import Choices, Numbers
from dynsys.integrators.ensemble.schedule import everywhere, in_any_order, slots_of
from dynsys.integrators.unchecked import unchecked
from dynsys.interrupts import wait_for_those_left
from dynsys.result import Result, Status

MOST_FAILURES = 5
"""Failed members that a message describes."""


class SimulationWarning(RuntimeWarning):
    """Some members of an ensemble did not reach their end."""


class Chunk(NamedTuple):
    """Members of an ensemble that are done.

    Args:
        members: Their indices, of shape `(chunk,)`.
        value: What was asked for, each leaf with a leading axis of that length.
        result: How each of them ended.
    """

    members: np.ndarray
    value: Any
    result: Result


def parts_of(
    case: Callable[..., Any],
    numbers: Numbers,
    arrays: list[Any],
    fixed: tuple[Choices, Layout],
    devices: list[Any],
    count: int,
    progress: bool,
    shares: bool,
) -> Iterator[tuple[np.ndarray, Block]]:
    """The members of this process, as they are done."""
    layout = fixed[1]
    size = layout.block
    mine = range(jax.process_index(), -(-count // size), jax.process_count())
    # A process without a share computes one of another, to know what comes out.
    mine = mine if len(mine) or shares else range(1)
    host = jax.tree.map(np.asarray, arrays)
    prepare = on_processors if layout.is_cpu else on_accelerators
    shared, rest = split((case, numbers))
    placed = {device: jax.device_put(shared, device) for device in devices}

    def arguments(members: np.ndarray, device: Any) -> tuple[Any, ...]:
        # The last block is filled up with members that are in it already.
        filled = np.resize(members, size)
        points = jax.device_put(jax.tree.map(lambda a: a[filled], host), device)
        return (*join(placed[device], rest), points, fixed)

    # Here, since other threads would not know the settings of this one.
    first = np.arange(min(size, count))
    with compiling() if progress else contextlib.nullcontext():
        programs = {d: prepare(*arguments(first, d)) for d in devices}
    one_by_one = layout.is_cpu and programs[devices[0]][1].takes_batches
    slots = devices[:1] if one_by_one else slots_of(devices)
    if one_by_one:
        wait_for_those_left()

    def call(number: int) -> Callable[[Any], tuple[np.ndarray, Block]]:
        members = np.arange(number * size, min((number + 1) * size, count))

        def on_device(device: Any) -> tuple[np.ndarray, Block]:
            run, _ = programs[device]
            # Here, since a thread of its own would not know the settings of that one.
            with unchecked():
                block: Block = run(*arguments(members, device))
                return members, block.on_host(len(members))

        return on_device

    done = 0
    for members, block in in_any_order([call(number) for number in mine], slots):
        done += len(members)
        if progress:
            report_members(done, count)
        yield members, block


def chunks_of(parts: Iterator[tuple[np.ndarray, Block]], count: int) -> Iterator[Chunk]:
    """The members as they are done, and a word on those that failed."""
    failures: list[tuple[int, str]] = []
    for members, block in parts:
        result, value = block.value(len(members))
        failures += _failures(result, members)
        yield Chunk(members, value, result)
    _warn(failures, count)


def collect(parts: Iterator[tuple[np.ndarray, Block]], count: int, throw: bool) -> Any:
    """All members in their order."""
    mine = np.zeros(count, bool)
    rows: list[np.ndarray] = []
    block: Any = None
    for members, block in parts:
        like = lambda leaf: np.empty((count, *leaf.shape[1:]), leaf.dtype)
        rows = rows or [like(leaf) for leaf in block.varying]
        mine[members] = True
        for row, leaf in zip(rows, block.varying, strict=True):
            row[members] = leaf
    result, value = block._replace(varying=everywhere(rows, mine)).value(count)
    if throw:
        result.raise_if_failed()
    _warn(_failures(result, np.arange(count)), count)
    return value


def _failures(result: Result, members: np.ndarray) -> list[tuple[int, str]]:
    """The members that failed, and why."""
    failed = np.flatnonzero(np.asarray(result.code) > Status.STOPPED)
    some: Any = jax.tree.map(lambda leaf: np.asarray(leaf)[failed], result)
    return list(zip(members[failed].tolist(), some.reasons, strict=True))


def _warn(failures: list[tuple[int, str]], count: int) -> None:
    if not failures:
        return
    failures = sorted(failures)
    lines = [f"member {i}: {reason}" for i, reason in failures[:MOST_FAILURES]]
    more = len(failures) - len(lines)
    lines += [f"and {more:,} more"] if more else []
    text = "\n".join([f"{len(failures):,} of {count:,} members failed.", *lines])
    warnings.warn(text, SimulationWarning, stacklevel=4)

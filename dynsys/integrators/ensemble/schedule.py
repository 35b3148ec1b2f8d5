"""Who computes which members, and when."""

import concurrent.futures
import functools
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import jax
import numpy as np

from dynsys.interrupts import in_background, leave

LANES = 64
"""Members side by side on a processor: their state fits into its fastest cache, and the
loop over them fills its vector units."""

LANES_ELSEWHERE = 8192
"""Members side by side on an accelerator."""

CACHE = 2**21
"""Bytes that the lanes of a processor may take: about what its second cache holds."""

FIRST_CACHE = 2**15
"""Bytes of its fastest cache that the stages of explicit steps may take."""

TURNS = 16
"""Most members a lane is given in one block."""


def default_lanes(size: int, is_cpu: bool, *, explicit: bool) -> int:
    """Number of lanes for states of a size.

    Args:
        size: Coordinates of a state.
        is_cpu: Whether the devices are processors.
        explicit: Whether steps take no matrices.
    """
    if not is_cpu:
        return LANES_ELSEWHERE
    if explicit:
        # Eight stages; little else is looked at again and again.
        return int(np.clip(FIRST_CACHE // (64 * size) // 8 * 8, 8, LANES))
    # Eight stages, what they are made of, and a matrix.
    room = CACHE // (8 * (60 * size + min(size, 128) ** 2))
    return int(np.clip(room // 8 * 8, 8, LANES))


def members_of_block(count: int, lanes: int) -> int:
    """Members that a device is given at once: few enough that all have something to do."""
    turns = int(np.clip(count // (4 * lanes), 1, TURNS))
    return lanes * turns


def slots_of(devices: Sequence[Any]) -> list[Any]:
    """The devices, each as often as it is given a block at the same time.

    A program for lanes keeps one processor busy. On an accelerator a second one is prepared
    while the first runs.
    """
    times = 2
    if devices[0].platform == "cpu":
        # Elsewhere a process is not asked which processors it may use.
        on_linux = sys.platform == "linux"
        cores = len(os.sched_getaffinity(0)) if on_linux else os.cpu_count() or 1
        times = max(cores // len(devices), 1)
    return [device for _ in range(times) for device in devices]


def in_any_order(
    calls: Iterable[Callable[[Any], Any]], slots: Sequence[Any]
) -> Iterator[Any]:
    """The results of calls as they come, one at a time in each slot.

    Where no more of them are asked for, as after an interrupt, those that are on are left.
    """
    free: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for slot in slots:
        free.put(slot)
    is_left = threading.Event()

    def run(call: Callable[[Any], Any]) -> Any:
        slot = free.get()
        try:
            return None if is_left.is_set() else call(slot)
        finally:
            free.put(slot)

    running: set[Future[Any]] = set()
    try:
        for call in calls:
            running.add(in_background(functools.partial(run, call)))
            # One more than there are slots, so that none waits for who asks.
            if len(running) > len(slots):
                yield from _done(running)
        while running:
            yield from _done(running)
    finally:
        is_left.set()
        leave(running)


def _done(running: set[Future[Any]]) -> Iterator[Any]:
    """The results of the calls that are done, of at least one."""
    first = concurrent.futures.FIRST_COMPLETED
    done, _ = concurrent.futures.wait(running, return_when=first)
    for future in done:
        running.remove(future)
        yield future.result()


def everywhere(rows: list[np.ndarray], mine: np.ndarray) -> list[np.ndarray]:
    """Rows of all members, of those that each process has computed.

    Args:
        rows: One array a leaf, with a row a member.
        mine: Which of them this process has computed.
    """
    if jax.process_count() == 1:
        return rows
    from jax.experimental.multihost_utils import process_allgather

    owner = np.argmax(process_allgather(mine), axis=0)
    number = np.arange(len(mine))
    return [np.asarray(process_allgather(leaf))[owner, number] for leaf in rows]

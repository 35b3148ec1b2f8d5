"""Ctrl-C while JAX traces, compiles and computes.

A computation that has begun cannot be stopped, only left: it goes on in the background
until it is done or the process ends.
"""

import _thread
import atexit
import contextlib
import functools
import gc
import io
import logging
import os
import queue
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any

AGAIN = 0.05
"""Seconds after which an interrupt that was lost comes again."""

PAUSE = 0.02
"""Seconds between two looks at computations that were left."""

going: set[Future[Any]] = set()
"""Calls in the background that are not done."""

left: list[Future[Any]] = []
"""Those of them that nobody waits for any longer."""

compilation_left = threading.Event()
"""Set when a compilation was left, which does not say when it is done."""


def goes_on() -> bool:
    """Whether a computation that was left is not done."""
    left[:] = [future for future in left if not future.done()]
    return bool(left)


def wait_for_those_left() -> None:
    """Wait until no computation that was left goes on."""
    while goes_on():
        time.sleep(PAUSE)


class _Helper:
    """A thread that makes one call after the other.

    It does not keep the process from ending, as the threads of
    `concurrent.futures.ThreadPoolExecutor` do, and takes less time a call than a new one.
    """

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]]
        self.calls = queue.SimpleQueue()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            call, future = self.calls.get()
            going.add(future)
            try:
                result = call()
            except BaseException as error:
                finish = functools.partial(future.set_exception, error)
            else:
                finish = functools.partial(future.set_result, result)
                del result
            del call
            going.discard(future)
            idle.append(self)
            finish()
            del future, finish  # Until the next call nothing is kept.


idle: list[_Helper] = []
"""Threads that wait for a call."""


def _forget() -> None:
    """After a fork: the threads of a process are not those of its child."""
    for threads in (idle, going, left):
        threads.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def in_background(call: Callable[[], Any]) -> Future[Any]:
    """Make a call in another thread."""
    future: Future[Any] = Future()
    try:
        helper = idle.pop()  # Looked at first, another thread could take it in between.
    except IndexError:
        helper = _Helper()
    helper.calls.put((call, future))
    return future


def result_of(future: Future[Any]) -> Any:
    """What a call in the background returns; the call is left on an interrupt."""
    try:
        return future.result()
    finally:
        leave([future])


def leave(futures: Iterable[Future[Any]]) -> None:
    """Wait no longer for calls in the background."""
    left.extend(future for future in futures if not future.done())


def wait(array: Any) -> None:
    """Wait for an array that is being computed, such that an interrupt is heard."""
    if array.is_ready():
        return
    if threading.current_thread() is threading.main_thread():
        result_of(in_background(array.block_until_ready))
    else:
        array.block_until_ready()  # Interrupts are raised in the main thread only.


@contextlib.contextmanager
def none_lost() -> Iterator[None]:
    """A part of a program, in which JAX traces and compiles, where no interrupt is lost.

    Python drops what is raised in a callback of its garbage collector. That is where an
    interrupt is raised which came while it collected, and JAX has such a callback; in
    tracing and compiling, it collects for a good part of the time.
    """
    # Interrupts are raised in the main thread only, and all threads share the hook.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = sys.unraisablehook

    def again(dropped: Any) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            before(dropped)
            return
        timer = threading.Timer(AGAIN, _thread.interrupt_main)
        timer.daemon = True
        timer.start()

    sys.unraisablehook = again
    try:
        yield
    except KeyboardInterrupt:
        compilation_left.set()
        raise
    finally:
        sys.unraisablehook = before


@atexit.register
def _end_with_those_left() -> None:
    """Do not wait for a computation that goes on, as JAX would.

    After an interrupt that nobody caught the process ends by that signal, with its files,
    logs and temporary folders in order; else at the next one, which JAX would not hear.
    """
    if not (going or compilation_left.is_set()):
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # At a prompt the last error is one that the user has seen and gone on from.
    is_prompt = hasattr(sys, "ps1") or sys.flags.interactive
    if getattr(sys, "last_type", None) is KeyboardInterrupt and not is_prompt:
        _put_in_order()
        signal.raise_signal(signal.SIGINT)
    while going:  # Python must not end before its threads have left the code of others.
        time.sleep(PAUSE)


def _put_in_order() -> None:
    """What the end of the interpreter does for files, logs and temporary folders."""
    logging.shutdown()
    for one in gc.get_objects():
        with contextlib.suppress(Exception):
            if isinstance(one, weakref.finalize) and one.atexit:
                one()
            elif isinstance(one, io.IOBase) and not one.closed:
                one.flush()

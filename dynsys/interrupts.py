"""Ctrl-C while JAX traces, compiles and computes.

A computation that has begun cannot be stopped, only left: it goes on in the background
until it is done or the process ends.
"""

import _thread
import atexit
import contextlib
import gc
import io
import logging
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

AGAIN = 0.05
"""Seconds after which an interrupt that was lost comes again."""

SHORT = 5e-4
"""Seconds of waiting in which a thread only lets others go first. The shortest pause of an
operating system takes a good part of a short run."""

PART = 1 / 64
"""A pause as a part of the time that was waited: a run seems that much longer at most."""

LONGEST = 0.02
"""Longest pause in seconds."""

left: list[Callable[[], bool]] = []
"""Of each computation that was left whether it is done."""

compilation_left = threading.Event()
"""Set when a compilation was left, which does not say when it is done."""


def goes_on() -> bool:
    """Whether a computation that was left is not done."""
    left[:] = [is_done for is_done in left if not is_done()]
    return bool(left)


def wait(is_done: Callable[[], bool], leaves: threading.Event | None = None) -> None:
    """Wait for a computation, with pauses in which an interrupt is heard.

    Args:
        is_done: Whether it is done, such as `array.is_ready`.
        leaves: Set when it is not needed any longer.
    """
    try:
        _poll(lambda: is_done() or (leaves is not None and leaves.is_set()))
    finally:
        if not is_done():
            left.append(is_done)


def wait_for_those_left() -> None:
    """Wait until no computation that was left goes on."""
    _poll(lambda: not goes_on())


def _poll(is_over: Callable[[], bool]) -> None:
    begun = time.perf_counter()
    while not is_over():
        waited = time.perf_counter() - begun
        time.sleep(0 if waited < SHORT else min(PART * waited, LONGEST))


def in_background(call: Callable[[], Any]) -> Any:
    """The result of a call that does not return before it is done, left on an interrupt."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    wait(future.done)
    return future.result()


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
    if not (goes_on() or compilation_left.is_set()):
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # At a prompt the last error is one that the user has seen and gone on from.
    is_prompt = hasattr(sys, "ps1") or sys.flags.interactive
    if getattr(sys, "last_type", None) is KeyboardInterrupt and not is_prompt:
        _put_in_order()
        signal.raise_signal(signal.SIGINT)


def _put_in_order() -> None:
    """What the end of the interpreter does for files, logs and temporary folders."""
    logging.shutdown()
    for one in gc.get_objects():
        with contextlib.suppress(Exception):
            if isinstance(one, weakref.finalize) and one.atexit:
                one()
            elif isinstance(one, io.IOBase) and not one.closed:
                one.flush()

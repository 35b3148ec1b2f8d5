"""How far a long run is, on standard error."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import jax

from dynsys.interrupts import goes_on


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Show that a program is being compiled, as long as it is."""
    text = "dynsys: compiling"
    _show(text)
    try:
        yield
    finally:
        _show(" " * len(text) + "\r")


def report(t0: Any, t: Any, t1: Any) -> None:
    """Show the fraction of the interval that is done, from inside a compiled loop."""
    jax.debug.callback(_write, t0, t, t1)


def report_members(done: int, count: int) -> None:
    """Show how many members of an ensemble are done."""
    _show(f"dynsys: {done:,} of {count:,} members ({done / count:.0%})", done == count)


def _write(t0: Any, t: Any, t1: Any) -> None:
    # What was left by an interrupt goes on, but has no say any longer.
    if goes_on():
        return
    done = float((t - t0) / (t1 - t0)) if t1 > t0 else 1.0
    _show(f"dynsys: t = {float(t):.6g} ({done:6.1%})", done >= 1)


def _show(text: str, is_last: bool = False) -> None:
    end = "\n" if is_last else ""
    sys.stderr.write(f"\r{text}{end}")
    sys.stderr.flush()

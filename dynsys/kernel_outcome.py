"""Which loops of a program became one kernel, and programs without such kernels."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

ONE_KERNEL = "one kernel"
"""What is said of a loop that is compiled as one kernel."""

_outcomes: ContextVar[list[str] | None] = ContextVar("outcomes", default=None)
_refusal: ContextVar[str] = ContextVar("refusal", default="")


def many_kernels(reason: str) -> str:
    """What is said of a loop that is compiled as a sequence of kernels."""
    return f"many kernels: {reason}"


@contextlib.contextmanager
def outcomes_of_loops() -> Iterator[list[str]]:
    """What becomes of the loops that are traced inside, in their order."""
    outcomes: list[str] = []
    token = _outcomes.set(outcomes)
    try:
        yield outcomes
    finally:
        _outcomes.reset(token)


def note_outcome(obstacle: str) -> None:
    """Write down what becomes of a loop.

    Args:
        obstacle: Why it is not one kernel; empty if it is.
    """
    outcomes = _outcomes.get()
    if outcomes is not None:
        outcomes.append(many_kernels(obstacle) if obstacle else ONE_KERNEL)


@contextlib.contextmanager
def refused(reason: str) -> Iterator[None]:
    """Trace a program without kernels, if there is a reason."""
    token = _refusal.set(reason)
    try:
        yield
    finally:
        _refusal.reset(token)


def refusal() -> str:
    """Why the program that is traced has no kernels; empty if it may have some."""
    return _refusal.get()

"""Checks of the parameters that systems are built from."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Float

from dynsys.checks import Kind, as_parameter
from dynsys.schedules import Constant, as_schedule


def check_schedule(name: str, value: Any, kind: Kind) -> Callable[[Any], Any]:
    """A schedule whose constant value is in range; others are checked when they run."""
    if isinstance(value, Constant):
        value = value.value
    if callable(value):
        return as_schedule(value)
    return Constant(as_parameter(name, value, kind))


def check_number(name: str, value: Any, kind: Kind, why: str = "") -> Float[Array, ""]:
    """A number that is in range."""
    if callable(value):
        raise TypeError(
            f"`{name}` must be a number here, but is the schedule {value!r}. "
            f"`InertialNewton` takes a schedule for every coefficient."
        )
    return as_parameter(name, value, kind, why)

"""Checks of the parameters that systems are built from."""

from collections.abc import Callable
from typing import Any, Literal

from jaxtyping import Array, Float

from dynsys.checks import as_parameter, require_nonnegative, require_positive
from dynsys.schedules import Constant, as_schedule


def check_schedule(
    name: str, value: Any, kind: Literal["positive", "at least 0"]
) -> Callable[[Any], Any]:
    """A schedule whose constant value is in range; others are checked when they run."""
    schedule = as_schedule(name, value)
    if isinstance(schedule, Constant):
        check_range(name, schedule.value, kind)
    return schedule


def check_number(
    name: str, value: Any, kind: Literal["positive", "at least 0"], why: str = ""
) -> Float[Array, ""]:
    """A number that is in range."""
    if callable(value):
        raise TypeError(
            f"`{name}` must be a number here, but is the schedule {value!r}. "
            f"`InertialNewton` takes a schedule for every coefficient."
        )
    number = as_parameter(name, value)
    check_range(name, number, kind, why)
    return number


def check_range(
    name: str,
    value: Float[Array, ""],
    kind: Literal["positive", "at least 0"],
    why: str = "",
) -> None:
    """Refuse a concrete number that is out of range."""
    if kind == "positive":
        require_positive(name, value, why)
    else:
        require_nonnegative(name, value, why)

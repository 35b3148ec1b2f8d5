"""Schedules that are looked at strictly inside of an interval."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.checks import as_time
from dynsys.schedules import AbstractSchedule, Constant
from dynsys.systems.system import AbstractSystem
from dynsys.trees import Time

ROUNDING = 64
"""Precisions of a time within which it may be on either side of a switch."""


class Window(AbstractSchedule):
    """A schedule between two switches, with its limits at both.

    Args:
        schedule: The schedule.
        start: Where the window starts.
        end: Where it ends.
        margin: How far inside of it is far enough.
    """

    schedule: Callable[[Any], Any]
    start: Time
    end: Time
    margin: Time

    def __call__(self, t: Any) -> Float[Array, "..."]:
        t = as_time(t)
        start, end, margin = jax.lax.stop_gradient((self.start, self.end, self.margin))
        middle = start + 0.5 * (end - start)
        low, high = jnp.minimum(start + margin, middle), jnp.maximum(end - margin, middle)
        inside = jnp.clip(t, low.astype(t.dtype), high.astype(t.dtype))
        # The derivative with respect to time is that of the schedule.
        return self.schedule(t + jax.lax.stop_gradient(inside - t))


def resolution(*times: Time) -> Time:
    """How near to a switch a time may be on either side of it."""
    largest = jnp.max(jnp.abs(jnp.stack(times)))
    return ROUNDING * jnp.finfo(largest.dtype).eps * largest


def schedules_of(system: AbstractSystem) -> dict[str, Callable[[Any], Any]]:
    """The coefficients of a system that are functions of time, by name."""
    fields = {f.name: getattr(system, f.name) for f in dataclasses.fields(system)}
    coefficients = [constraint.value for constraint in system.constraints]
    return {
        name: value
        for name, value in fields.items()
        if any(value is coefficient for coefficient in coefficients)
        and callable(value)
        and not isinstance(value, Constant)
    }


def in_window(
    system: AbstractSystem, start: Time, end: Time, margin: Time
) -> AbstractSystem:
    """A system whose coefficients are looked at strictly inside of an interval."""
    schedules = schedules_of(system)
    where = lambda tree: [getattr(tree, name) for name in schedules]
    windows = [Window(schedule, start, end, margin) for schedule in schedules.values()]
    return eqx.tree_at(where, system, windows) if schedules else system

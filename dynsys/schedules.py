r"""Coefficients that change in time: $\varepsilon(t)$, $\alpha(t)$, $\beta(t)$, $b(t)$.

A schedule is any differentiable function of $t$. Numbers become `Constant`; plain
callables are taken as they are. Derivatives come from `jax.jvp`.
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.checks import as_parameter, as_time

Time = Float[Array, ""]


class AbstractSchedule(eqx.Module):
    """A coefficient as a function of time. Parameters are leaves: they may be traced."""

    @abc.abstractmethod
    def __call__(self, t: Any) -> Float[Array, "..."]:
        """Value at time `t`, in the dtype of `t`."""


class Constant(AbstractSchedule):
    r"""The constant schedule $t \mapsto c$.

    Args:
        value: The number $c$.

    Raises:
        ValueError: `value` is not a finite scalar.

    Example:
        >>> float(Constant(0.5)(3.0))
        0.5
    """

    value: Float[Array, ""]

    def __init__(self, value: Any):
        self.value = as_parameter("value", value)

    def __call__(self, t: Any) -> Float[Array, "..."]:
        t = as_time(t)
        return jnp.broadcast_to(self.value.astype(t.dtype), t.shape)


class PowerLaw(AbstractSchedule):
    r"""The power law $t \mapsto c\,(t + s)^{-q}$.

    Args:
        value: Factor $c$.
        exponent: Exponent $q$; a positive one makes the schedule vanish.
        shift: Shift $s$ of time; with $s = 0$ the schedule is singular at $t = 0$.
            Unit: time.

    Raises:
        ValueError: An argument is not a finite scalar, or `shift` is negative.

    Example:
        >>> float(PowerLaw(3.0, 1.0, shift=0.0)(2.0))
        1.5
    """

    value: Float[Array, ""]
    exponent: Float[Array, ""]
    shift: Float[Array, ""]

    def __init__(self, value: Any, exponent: Any, shift: Any = 1.0):
        self.value = as_parameter("value", value)
        self.exponent = as_parameter("exponent", exponent)
        self.shift = as_parameter(
            "shift", shift, "at least 0", "(t + shift)^-exponent has a pole at -shift."
        )

    def __call__(self, t: Any) -> Float[Array, "..."]:
        t = as_time(t)
        base = t + self.shift.astype(t.dtype)
        return self.value.astype(t.dtype) * base ** -self.exponent.astype(t.dtype)


class Exponential(AbstractSchedule):
    r"""The exponential $t \mapsto c\,e^{-rt}$.

    Args:
        value: Factor $c$.
        rate: Rate $r$; a positive one makes the schedule vanish. Unit: 1 / time.

    Raises:
        ValueError: An argument is not a finite scalar.

    Example:
        >>> float(Exponential(2.0, rate=1.0)(0.0))
        2.0
    """

    value: Float[Array, ""]
    rate: Float[Array, ""]

    def __init__(self, value: Any, rate: Any):
        self.value = as_parameter("value", value)
        self.rate = as_parameter("rate", rate)

    def __call__(self, t: Any) -> Float[Array, "..."]:
        t = as_time(t)
        return self.value.astype(t.dtype) * jnp.exp(-self.rate.astype(t.dtype) * t)


class Function(AbstractSchedule):
    r"""Any differentiable JAX function of $t$, kept as static data of the system.

    Two systems with the same function object share one compiled program; a new
    `lambda` is a new program. A function with parameters that change belongs into an
    `equinox.Module` or a `jax.tree_util.Partial`.

    Args:
        function: The function of a scalar array `t`.

    Raises:
        TypeError: `function` is not callable.

    Example:
        >>> float(Function(lambda t: 1 + 0.5 * jnp.sin(t))(0.0))
        1.0
    """

    function: Callable[[Any], Any] = eqx.field(static=True)

    def __init__(self, function: Callable[[Any], Any]):
        if not callable(function):
            raise TypeError(f"`function` must be callable, but is {function!r}.")
        self.function = function

    def __call__(self, t: Any) -> Float[Array, "..."]:
        return self.function(as_time(t))


def as_schedule(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Turn any differentiable callable of $t$ into a schedule that is a pytree."""
    is_pytree = not jax.tree_util.all_leaves([function])
    return function if is_pytree else Function(function)


def evaluate(schedule: Callable[[Any], Any], t: Time) -> Time:
    """Value of a schedule at `t`, a scalar in the dtype of `t`."""
    t = as_time(t)
    return jnp.asarray(schedule(t)).astype(t.dtype)

r"""Coefficients that change in time: $\varepsilon(t)$, $\alpha(t)$, $\beta(t)$, $b(t)$.

A schedule is any differentiable function of $t$. Numbers become `Constant`; plain
callables are taken as they are. Derivatives come from `jax.jvp`.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsys.checks import as_parameter, as_time, default_float, known
from dynsys.trees import Time


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


class Piecewise(AbstractSchedule):
    r"""Another schedule from each of some times on.

    $$t \mapsto p_i(t), \qquad t_{i-1} \le t < t_i$$

    A simulation ends its steps at these times; position and velocity go on there.

    Args:
        times: The times $t_0 < t_1 < \dots$ at which it switches. Unit: time.
        pieces: The schedules, or numbers, before, between and after them: one more.

    Raises:
        TypeError: A piece is neither callable nor a number.
        ValueError: The times do not increase, or the number of pieces does not fit.

    Example:
        >>> step = Piecewise([1.0], [0.5, Exponential(2.0, rate=1.0)])
        >>> float(step(0.0)), float(step(1.0)) == 2 * float(jnp.exp(-1.0))
        (0.5, True)
    """

    times: Float[Array, " switches"]
    pieces: tuple[Callable[[Any], Any], ...]

    def __init__(self, times: Any, pieces: Sequence[Any]):
        if not isinstance(pieces, list | tuple):
            raise TypeError(
                f"`pieces` must be a list of numbers and functions of t, but is {pieces!r}."
            )
        self.times = _switching_times(times)
        self.pieces = tuple(_piece(i, piece) for i, piece in enumerate(pieces))
        if len(self.pieces) != len(self.times) + 1:
            raise ValueError(
                f"`Piecewise` has {len(self.pieces)} pieces and {len(self.times)} times. "
                f"Pass {len(self.times) + 1} pieces: before, between and after the times."
            )

    def __call__(self, t: Any) -> Float[Array, "..."]:
        t = as_time(t)
        times = self.times.astype(t.dtype)
        which = jnp.searchsorted(times, t, side="right")
        constants = [p.value for p in self.pieces if isinstance(p, Constant)]
        if len(constants) == len(self.pieces):
            return jnp.stack(constants).astype(t.dtype)[which]
        # Elsewhere a piece is looked at in the middle of where it holds, or at its end.
        middle = jnp.concatenate([times[:1], 0.5 * (times[1:] + times[:-1]), times[-1:]])
        at = [jnp.where(which == i, t, spare) for i, spare in enumerate(middle)]
        pairs = zip(self.pieces, at, strict=True)
        values = [jnp.asarray(piece(moved)).astype(t.dtype) for piece, moved in pairs]
        return jnp.select([which == i for i in range(len(values))], values)


def _switching_times(times: Any) -> Float[Array, " switches"]:
    """Times in one array, which increase."""
    try:
        array = jnp.atleast_1d(jnp.asarray(times, default_float()))
    except (TypeError, ValueError) as error:
        raise TypeError(f"`times` must be a list of numbers, but is {times!r}.") from error
    if array.ndim != 1:
        raise ValueError(f"`times` must be a list of numbers, but has shape {array.shape}.")
    values = known(array)
    if values is not None and not np.isfinite(values).all():
        raise ValueError(f"`times` must be finite, but are {values.tolist()}.")
    if values is not None and not (np.diff(values) > 0).all():
        raise ValueError(
            f"`times` must increase, but are {values.tolist()}. Sort them, with their "
            f"pieces."
        )
    return array


def _piece(number: int, piece: Any) -> Callable[[Any], Any]:
    """A piece as a schedule."""
    try:
        return as_schedule(piece) if callable(piece) else Constant(piece)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"`pieces[{number}]` must be a number or a function of t, but is {piece!r}."
        ) from error


class Function(AbstractSchedule):
    r"""Any differentiable JAX function of $t$, kept as static data of the system.

    Two systems with the same function object share one compiled program; a new
    `lambda` is a new program. A function with parameters that change belongs in an
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

"""Hyperparameters of discrete methods: numbers, or schedules of the count of steps."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dynsys.checks import Kind, as_number, default_float

Hyperparameter = Any
"""A number, or a function from the count of steps to one."""


def checked(name: str, value: Any, kind: Kind, why: str = "") -> Hyperparameter:
    """A schedule as it is, a traced number as it is, and a number that is in range.

    Args:
        name: Name of the hyperparameter in messages.
        value: What the user passed.
        kind: What a number must be.
        why: A sentence for the message that says why, or what to do.

    Raises:
        TypeError: It is neither a number nor callable.
        ValueError: It is a number out of range.
    """
    if callable(value):
        return value
    number = as_number(name, value, kind, why)
    # A float of Python takes part in arithmetic without changing the type of arrays.
    return number if isinstance(number, Array) else float(number)


def decayed(rate: Hyperparameter, power: Hyperparameter) -> Hyperparameter:
    r"""The learning rate $\gamma\,(k + 1)^{-q}$, a number if $q$ is the number 0."""
    if isinstance(power, float) and power == 0:
        return rate

    def schedule(count: Int[Array, ""]) -> Float[Array, ""]:
        return at(rate, count) * (count.astype(default_float()) + 1) ** -at(power, count)

    return schedule


def at(value: Hyperparameter, count: Int[Array, ""]) -> Float[Array, ""]:
    """A hyperparameter in the step of that count, in the widest float type."""
    return jnp.asarray(value(count) if callable(value) else value).astype(default_float())

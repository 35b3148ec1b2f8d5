"""How fast the fastest motion of a system is."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import as_vector, combine, from_vector, norm

ITERATIONS = 30
"""Enough to know the largest rate of change to a few tens of percent."""

LAST = 10
"""Iterations at the end that are averaged: with complex eigenvalues they go to and fro."""


def fastest_rate(
    system: AbstractSystem, t: Float[Array, ""], state: State
) -> Float[Array, ""]:
    """Modulus of the largest eigenvalue of the field, by power iteration.

    Args:
        system: The system.
        t: Time.
        state: Where the field is linearised.
    """
    _, linear = jax.linearize(lambda s: system.vector_field(t, s), state)

    def iterate(loop: tuple[State, Any], _: Any) -> tuple[Any, Any]:
        vector, size = loop
        image = linear(combine((1 / jnp.where(size > 0, size, 1), vector)))
        return (image, norm(image)), norm(image)

    # Equal entries are what losses of differences do not see.
    vector = as_vector(state)
    begin: Any = from_vector(jnp.cos(jnp.arange(1.0, len(vector) + 1)), state)
    _, sizes = jax.lax.scan(iterate, (begin, norm(begin)), None, length=ITERATIONS)
    return jnp.exp(jnp.mean(jnp.log(sizes[-LAST:])))

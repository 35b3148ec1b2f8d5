"""Whether the coefficients of a system stay in their range."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from dynsys.systems.system import AbstractSystem, Constraint
from dynsys.trees import Time

GRID = 1025
"""Times at which a coefficient is checked, on the whole interval and on each zoom."""

ZOOMS = 3
"""Each zoom looks between the neighbours of the smallest value, so that a dip as short
as 1e-9 of the interval is found where the coefficient is smooth."""


def first_violation(
    system: AbstractSystem, t0: Time, t1: Time
) -> tuple[Bool[Array, ""], Time]:
    """Whether a coefficient breaks its constraint on the interval, and when first."""
    broken, where = jnp.asarray(False), t0
    for constraint in reversed(system.constraints):
        wrong, time = _violation(constraint, t0, t1)
        broken, where = broken | wrong, jnp.where(wrong, time, where)
    return broken, where


def _violation(constraint: Constraint, t0: Time, t1: Time) -> tuple[Bool[Array, ""], Time]:
    """Look at a grid, then ever closer around the smallest value on it."""
    if constraint.is_constant:
        return _is_wrong(constraint, constraint.at(t0)), t0
    if constraint.is_monotone:
        first, last = (_is_wrong(constraint, constraint.at(t)) for t in (t0, t1))
        return first | last, jnp.where(first, t0, t1)
    value = jax.vmap(constraint.at)
    low, high, found, where = t0, t1, jnp.asarray(False), t0
    for _ in range(1 + ZOOMS):
        grid = low + (high - low) * jnp.linspace(0, 1, GRID, dtype=t0.dtype)
        values = value(grid)
        wrong = _is_wrong(constraint, values)
        where = jnp.where(found, where, grid[jnp.argmax(wrong)])
        found = found | jnp.any(wrong)
        index = jnp.argmin(values)
        low, high = (
            grid[jnp.maximum(index - 1, 0)],
            grid[jnp.minimum(index + 1, GRID - 1)],
        )
    return found, where


def leaves_range(system: AbstractSystem, t: Time) -> Bool[Array, ""]:
    """Whether a coefficient that changes breaks its constraint at one time."""
    wrong = jnp.asarray(False)
    for constraint in system.constraints:
        if not constraint.is_constant:
            wrong = wrong | _is_wrong(constraint, constraint.at(t))
    return wrong


def _is_wrong(constraint: Constraint, values: Array) -> Array:
    fine = {
        "positive": values > 0,
        "at least 0": values >= 0,
        "finite": jnp.isfinite(values),
    }
    return ~(jnp.isfinite(values) & fine[constraint.kind])

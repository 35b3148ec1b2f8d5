"""Where a run starts, and whether it can start at all."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.result import Status, select
from dynsys.systems.damped_newton import AbstractDampedNewton
from dynsys.systems.system import AbstractSystem, Constraint, State
from dynsys.systems.vanishing_damping import AbstractVanishingDamping, StartSeries
from dynsys.trees import Position

Time = Float[Array, ""]

GRID = 1025
"""Times at which a coefficient is checked, on the whole interval and on each zoom."""

ZOOMS = 3
"""Each zoom looks between the neighbours of the smallest value, so that a dip as short
as 1e-9 of the interval is found where the coefficient is smooth."""

LARGEST_FIRST_STEP = 0.1
"""The series at t = 0 is used for at most this part of the interval."""


class Departure(eqx.Module):
    """The way out of the singularity at $t = 0$, along a series.

    Args:
        system: The system that is singular there.
        series: Its solution from rest as a series.
        until: Time up to which the series is used.
    """

    system: AbstractVanishingDamping
    series: StartSeries
    until: Time

    def state(self, t: Time) -> State:
        """The state at a time up to `until`."""
        x, v = self.series.position(t), self.series.velocity(t)
        return self.system.initial_state(t, x, v)


class Start(NamedTuple):
    """The first state that the solver sees.

    Args:
        t: Its time.
        state: The state.
        departure: The series that leads to it, if the system is singular at 0.
    """

    t: Time
    state: State
    departure: Departure | None


class Tolerances(NamedTuple):
    """Relative and absolute tolerance."""

    rtol: Float[Array, ""]
    atol: Float[Array, ""]


def start_from_rest_at_zero(
    system: AbstractVanishingDamping, x0: Position, t1: Time, tolerances: Tolerances
) -> Start:
    r"""Leave the singularity at $t = 0$ along the series of the solution from rest."""
    series = system.start_series(x0)
    # Where the series ends is a choice, not a part of the solution.
    trusted = jax.lax.stop_gradient(series.trusted_until(*tolerances))
    until = jnp.minimum(trusted, LARGEST_FIRST_STEP * t1)
    departure = Departure(system, series, until)
    return Start(until, departure.state(until), departure)


def check_start(
    system: AbstractSystem,
    start: Start,
    t0: Time,
    t1: Time,
    times: Float[Array, " times"],
    tolerances: Tolerances,
) -> tuple[Int[Array, ""], Time]:
    """Why a run cannot start, as far as only traced values show it, and where."""
    value, gradient = jax.value_and_grad(system.objective)(system.position(start.state))
    field = system.vector_field(start.t, start.state)
    broken, where = _out_of_range(system, t0, t1)
    is_newton = isinstance(system, AbstractDampedNewton)
    times_fit = (times[0] >= t0) & (times[-1] <= t1) & jnp.all(times[1:] > times[:-1])
    good = [(tol > 0) & jnp.isfinite(tol) for tol in tolerances]
    code = select(
        (~((t1 > t0) & times_fit & jnp.isfinite(t1)), Status.BAD_TIMES),
        (~(good[0] & good[1]), Status.BAD_TOLERANCES),
        (broken, Status.COEFFICIENT_OUT_OF_RANGE),
        (~(is_finite((value, gradient))), Status.NOT_FINITE_AT_START),
        (
            ~is_finite(field),
            Status.NOT_POSITIVE_DEFINITE if is_newton else Status.NOT_FINITE_AT_START,
        ),
    )
    is_coefficient = code == Status.COEFFICIENT_OUT_OF_RANGE
    return code, jnp.where(is_coefficient, where, start.t)


def is_finite(tree: Any) -> Bool[Array, ""]:
    """Whether every entry of a pytree is finite."""
    checks = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(checks))


def _out_of_range(
    system: AbstractSystem, t0: Time, t1: Time
) -> tuple[Bool[Array, ""], Time]:
    """Whether a coefficient breaks its constraint on the interval, and when first."""
    broken, where = jnp.asarray(False), t0
    for constraint in reversed(system.constraints):
        wrong, time = _first_violation(constraint, t0, t1)
        broken, where = broken | wrong, jnp.where(wrong, time, where)
    return broken, where


def _first_violation(
    constraint: Constraint, t0: Time, t1: Time
) -> tuple[Bool[Array, ""], Time]:
    """Look at a grid, then ever closer around the smallest value on it."""
    is_wrong = {
        "positive": lambda values: ~(jnp.isfinite(values) & (values > 0)),
        "at least 0": lambda values: ~(jnp.isfinite(values) & (values >= 0)),
        "finite": lambda values: ~jnp.isfinite(values),
    }[constraint.kind]
    if constraint.is_constant:
        return is_wrong(constraint.at(t0)), t0
    value = jax.vmap(constraint.at)
    low, high, found, where = t0, t1, jnp.asarray(False), t0
    for _ in range(1 + ZOOMS):
        grid = low + (high - low) * jnp.linspace(0, 1, GRID, dtype=t0.dtype)
        values = value(grid)
        wrong = is_wrong(values)
        where = jnp.where(found, where, grid[jnp.argmax(wrong)])
        found = found | jnp.any(wrong)
        index = jnp.argmin(values)
        low, high = (
            grid[jnp.maximum(index - 1, 0)],
            grid[jnp.minimum(index + 1, GRID - 1)],
        )
    return found, where

"""Where a run starts, and whether it can start at all."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.integrators.engine.problem import Problem
from dynsys.integrators.engine.ranges import first_violation
from dynsys.result import Status, select
from dynsys.switches import SwitchTimes
from dynsys.systems.damped_newton import AbstractDampedNewton
from dynsys.systems.system import AbstractSystem, State
from dynsys.systems.vanishing_damping import AbstractVanishingDamping, StartSeries
from dynsys.trees import Position, Time, root_mean_square

LARGEST_FIRST_STEP = 0.1
"""The series at t = 0 is used for at most this part of the interval."""

FINEST = 1000
"""Resolutions of time that an interval must have."""

COARSE = 1e5
"""Resolutions of time in an interval that is short: near 0 there are 1e7 in single
precision, and elsewhere a step that vanishes may be one that the rounding of time ends."""

HALVINGS = 200
"""Shorter than 1e-60 of the interval no series is tried."""


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
    until = jax.lax.stop_gradient(_series_end(system, series, t1, tolerances))
    departure = Departure(system, series, until)
    return Start(until, departure.state(until), departure)


def _series_end(
    system: AbstractVanishingDamping,
    series: StartSeries,
    t1: Time,
    tolerances: Tolerances,
) -> Time:
    """The first of ever shorter times up to which the series is within the tolerance."""

    def is_wrong(t: Time) -> Bool[Array, ""]:
        # At several times, since the error may pass through 0 at one of them.
        errors = [
            _scaled_size(system.series_error(series, part * t), series.x0, tolerances)
            for part in (1.0, 0.7, 0.4)
        ]
        return ~(jnp.max(jnp.stack(errors)) <= 1)

    def goes_on(now: tuple[Time, Array]) -> Array:
        t, halvings = now
        return is_wrong(t) & (halvings < HALVINGS)

    halve = lambda now: (now[0] / 2, now[1] + 1)
    first = LARGEST_FIRST_STEP * t1
    return jax.lax.while_loop(goes_on, halve, (first, jnp.asarray(0)))[0]


def _scaled_size(error: Position, x: Position, tolerances: Tolerances) -> Time:
    """Root mean square of an error in units of the tolerance."""
    rtol, atol = tolerances

    def scale(leaf: Array, of: Array) -> Array:
        return leaf / (atol.astype(of.dtype) + rtol.astype(of.dtype) * jnp.abs(of))

    scaled = jax.tree.map(scale, error, x)
    return root_mean_square(scaled)


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
    broken, where = first_violation(system, t0, t1)
    is_newton = isinstance(system, AbstractDampedNewton)
    times_fit = (times[0] >= t0) & (times[-1] <= t1) & jnp.all(times[1:] > times[:-1])
    good = [(tol > 0) & jnp.isfinite(tol) for tol in tolerances]
    code = select(
        (~((t1 > t0) & times_fit & jnp.isfinite(t1)), Status.BAD_TIMES),
        (~resolves(t0, t1), Status.TIME_UNRESOLVED),
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


def resolves(t0: Time, t1: Time) -> Bool[Array, ""]:
    """Whether an interval is long next to the resolution of time at its ends."""
    resolution = jnp.finfo(t0.dtype).eps * jnp.maximum(jnp.abs(t0), jnp.abs(t1))
    return t1 - t0 >= FINEST * resolution


def too_short(problem: Problem, t: Time) -> Int[Array, ""]:
    """Why a step has become too short: it is time that is coarse, or the solution is wild.

    Args:
        problem: What is integrated.
        t: Where.
    """
    resolution = jnp.finfo(t.dtype).eps * jnp.abs(t)
    is_coarse = problem.t1 - problem.t0 < COARSE * resolution
    return jnp.where(is_coarse, int(Status.TIME_UNRESOLVED), int(Status.STEP_UNDERFLOW))


def check_switches(switches: SwitchTimes | None, code: Int[Array, ""]) -> Int[Array, ""]:
    """Why coefficients that switch cannot be followed, if nothing else is wrong."""
    if switches is None:
        return code
    found = select(
        (switches.too_many, Status.TOO_MANY_SWITCHES),
        (switches.jumps, Status.COEFFICIENT_JUMPS),
    )
    return jnp.where(code == Status.SUCCESS, found, code)


def is_finite(tree: Any) -> Bool[Array, ""]:
    """Whether every entry of a pytree is finite."""
    checks = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(checks))

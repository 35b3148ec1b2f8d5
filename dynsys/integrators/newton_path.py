"""Continuous Newton without an ODE solver: along the ray of its gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.cached_call import cached_call
from dynsys.checks import as_number, known
from dynsys.integrators.closures import open_system
from dynsys.integrators.engine.outputs import choose
from dynsys.integrators.objective_check import check_objective
from dynsys.integrators.request import read_interval, read_times
from dynsys.kernel_outcome import many_kernels
from dynsys.result import Derivative, Result, Status, select
from dynsys.systems.continuous_newton import ContinuousNewton
from dynsys.systems.damped_newton import solve_shifted
from dynsys.systems.gradient_flow import PositionState
from dynsys.trajectory import KinkEvents, Stats, Trajectory
from dynsys.trees import Position, Time, as_position, combine, norm, time_dtype, zeros_like

CORRECTIONS = 12
"""Newton steps to a point of the path; from a good start four are enough."""

CLOSE = {64: 1e-12, 32: 1e-5}
"""Size of the last correction relative to the position and to the first one, by the
number of bits. The next one would be its square."""

ROUNDED = {64: 1e-8, 32: 1e-3}
"""Below this relative size, or where the gradient is right to `CLOSE`, a correction that
does not shrink any more is rounding."""

SMALLEST = 1e-12
"""Part of the interval below which a step along the path is given up."""


class _Place(NamedTuple):
    """Where on the path, and how it was reached."""

    t: Time
    x: Position
    step: Time
    taken: Int[Array, ""]
    refused: Int[Array, ""]
    failed: Bool[Array, ""]


def newton_path(
    system: ContinuousNewton, x0: Any, *, t1: Any, t0: Any = 0.0, times: Any = 200
) -> Trajectory:
    r"""The path of continuous Newton, to rounding, at the output times.

    $$\nabla f(x(t)) = e^{-(t-t_0)/\beta}\,\nabla f(x_0)$$

    The equation is solved for $x(t)$ by Newton's method, step by step along the path. No
    tolerance and no condition number enters but that of the Hessian itself: the error is
    that of rounding in $\nabla f$, divided by the smallest eigenvalue. Linear systems are
    solved by Cholesky up to 1024 coordinates, beyond by conjugate gradients on
    Hessian-vector products.

    Args:
        system: Continuous Newton, without regularization.
        x0: Position to start from, as for `simulate`.
        t1: End of the time interval.
        t0: Its start.
        times: Number of evenly spaced outputs, both ends included, or an increasing
            array of times.

    Returns:
        The trajectory. Its `stats.steps` counts the steps along the path.

    Raises:
        TypeError: `system` is not `ContinuousNewton`, or an argument has the wrong type.
        ValueError: The system is regularised, an argument is out of range, or the Hessian
            is not positive definite somewhere on the path.

    Example:
        >>> import dynsys as ds
        >>> system = ds.ContinuousNewton(lambda x: jnp.sum(jnp.cosh(x)), beta=1.0)
        >>> path = newton_path(system, [1.0, 2.0], t1=3.0)
        >>> start, end = (system.gradient(path.x[i]) for i in (0, -1))
        >>> bool(jnp.allclose(end, jnp.exp(-3.0) * start, rtol=1e-12))
        True

    Source:
        Differentiate the gradient along a solution: the talk, equation (CN).
    """
    if not isinstance(system, ContinuousNewton):
        raise TypeError(
            f"`system` must be a dynsys.ContinuousNewton, since other systems do not keep "
            f"the direction of the gradient, but is a {type(system).__name__}."
        )
    regularization = known(system.regularization)
    if regularization is not None and regularization != 0:
        raise ValueError(
            f"`regularization` must be 0, but has value {regularization}: with it the "
            f"gradient leaves its ray. Use `simulate`."
        )
    x0 = as_position("x0", x0)
    dtype = time_dtype(x0)
    start, end, _ = read_interval(system, t0, t1, moving=False, dtype=dtype)
    outputs, count = read_times(times, t0, t1)
    cast = lambda number: jnp.asarray(as_number("t", number)).astype(dtype)
    first, last = cast(start), cast(end)
    if outputs is None:
        outputs = jnp.linspace(first, last, count)
    trajectory = _follow(system, x0, first, outputs.astype(first.dtype))
    code = known(trajectory.result.code)
    if code is not None and code > Status.STOPPED:
        trajectory.result.raise_if_failed()
    return trajectory


@cached_call
def _follow(
    system: ContinuousNewton, x0: Position, t0: Time, times: Float[Array, " times"]
) -> Trajectory:
    check_objective(system, x0)
    opened: Any = open_system(system, t0, x0)
    gradient = opened.gradient(x0)
    span = times[-1] - t0

    def advance(place: _Place, t: Time) -> tuple[_Place, Position]:
        place = _advance(opened, gradient, t0, span, place, t)
        return place, place.x

    zero = jnp.asarray(0)
    start = _Place(t0, x0, jnp.maximum(span, 0), zero, zero, jnp.asarray(False))
    last, x = jax.lax.scan(advance, start, times)
    v = jax.vmap(opened.velocity)(times, PositionState(x))
    is_finite = jnp.isfinite(norm(jax.tree.map(jnp.sum, v)))
    ordered = (times[0] >= t0) & jnp.all(times[1:] > times[:-1])
    code = select(
        (~ordered, Status.BAD_TIMES),
        (opened.regularization != 0, Status.COEFFICIENT_OUT_OF_RANGE),
        (last.failed | ~is_finite, Status.NOT_POSITIVE_DEFINITE),
    )
    result = Result(code, jnp.where(last.failed, last.t, times[-1]), last.step)
    unknown = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), (x, v))
    x, v = choose(result.ok | (times <= last.t) & last.failed, (x, v), unknown)
    tolerance = jnp.asarray(CLOSE[jnp.finfo(t0.dtype).bits], t0.dtype)
    reason = "the gradient of continuous Newton stays on a ray"
    none = (None, None, None, None)
    loop = many_kernels("there is one for each output")
    stats = Stats(last.taken, last.refused, *none, "newton_path", reason, loop=loop)
    return Trajectory(
        t=times,
        x=x,
        v=v,
        state=PositionState(x),
        final_state=PositionState(last.x),
        system=opened,
        events=KinkEvents.none(0, t0.dtype),
        unique=jnp.asarray(True),
        derivative=jnp.asarray(int(Derivative.EXISTS)),
        stats=stats,
        result=result,
        rtol=tolerance,
        atol=tolerance,
        dense=None,
        switches=jnp.zeros(0, t0.dtype),
        inclusion="autodiff",
    )


def _advance(
    system: ContinuousNewton,
    gradient: Position,
    t0: Time,
    span: Time,
    place: _Place,
    until: Time,
) -> _Place:
    """Follow the path to a time, in steps as long as Newton's method converges."""

    def goes_on(now: _Place) -> Array:
        return (now.t < until) & ~now.failed

    def attempt(now: _Place) -> _Place:
        t = jnp.minimum(now.t + now.step, until)
        decay = jnp.exp(-(t - t0) / system.beta.astype(t.dtype))
        x, converged = _correct(system, now.x, combine((decay, gradient)))
        keep = lambda new, old: jnp.where(converged, new, old)
        step = jnp.where(converged, 2 * now.step, (t - now.t) / 4)
        too_short = (step < SMALLEST * span) | (now.t + step <= now.t)
        return _Place(
            keep(t, now.t),
            jax.tree.map(keep, x, now.x),
            step,
            now.taken + converged.astype(int),
            now.refused + (~converged).astype(int),
            ~converged & too_short,
        )

    return jax.lax.while_loop(goes_on, attempt, place)


class _Correction(NamedTuple):
    x: Position
    first: Array
    size: Array
    tried: Int[Array, ""]
    converged: Bool[Array, ""]
    diverged: Bool[Array, ""]


def _correct(
    system: ContinuousNewton, x: Position, target: Position
) -> tuple[Position, Bool[Array, ""]]:
    """Newton's method for the point with a given gradient."""
    bits = jnp.finfo(time_dtype(x)).bits

    def goes_on(now: _Correction) -> Array:
        return ~(now.converged | now.diverged) & (now.tried < CORRECTIONS)

    def correct(now: _Correction) -> _Correction:
        gradient, hessian = jax.linearize(system.gradient, now.x)
        left = combine((1.0, target), (-1.0, gradient))
        change = solve_shifted(hessian, 0.0, 1.0, left)
        size = norm(change)
        first = jnp.where(now.tried == 0, size, now.first)
        scale = norm(now.x) + first
        shrinks = size <= 0.5 * now.size
        is_right = norm(left) <= CLOSE[bits] * norm(target)
        is_small = (size <= ROUNDED[bits] * scale) | is_right
        is_rounding = ~shrinks & is_small
        return _Correction(
            combine((1.0, now.x), (1.0, change)),
            first,
            size,
            now.tried + 1,
            (size <= CLOSE[bits] * scale) | is_rounding,
            ~(shrinks | is_rounding),
        )

    zero = norm(zeros_like(x))
    no = jnp.asarray(False)
    start = _Correction(x, zero, jnp.full_like(zero, jnp.inf), jnp.asarray(0), no, no)
    last = jax.lax.while_loop(goes_on, correct, start)
    return last.x, last.converged

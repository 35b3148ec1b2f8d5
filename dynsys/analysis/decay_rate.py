r"""How fast a quantity decays: exponentially, or like a power of time."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from dynsys.analysis.minimum import minimum_of
from dynsys.analysis.points import require_trajectory, rows
from dynsys.cached_call import cached_call
from dynsys.checks import as_number
from dynsys.objectives.objective import AbstractObjective
from dynsys.systems.system import AbstractSystem
from dynsys.trajectory import Trajectory
from dynsys.trees import Position, combine, norm

FEWEST_POINTS = 8
FEWEST_PEAKS = 5
BLOCKS = 10


class Line(NamedTuple):
    """A straight line through points, by least squares.

    Args:
        slope: Its slope.
        error: Standard error of the slope, with neighbouring residuals correlated, and
            with what the slope changes along the line.
        intercept: Its value at 0.
        residual: Root of the mean squared residual.
    """

    slope: float
    error: float
    intercept: float
    residual: float


class Model(NamedTuple):
    """A model of decay, fitted to the logarithm of the data.

    Args:
        rate: The number r in exp(-rt), or q in t^-q.
        error: Its standard error.
        log_factor: Logarithm of the factor C before it.
        residual: Root of the mean squared difference of the logarithms.
    """

    rate: float
    error: float
    log_factor: float
    residual: float


class Decay(NamedTuple):
    """How a quantity decays.

    Args:
        model: The better model, `"exponential"` or `"power law"`; `"undecided"` where the
            residuals of neither are half as large as those of the other.
        exponential: The fit of C exp(-rt).
        power: The fit of C t^-q.
        ratio: Residual of the worse model over that of the better.
        window: First and last time in use.
        points: Number of points in use.
        envelope: Whether they are the peaks of a quantity that swings.
        quantity: What decays.
    """

    model: str
    exponential: Model
    power: Model
    ratio: float
    window: tuple[float, float]
    points: int
    envelope: bool
    quantity: str

    def __str__(self) -> str:
        fits = {
            "exponential": f"exp(-r t) with r = {_number(self.exponential)}",
            "power law": f"t^-q with q = {_number(self.power)}",
        }
        what = "peaks" if self.envelope else "points"
        start, end = self.window
        where = f"t from {start:.4g} to {end:.4g}, {self.points} {what}"
        if self.model == "undecided":
            both = " or ".join(fits.values())
            return (
                f"{self.quantity}: undecided, {both} ({where}; residuals differ by a "
                f"factor of {self.ratio:.2g} only)"
            )
        return (
            f"{self.quantity}: {self.model}, {fits[self.model]} ({where}; residuals "
            f"{self.ratio:.3g} times smaller than those of the other model)"
        )


def decay_rate(
    source: Any,
    y: Any = None,
    *,
    quantity: str = "objective gap",
    minimum: Any = None,
    minimiser: Any = None,
    window: tuple[float, float] | None = None,
    floor: float = 0.0,
) -> Decay:
    r"""Fit an exponential and a power law to a decaying quantity, and tell which is better.

    $$y \approx C e^{-rt} \qquad\text{or}\qquad y \approx C t^{-q}$$

    Both are straight lines through $\ln y$, against $t$ and against $\ln t$, on the same
    points. Where $y$ swings, the points are the peaks that no later one exceeds. Standard
    errors come from leaving out tenths of the window, one after the other, so that
    neighbouring residuals may be correlated; added is half of the difference between the
    slopes of both halves of the window, where it exceeds that noise: a rate that still
    changes is not known better.

    Args:
        source: A trajectory, or times.
        y: With times, the quantity at them.
        quantity: What to look at in a trajectory: `"objective gap"`, `"gradient norm"` or
            `"distance"` to the minimiser.
        minimum: Smallest value of the objective; left out, what the objective knows.
        minimiser: Minimiser; left out, what the objective knows.
        window: First and last time to use; left out, the second half of the decay,
            counted in orders of magnitude.
        floor: What lies below is not trusted. Of a trajectory, values that ten times the
            tolerances of the run may have changed by a tenth are left out, too.

    Returns:
        Both fits, and which is better.

    Raises:
        TypeError: `source` is neither a trajectory nor times, or `y` is missing.
        ValueError: The data are not finite or not positive, lie below the floor, or are too
            few; times do not increase; the minimum or the minimiser is unknown;
            `floor` is negative or `quantity` has no such value.

    Example:
        >>> import numpy as np
        >>> t = np.linspace(1.0, 50.0, 200)
        >>> found = decay_rate(t, 3.0 * np.exp(-0.5 * t) * (1 + 0.1 * np.cos(t)))
        >>> found.model, round(found.exponential.rate, 2)
        ('exponential', 0.5)

    Source:
        Least squares; the delete-a-block jackknife for correlated data is that of Künsch
        (1989), Annals of Statistics 17, 1217-1241.
    """
    floor = float(as_number("floor", floor, "at least 0"))
    if isinstance(source, Trajectory) and y is None:
        require_trajectory("decay_rate", source)
        t = np.asarray(source.t, float)
        y, doubt = measure(source, quantity, minimum, minimiser)
        trusted = y > np.maximum(10 * doubt, floor)
        name = quantity
    else:
        t, y = _read(source, y)
        trusted, name = y > floor, "y"
        _check_positive(t, y, floor)
    if not trusted.any():
        raise ValueError(
            f"No value of the {name} lies above its floor: the largest is {y.max():g}. "
            f"Lower `rtol` and `atol` of the run, or `floor`."
        )
    # A power of time needs t > 0, and both models need the same points.
    kept = trusted & (t > 0)
    t, log_y, envelope = select(t[kept], np.log(y[kept]), window)
    return _compare(t, log_y, envelope, name)


def measure(
    trajectory: Trajectory, quantity: str, minimum: Any = None, minimiser: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """A quantity along a trajectory, and how much tolerances and rounding may change it.

    Args:
        trajectory: The trajectory.
        quantity: `"objective gap"`, `"gradient norm"` or `"distance"`.
        minimum: Smallest value of the objective; left out, what the objective knows.
        minimiser: Minimiser; left out, what the objective knows.

    Raises:
        ValueError: The minimum or minimiser is unknown or wrong, or there is no such
            quantity.
    """
    target = _target(trajectory, quantity, minimum, minimiser)
    values = _values(quantity, trajectory.system, trajectory.x, target)
    y, slope = (np.asarray(one) for one in values)
    largest = np.abs(rows(trajectory.x)).max(axis=1)
    error = 10 * (float(trajectory.atol) + float(trajectory.rtol) * largest)
    offset = float(target) if quantity == "objective gap" else 0.0
    doubt = slope * error + 10 * float(np.finfo(y.dtype).eps) * abs(offset)
    if (y < -10 * doubt).any():
        at = int(np.argmin(y))
        raise ValueError(
            f"The objective falls below its minimum {offset:g}, by {-y[at]:g} at "
            f"t = {trajectory.t[at]:g}. Pass the smallest value as `minimum`."
        )
    return y.astype(float), doubt.astype(float)


def select(
    t: np.ndarray, log_y: np.ndarray, window: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray, bool]:
    """The points to fit, and whether they are peaks.

    Args:
        t: Times.
        log_y: Logarithm of the quantity at them.
        window: First and last time; left out, the second half of the decay.

    Raises:
        ValueError: The window is empty, or there are too few points or peaks.
    """
    if window is not None:
        first, last = window
        inside = (first <= t) & (t <= last)
        t, log_y = t[inside], log_y[inside]
    swings = _swings(log_y if window is not None else log_y[len(log_y) // 2 :])
    if swings:
        t, log_y = _peaks(t, log_y)
    if window is None and len(t):
        later = np.maximum.accumulate(log_y[::-1])[::-1]
        start = int(np.argmax(later <= 0.5 * (later[0] + later[-1])))
        t, log_y = t[start:], log_y[start:]
    least, what = (FEWEST_PEAKS, "peaks") if swings else (FEWEST_POINTS, "points")
    if len(t) < least:
        raise ValueError(
            f"A fit needs {least} {what} above the floor in the window, but there are "
            f"{len(t)}. Pass a wider `window`, simulate longer or with more `times`, or "
            f"lower `rtol` and `atol`."
        )
    return t, log_y, swings


def fit_line(x: np.ndarray, y: np.ndarray) -> Line:
    """A straight line through points that are ordered in time, and its uncertainty.

    Args:
        x: Where.
        y: What was measured there.
    """
    slope, intercept = _least_squares(x, y)
    residual = float(np.sqrt(np.mean((y - intercept - slope * x) ** 2)))
    parts = np.array_split(np.arange(len(x)), min(BLOCKS, len(x)))
    others = [_least_squares(np.delete(x, part), np.delete(y, part))[0] for part in parts]
    noise = (len(parts) - 1) * np.var(others)
    half = len(x) // 2
    change = _least_squares(x[half:], y[half:])[0] - _least_squares(x[:half], y[:half])[0]
    # A half is eight times as uncertain as the whole, a difference of two sixteen times.
    drift = max(change**2 / 4 - 4 * noise, 0.0)
    return Line(slope, float(np.sqrt(noise + drift)), intercept, residual)


def _compare(t: np.ndarray, log_y: np.ndarray, envelope: bool, quantity: str) -> Decay:
    lines = fit_line(t, log_y), fit_line(np.log(t), log_y)
    exponential, power = (
        Model(-one.slope, one.error, one.intercept, one.residual) for one in lines
    )
    # What rounding leaves of a perfect fit tells nothing.
    least = 1e-12 * (1 + float(np.abs(log_y).max()))
    ratio = (exponential.residual + least) / (power.residual + least)
    model = "power law" if ratio > 2 else "exponential" if ratio < 0.5 else "undecided"
    window = (float(t[0]), float(t[-1]))
    larger = max(ratio, 1 / ratio)
    return Decay(model, exponential, power, larger, window, len(t), envelope, quantity)


def _least_squares(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    centre, mean = x.mean(), y.mean()
    slope = float(((x - centre) * (y - mean)).sum() / ((x - centre) ** 2).sum())
    return slope, float(mean - slope * centre)


def _swings(log_y: np.ndarray) -> bool:
    """Whether rises and falls are at least a tenth of each other."""
    steps = np.diff(log_y)
    rises, falls = steps[steps > 0].sum(), -steps[steps < 0].sum()
    return bool(min(rises, falls) > 0.1 * max(rises, falls))


def _peaks(t: np.ndarray, log_y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The local maxima that no later one exceeds, on parabolas through three points."""
    left, right = np.diff(t)[:-1], np.diff(t)[1:]
    up, down = np.diff(log_y)[:-1] / left, np.diff(log_y)[1:] / right
    at = np.flatnonzero((up > 0) & (down <= 0))
    left, right, up, down = left[at], right[at], up[at], down[at]
    curvature = (down - up) / (left + right)
    slope = (up * right + down * left) / (left + right)
    tops = t[at + 1] - slope / (2 * curvature)
    values = log_y[at + 1] - slope**2 / (4 * curvature)
    later = np.maximum.accumulate(values[::-1])[::-1]
    return tops[values >= later], values[values >= later]


@cached_call
def _values(quantity: str, system: AbstractSystem, x: Position, target: Any) -> Any:
    """A quantity at all times, and the norm of its gradient there."""

    def function(x: Position) -> Float[Array, ""]:
        if quantity == "gradient norm":
            return norm(system.gradient(x))
        if quantity == "distance":
            return norm(combine((1.0, x), (-1.0, target)))
        value = system.objective(x)
        return value - target.astype(value.dtype)

    y, slope = jax.vmap(jax.value_and_grad(function))(x)
    return y, jax.vmap(norm)(slope)


def _target(trajectory: Trajectory, quantity: str, minimum: Any, minimiser: Any) -> Any:
    """What a quantity is measured from: a value, a point or nothing."""
    if quantity == "gradient norm":
        return None
    if quantity == "objective gap":
        return np.asarray(_minimum(trajectory, minimum, minimiser))
    if quantity != "distance":
        raise ValueError(
            f"`quantity` must be 'objective gap', 'gradient norm' or 'distance', but is "
            f"{quantity!r}."
        )
    target = minimum_of(trajectory, minimiser).x
    if target is None:
        raise ValueError(
            "The minimiser of the objective is not known. Pass it as `minimiser`, or use "
            "`quantity='gradient norm'`."
        )
    return target


def _minimum(trajectory: Trajectory, minimum: Any, minimiser: Any) -> float:
    objective = trajectory.system.objective
    if minimum is None and minimiser is not None:
        minimum = minimum_of(trajectory, minimiser).f
    if minimum is None and isinstance(objective, AbstractObjective):
        minimum = objective.minimum
    if minimum is None:
        raise ValueError(
            "The smallest value of the objective is not known. Pass it as `minimum`, or "
            "use `quantity='gradient norm'`."
        )
    return float(minimum)


def _read(t: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    if y is None or isinstance(t, Trajectory):
        raise TypeError(
            "`decay_rate` takes a trajectory, or times and the values `y` at them."
        )
    t, y = np.asarray(t, float), np.asarray(y, float)
    if t.ndim != 1 or t.shape != y.shape:
        raise ValueError(
            f"Times and `y` must be of one length, but have shapes {t.shape} and {y.shape}."
        )
    if not (np.isfinite(t).all() and np.isfinite(y).all()):
        raise ValueError("Times and `y` must be finite, but are not. Cut the rest off.")
    if not (np.diff(t) > 0).all():
        raise ValueError("Times must increase, but do not.")
    return t, y


def _check_positive(t: np.ndarray, y: np.ndarray, floor: float) -> None:
    bad = y <= 0
    if floor == 0 and bad.any():
        at = int(np.argmax(bad))
        raise ValueError(
            f"`y` must be positive, but is {y[at]:g} at t = {t[at]:g}. If what is left of "
            f"it there is rounding, pass a `floor` above it."
        )


def _number(model: Model) -> str:
    return f"{model.rate:.6g} +- {model.error:.2g}"

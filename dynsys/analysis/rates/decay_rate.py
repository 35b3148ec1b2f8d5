r"""How fast a quantity decays: exponentially, or like a power of time."""

from typing import Any, NamedTuple

import numpy as np

from dynsys.analysis.points import require_trajectory
from dynsys.analysis.rates.line_fit import fit_line
from dynsys.analysis.rates.measured_decay import measure, select
from dynsys.checks import as_number
from dynsys.trajectory import Trajectory


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
    neighbouring residuals may be correlated. A rate that still changes is not known better
    than what is left until it settles, which is added: the change of r if $Ce^{-rt}t^k$ is
    fitted, and of q for $C(t + s)^{-q}$ to first order in s, or with an exponent that
    settles like $1/(1 + \ln(t/t_1))$ after the first time $t_1$ of the data, whichever of
    the two fits better, and the larger where nobody can tell.

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
    first = float(t[kept][0]) if kept.any() else 0.0
    t, log_y, envelope = select(t[kept], np.log(y[kept]), window)
    return _compare(t, log_y, envelope, name, first)


def _compare(
    t: np.ndarray, log_y: np.ndarray, envelope: bool, quantity: str, first: float
) -> Decay:
    # A power of time beside an exponential; beside a power a shift of time, or of the
    # exponent like 1 / (1 + ln(t / first)).
    settling = 1 / t, np.log1p(np.log(t / first))
    lines = fit_line(t, log_y, [np.log(t)]), fit_line(np.log(t), log_y, settling)
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

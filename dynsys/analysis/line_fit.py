"""A straight line through points whose residuals may be correlated."""

from typing import NamedTuple

import numpy as np

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


def _least_squares(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    centre, mean = x.mean(), y.mean()
    slope = float(((x - centre) * (y - mean)).sum() / ((x - centre) ** 2).sum())
    return slope, float(mean - slope * centre)

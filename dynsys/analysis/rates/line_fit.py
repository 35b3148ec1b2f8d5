"""A straight line through points whose residuals may be correlated."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BLOCKS = 10

AS_GOOD = 2
"""Ratio of residuals up to which nobody can tell which of two corrections is right."""


class Line(NamedTuple):
    """A straight line through points, by least squares.

    Args:
        slope: Its slope.
        error: Standard error of the slope, with neighbouring residuals correlated, and
            with what is left until a slope that still changes has settled.
        intercept: Its value at 0.
        residual: Root of the mean squared residual.
    """

    slope: float
    error: float
    intercept: float
    residual: float


def fit_line(x: np.ndarray, y: np.ndarray, corrections: Sequence[np.ndarray] = ()) -> Line:
    """A straight line through points that are ordered in time, and its uncertainty.

    Args:
        x: Where.
        y: What was measured there.
        corrections: Ways in which the slope may settle: terms, of the shape of `x`, a
            multiple of one of which may be added to the line. The error has by how much
            the slope changes with the term that fits best, and with those that fit as well.
    """
    slope, intercept = _least_squares(x, y)
    parts = np.array_split(np.arange(len(x)), min(BLOCKS, len(x)))
    others = [_least_squares(np.delete(x, part), np.delete(y, part))[0] for part in parts]
    noise = (len(parts) - 1) * np.var(others)
    left = _drift(x, y, slope, corrections)
    residual = _size(y - intercept - slope * x)
    return Line(slope, float(np.sqrt(noise + left**2)), intercept, residual)


def _least_squares(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    centre, mean = x.mean(), y.mean()
    slope = float(((x - centre) * (y - mean)).sum() / ((x - centre) ** 2).sum())
    return slope, float(mean - slope * centre)


def _drift(
    x: np.ndarray, y: np.ndarray, slope: float, corrections: Sequence[np.ndarray]
) -> float:
    """How far a slope is from that of a line with a correction beside it."""
    found = [_corrected(x, y, term) for term in corrections]
    rounding = 8 * np.finfo(float).eps * float(np.abs(y).max())
    best = min((residual for _, residual in found), default=0.0) + rounding
    likely = [other for other, residual in found if residual <= AS_GOOD * best]
    return max((abs(other - slope) for other in likely), default=0.0)


def _corrected(x: np.ndarray, y: np.ndarray, term: np.ndarray) -> tuple[float, float]:
    """The slope of a line beside a multiple of a term, and what is left of the points."""
    columns = np.stack([np.ones_like(x), x, term], axis=1)
    # All of one size, so that rounding is no part of a column.
    columns[:, 1:] -= columns[:, 1:].mean(axis=0)
    columns[:, 1:] /= np.abs(columns[:, 1:]).max(axis=0)
    weights = np.linalg.lstsq(columns, y, rcond=None)[0]
    slope = weights[1] / np.abs(x - x.mean()).max()
    return float(slope), _size(y - columns @ weights)


def _size(residuals: np.ndarray) -> float:
    return float(np.sqrt(np.mean(residuals**2)))

"""Whether two formulas have the same slope where one takes over from the other, in floats."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dynsys.nonsmooth.differences import Selected

ACCEPTED = 1e-7
"""Relative jump of a slope that is taken for one of an approximation."""

SECOND_ORDER = 50
"""Factor by which a gap of second order is smaller at a tenth of the distance, at least."""

FLAT = 64 * 2.0**-52
"""Relative gap that is one of rounding."""


class Bends(NamedTuple):
    """What is seen of a selection at some points.

    Args:
        meets: Whether the slopes are equal.
        usable: Whether all numbers are finite.
        reached: Whether the selection changes there.
    """

    meets: np.ndarray
    usable: np.ndarray
    reached: np.ndarray


def bends(here: Selected, beside: Sequence[Selected], step: np.ndarray) -> Bends:
    """Compare the slopes of both sides of a selection.

    Args:
        here: What is selected on the kink.
        beside: The same at a tenth of a step from it, at one, at ten and at a hundred.
        step: The lengths of the steps.
    """
    gap, *gaps = (d.upper - d.lower for d in (here, *beside))
    near = beside[1]
    size = np.abs(near.upper) + np.abs(near.lower)
    meets = np.abs(gap) + np.abs(gaps[0]) <= np.abs(gaps[1]) / SECOND_ORDER
    meets |= np.abs(gaps[1]) <= FLAT * size
    # A short step shows rounding, a long one other derivatives.
    for closer, far, length in ((0, 1, step), (2, 3, 100 * step)):
        h, d = length[:, None], beside[far]
        # Without the part that is quadratic in the distance.
        jump = (100 * (gaps[closer] - gap) - (gaps[far] - gap)) / (9 * h)
        change = np.maximum(np.abs(d.upper - here.upper), np.abs(d.lower - here.lower))
        meets |= np.abs(jump) <= ACCEPTED * change / h
    usable = np.isfinite([gap, *gaps[:2]]).all(axis=(0, 2))
    return Bends(meets.all(axis=1), usable, here.reached)

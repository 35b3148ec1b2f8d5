"""How fast known schedules change, exactly and not on a grid."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dynsys.schedules import Constant, Exponential, PowerLaw
from dynsys.systems.din import DIN
from dynsys.systems.inertial_newton import InertialNewton
from dynsys.systems.system import AbstractSystem
from dynsys.systems.vm_din_avd import VMDINAVD


class KnownSchedule(NamedTuple):
    r"""The schedule $c\,(t + s)^{-q}e^{-rt}$, of which the known ones are cases.

    Args:
        value: The factor $c$.
        exponent: The exponent $q$.
        shift: The shift $s$.
        rate: The rate $r$.
    """

    value: float
    exponent: float = 0.0
    shift: float = 1.0
    rate: float = 0.0

    def __call__(self, t: np.ndarray) -> np.ndarray:
        return self.value * (t + self.shift) ** -self.exponent * np.exp(-self.rate * t)

    def relative_rate(self, t: np.ndarray) -> np.ndarray:
        """Its derivative over its value, which is monotone in time."""
        if self.value == 0:
            return np.zeros_like(t)
        with np.errstate(divide="ignore", invalid="ignore"):
            power = np.where(self.exponent == 0, 0.0, self.exponent / (t + self.shift))
        return -power - self.rate


def known_schedule(schedule: Callable[[Any], Any] | None) -> KnownSchedule | None:
    """A schedule as a `KnownSchedule`, or `None` if it is another one.

    Example:
        >>> known_schedule(PowerLaw(3.0, exponent=2.0))
        KnownSchedule(value=3.0, exponent=2.0, shift=1.0, rate=0.0)
    """
    match schedule:
        case Constant():
            return KnownSchedule(float(schedule.value))
        case PowerLaw():
            numbers = schedule.value, schedule.exponent, schedule.shift
            return KnownSchedule(*map(float, numbers))
        case Exponential():
            return KnownSchedule(float(schedule.value), rate=float(schedule.rate))
    return None


def mass_of(system: AbstractSystem) -> KnownSchedule | None:
    """The mass of a system as a `KnownSchedule`, or `None` if it is another function."""
    match system:
        case DIN():
            return KnownSchedule(1.0)
        case VMDINAVD() | InertialNewton():
            return known_schedule(system.epsilon)
    return None


def damping_of(system: AbstractSystem) -> KnownSchedule | None:
    """The damping of a system as a `KnownSchedule`, or `None` if it is another one."""
    match system:
        case DIN() | VMDINAVD() | InertialNewton():
            return known_schedule(system.alpha)
    return None


def stays_bounded(above: KnownSchedule, below: KnownSchedule) -> bool:
    """Whether the ratio of two schedules is bounded for all times to come.

    Example:
        >>> stays_bounded(KnownSchedule(1.0), KnownSchedule(1.0, rate=0.1))
        False
    """
    if above.value == 0 or above.rate > below.rate:
        return True
    return above.rate == below.rate and above.exponent >= below.exponent


def largest_ratio(
    above: KnownSchedule, below: KnownSchedule, start: float, end: float
) -> float:
    """The largest ratio of two schedules on an interval.

    Args:
        above: The numerator.
        below: The denominator, positive.
        start: Start of the interval.
        end: Its end.

    Example:
        >>> largest_ratio(KnownSchedule(1.0), KnownSchedule(2.0, exponent=1.0), 0.0, 3.0)
        2.0

    Source:
        The derivative of its logarithm, times both bases, is a polynomial of degree 2.
    """
    rate, shifts = below.rate - above.rate, (above.shift, below.shift)
    polynomial = [
        rate,
        below.exponent - above.exponent + rate * sum(shifts),
        below.exponent * shifts[0] - above.exponent * shifts[1] + rate * np.prod(shifts),
    ]
    turns = np.real(np.roots(polynomial))
    # Of a complex pair the real part is tried, too, which does no harm.
    places = np.concatenate([[start, end], turns[(start < turns) & (turns < end)]])
    return float(np.max(above(places) / below(places)))

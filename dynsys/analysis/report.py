"""What was measured next to what was proved, and under which assumptions."""

from typing import NamedTuple

import numpy as np


class Assumption(NamedTuple):
    """An assumption of a theorem, as it was found on the data at hand.

    Args:
        statement: What the theorem needs.
        found: What was found, in numbers.
        checked: Whether it was verified; otherwise it was taken on trust, and `found` says
            of whom.
    """

    statement: str
    found: str
    checked: bool = True


class AssumptionError(ValueError):
    """A theorem does not apply. The message says which assumption fails, and where."""


class Bound(NamedTuple):
    """A measured quantity along time, with the bound that a theorem gives for it.

    Args:
        t: Times, of shape `(times,)`.
        measured: What was measured, of shape `(times,)`.
        bound: What was proved, of shape `(times,)`.
        allowance: How far `measured` may be off by the error of the simulation.
        constants: The constants of the theorem, by name.
        assumptions: What it needs, and what was found.
        source: Theorem and paper.
    """

    t: np.ndarray
    measured: np.ndarray
    bound: np.ndarray
    allowance: float
    constants: dict[str, float]
    assumptions: tuple[Assumption, ...]
    source: str

    @property
    def holds(self) -> bool:
        """Whether the bound holds at all times, up to the allowance."""
        return bool(np.all(self.measured <= self.bound + self.allowance))

    @property
    def tightness(self) -> float:
        """The largest ratio of the measured to the proved, where errors do not matter."""
        counts = (self.bound > 100 * self.allowance) & (self.bound > 0)
        return float(np.max(self.measured[counts] / self.bound[counts], initial=0.0))

    def __str__(self) -> str:
        verdict = "holds" if self.holds else f"fails, first at t = {self._first_failure:g}"
        lines = [
            f"{self.source}: {verdict}; measured / proved at most {self.tightness:.3g}"
        ]
        for name, found, checked in self.assumptions:
            lines.append(f"  {'checked' if checked else 'trusted'}: {name}: {found}")
        return "\n".join(lines)

    @property
    def _first_failure(self) -> float:
        return float(self.t[np.argmax(self.measured > self.bound + self.allowance)])

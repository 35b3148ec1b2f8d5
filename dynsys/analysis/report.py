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


CLEAR = 100
"""A bound this many times as large as what errors may change is judged: its ratio to what
was measured is known to a hundredth."""


class Bound(NamedTuple):
    """A measured quantity along time, with the bound that a theorem gives for it.

    Args:
        t: Times, of shape `(times,)`.
        measured: What was measured, of shape `(times,)`.
        bound: What was proved, of shape `(times,)`; infinite where nothing was.
        allowance: How far `measured` may be off by the error of the simulation: a number,
            or one for each time.
        constants: The constants of the theorem, by name.
        assumptions: What it needs, and what was found.
        source: Theorem and paper.
    """

    t: np.ndarray
    measured: np.ndarray
    bound: np.ndarray
    allowance: float | np.ndarray
    constants: dict[str, float]
    assumptions: tuple[Assumption, ...]
    source: str

    @property
    def judged(self) -> np.ndarray:
        """At which times there is a bound to judge: one that errors are small beside."""
        return np.isfinite(self.bound) & (self.bound > CLEAR * np.asarray(self.allowance))

    @property
    def fails(self) -> np.ndarray:
        """At which times the bound is broken by more than the allowance."""
        return ~(self.measured <= self.bound + self.allowance)

    @property
    def holds(self) -> bool:
        """Whether some time was judged, and the bound holds at all of them."""
        return bool(self.judged.any() and not self.fails.any())

    @property
    def tightness(self) -> float:
        """The largest ratio of the measured to the proved; NaN if nothing was judged."""
        judged = self.judged
        if not judged.any():
            return float("nan")
        return float(np.max(self.measured[judged] / self.bound[judged]))

    def __str__(self) -> str:
        lines = [f"{self.source}: {self._verdict}"]
        lines.append(f"  allowed for errors of the run: {np.max(self.allowance):.3g}")
        for name, found, checked in self.assumptions:
            lines.append(f"  {'checked' if checked else 'trusted'}: {name}: {found}")
        return "\n".join(lines)

    @property
    def _verdict(self) -> str:
        ratio = f"measured / proved at most {self.tightness:.3g}"
        if self.fails.any():
            first = self.t[np.argmax(self.fails)]
            return f"fails, first at t = {first:g}; {ratio}"
        if not self.judged.any():
            return (
                f"nothing judged: at no time is there a bound above {CLEAR} times what "
                f"errors may change. Lower `rtol` and `atol` of the run"
            )
        count = np.count_nonzero(self.judged)
        return f"holds, judged at {count} of {len(self.t)} times; {ratio}"

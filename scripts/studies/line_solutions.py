"""All solutions in one coordinate that rounding cannot tell apart."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from scripts.studies.kinked_line import Cells, Line
from scripts.studies.line_flow import Path, gradient_flow, momentum_flow
from scripts.studies.line_motion import Coefficients
from scripts.studies.verdicts import Verdict

AMPLIFIED = 50
"""What a run may be off by, in tolerances of a step."""


class Start(NamedTuple):
    """Position and velocity in one coordinate."""

    y: float
    v: float


class Motion(NamedTuple):
    """What moves in one coordinate.

    Args:
        line: Its function.
        start: Where it starts.
        coefficients: Those of the equation; `None` for gradient flow.
        times: Output times.
        grain: What rounding does to the coordinate.
        tolerance: What a step of the run may be off by.
    """

    line: Line
    start: Start
    coefficients: Coefficients | None
    times: np.ndarray
    grain: float
    tolerance: float

    def solve(self, cells: Cells, start: Start, within: float = 0.0, side: int = 1) -> Path:
        """One solution: of these cells, from this start."""
        options = {"side": side, "within": within}
        if self.coefficients is None:
            return gradient_flow(cells, start.y, self.times, **options)
        return momentum_flow(cells, self.coefficients, start, self.times, **options)

    def branches(self) -> list[Path]:
        """The solutions of the problem as it is written."""
        cells, within = self.line.cells(), 4 * self.grain
        first = self.solve(cells, self.start, within)
        if not first.branched:
            return [first]
        return [first, self.solve(cells, self.start, within, side=-1)]

    def rounded(self) -> Iterator[Path]:
        """Solutions of problems that differ by rounding only."""
        within = 4 * self.grain
        lines = [self.line.merged(within), self.line.reflected(within), self.line]
        for line in lines:
            cells = line.cells()
            for move in (0.0, -within, within):
                start = self.start._replace(y=self.start.y + move)
                for side in (1, -1):
                    yield self.solve(cells, start, 0.0, side)
            yield self.solve(cells, self.start, 2 * within)

    def as_one(self) -> Iterator[Path]:
        """Solutions with kinks merged that are closer than the tolerance."""
        for gap in (10 * self.tolerance, 0.1 * self.tolerance):
            cells = self.line.merged(gap).cells()
            for within in (4 * self.grain, 2 * gap):
                for side in (1, -1):
                    yield self.solve(cells, self.start, within, side)

    def sensitivity(self, path: Path) -> np.ndarray:
        """How far solutions from starts a few tolerances away are from a path."""
        step = 10 * self.tolerance
        moves = [(step, 0.0), (-step, 0.0), (0.0, step), (0.0, -step)]
        cells, (y, v) = self.line.cells(), self.start
        others = [self.solve(cells, Start(y + dy, v + dv)).y for dy, dv in moves]
        return np.max(np.abs(np.array(others) - path.y), axis=0)


class Match(NamedTuple):
    """What a coordinate of a run is, how far off, and whether the oracle branched."""

    verdict: Verdict
    error: float
    branched: bool


def match(motion: Motion, y: np.ndarray) -> Match:
    """Which of the solutions of a coordinate a run is.

    Args:
        motion: What moves.
        y: Positions of the run.
    """
    branches = motion.branches()
    branched = branches[0].branched
    errors = np.array([np.abs(y - path.y) for path in branches])
    error = float(errors.max(axis=1).min())
    size = 1 + float(np.abs(branches[0].y).max())
    accepted = (1e-6 + AMPLIFIED * motion.tolerance) * size
    close = lambda path: np.abs(y - path.y).max() <= accepted
    if error <= accepted or any(map(close, motion.rounded())):
        return Match(Verdict.RIGHT, error, branched)
    if any(map(close, motion.as_one())):
        return Match(Verdict.AS_ONE, error, branched)
    for path, off in zip(branches, errors, strict=True):
        if (off <= accepted + 3 * motion.sensitivity(path)).all():
            return Match(Verdict.SENSITIVE, error, branched)
    return Match(Verdict.WRONG, error, branched)

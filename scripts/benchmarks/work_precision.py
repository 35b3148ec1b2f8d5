"""Time against error, over a ladder of tolerances."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dynsys as ds
from scripts.benchmarks.contestants import Maker
from scripts.benchmarks.timing import Contestant, Timing, race

LADDER = tuple(10.0 ** (-k / 4) for k in range(12, 37))
"""Relative tolerances, from 1e-3 to 1e-9; the absolute ones are a thousandth of them."""

LOOKS = {
    "dynsys": ("#000000", "o", "-"),
    "diffrax Kvaerno5": ("#D55E00", "s", "--"),
    "diffrax Tsit5": ("#E69F00", "X", "--"),
    "SciPy LSODA, NumPy": ("#0072B2", "^", ":"),
    "SciPy odeint, numba": ("#56B4E9", "v", ":"),
    "CVODE, numba": ("#009E73", "D", "-."),
    "heyoka": ("#CC79A7", "P", "-"),
}
"""Colour, marker and line style of each contestant."""


class Ladder(NamedTuple):
    """What was measured of all contestants of a problem.

    Args:
        name: Name of the problem.
        makers: The contestants.
        reference: The positions that errors are measured against.
        timings: One list a tolerance, in the order of the contestants.
    """

    name: str
    makers: Sequence[Maker]
    reference: np.ndarray
    timings: list[list[Timing]]

    def equals(self, error: float) -> list[Contestant | None]:
        """Each contestant at its loosest tolerance with at most this error, if any."""
        chosen = []
        for i, make in enumerate(self.makers):
            steps = zip(LADDER, self.timings, strict=True)
            fine = [rtol for rtol, row in steps if row[i].error <= error]
            rtol = max(fine, default=None)
            chosen.append(None if rtol is None else make(rtol, 1e-3 * rtol))
        return chosen


def climb(name: str, makers: Sequence[Maker], reference: np.ndarray, rounds: int) -> Ladder:
    """Race all contestants at every tolerance of the ladder."""
    timings = [
        race([make(rtol, 1e-3 * rtol) for make in makers], reference, rounds)
        for rtol in LADDER
    ]
    return Ladder(name, makers, reference, timings)


def draw(ladders: Sequence[Ladder], output: pathlib.Path) -> None:
    """One panel a problem, saved as PDF and PNG."""
    with ds.plots.context():
        figure = Figure(figsize=(3.4 * len(ladders), 3.2), layout="constrained")
        panels = figure.subplots(1, len(ladders), squeeze=False, sharex=True)[0]
        entries = {}
        for axes, ladder in zip(panels, ladders, strict=True):
            _draw_panel(axes, ladder)
            lines, names = axes.get_legend_handles_labels()
            entries |= dict(zip(names, lines, strict=True))
        figure.legend(entries.values(), entries, loc="outside lower center", ncols=4)
        ds.plots.save(figure, output)


def _draw_panel(axes: Axes, ladder: Ladder) -> None:
    for column in zip(*ladder.timings, strict=True):
        color, marker, line = LOOKS[column[0].name]
        axes.loglog(
            [timing.error for timing in column],
            [1e3 * timing.seconds for timing in column],
            color=color,
            marker=marker,
            linestyle=line,
            markersize=3.5,
            markevery=4,
            label=column[0].name,
            zorder=3 if column[0].name == "dynsys" else 2,
        )
    axes.set_title(ladder.name)
    axes.set_xlabel("largest error of the positions")
    axes.set_ylabel("time of a warm call in ms")

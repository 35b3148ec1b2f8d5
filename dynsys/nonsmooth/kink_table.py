"""Kinks as a table to be read."""

from typing import TYPE_CHECKING

import numpy as np

from dynsys.checks import is_concrete
from dynsys.nonsmooth.flat_program.source_lines import entry_of

if TYPE_CHECKING:
    from dynsys.nonsmooth.kinks import Kinks

HEADER = ("kink", "operation", "entry", "value", "side", "")


def table_of(kinks: "Kinks") -> str:
    """One line for each kink: its place, its switching value and its side.

    Args:
        kinks: The kinks of a loss.
    """
    rows = [_row(kinks, i) for i in range(len(kinks.places))]
    if not rows:
        return "no kinks"
    widths = [max(map(len, column)) for column in zip(HEADER, *rows, strict=True)]
    align = lambda row: "  ".join(
        cell.ljust(width) for cell, width in zip(row, widths, strict=True)
    )
    return "\n".join(align(row).rstrip() for row in (HEADER, *rows))


def _row(kinks: "Kinks", i: int) -> tuple[str, ...]:
    pieces = kinks.pieces
    switch = pieces.program.switch_of(pieces.first[i])
    entry = entry_of(switch.shape, pieces.first[i] - switch.start)
    value = side = "traced"
    if is_concrete((kinks.values, kinks.signature)):
        number = float(np.asarray(kinks.values)[i])
        value, side = f"{number:.6g}", "on" if number == 0 else "-" if number < 0 else "+"
    return str(i), switch.where, entry, value, side, "joint" if kinks.joints[i] else ""

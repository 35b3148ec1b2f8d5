"""The page with the results."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from typing import Any

from scripts.benchmarks.latency import Overhead
from scripts.benchmarks.timing import Timing

PACKAGES = ("jax", "diffrax", "scipy", "scikit-sundae", "heyoka", "numba", "numpy", "optax")

HEAD = """# Benchmarks

Measured by `make benchmarks`, which writes this page and its figure anew. All contestants
solve the same problem in 64 bits and are timed in turn, one warm call each a round, so
that noise hits all of them. A ratio is the median over the rounds of the time of a
contestant over that of `dynsys.simulate` in the same round: above 1 it is slower. An error
is the largest of the positions at the output times, against a reference of another method
at a tolerance of 1e-10 or less. The fields for SciPy, SUNDIALS and heyoka are written by
hand, with a Jacobian for `odeint` and CVODE; `dynsys` and diffrax are given the loss.
heyoka has explicit methods only, so it is not in the stiff race.

Machine: {cores} cores, {machine}, Python {python}; {packages}.
"""


def head() -> str:
    """How it was measured, and with what."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return HEAD.format(
        cores=os.cpu_count(),
        machine=platform.machine(),
        python=platform.python_version(),
        packages=", ".join(versions),
    )


def section(title: str, text: str, *parts: str) -> str:
    """A section: a heading, a sentence or two, and tables."""
    return "\n\n".join([f"## {title}", text, *parts]) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def race_table(same: Sequence[Timing], equal: Sequence[Timing]) -> str:
    """Ratios at the same tolerance and at no larger error than that of the first."""
    others = {timing.name: timing for timing in equal}
    rows = []
    for one in same:
        row = [one.name, f"{1e3 * one.seconds:.2f}", f"{one.ratio:.2f}", f"{one.error:.1e}"]
        other = others.get(one.name)
        reached = other and [f"{other.ratio:.2f}", f"{other.error:.1e}"]
        rows.append([*row, *(reached or ["not reached", ""])])
    columns = [
        "contestant",
        "time in ms",
        "ratio",
        "error",
        "ratio at no larger error",
        "its error",
    ]
    return "\n\n".join(filter(None, [table(columns, rows), _faster([*same, *equal])]))


def ensemble_table(timings: Sequence[Timing], members: int) -> str:
    """Microseconds a trajectory, ratios and errors at the same tolerance."""
    rows = [
        [
            one.name,
            f"{1e6 * one.seconds / members:.2f}",
            f"{one.ratio:.2f}",
            f"{one.error:.1e}",
        ]
        for one in timings
    ]
    whole = table(["contestant", "µs a trajectory", "ratio", "error"], rows)
    return "\n\n".join(filter(None, [whole, _faster(timings)]))


def _faster(timings: Sequence[Timing]) -> str:
    names = dict.fromkeys(one.name for one in timings if one.ratio < 1)
    return f"Faster than `dynsys` here: {', '.join(names)}." if names else ""


def with_losses(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], ratios: Sequence[int]
) -> str:
    """A table, and in which of its rows others are faster.

    Args:
        columns: Names of the columns.
        rows: The rows, named by their first entries.
        ratios: The columns with ratios to others, which are named by the column.
    """
    found = []
    for column in ratios:
        names = [str(row[0]) for row in rows if float(row[column]) < 1]
        if names:
            found.append(f"{columns[column]} ({', '.join(names)})")
    told = f"Faster than `dynsys` here: {'; '.join(found)}." if found else ""
    return "\n\n".join(filter(None, [table(columns, rows), told]))


def plain_table(timings: Sequence[Timing]) -> str:
    """Seconds, ratios and errors at the same tolerance."""
    rows = [
        [one.name, f"{one.seconds:.2f}", f"{one.ratio:.2f}", f"{one.error:.1e}"]
        for one in timings
    ]
    return table(["contestant", "time in s", "ratio", "error"], rows)


def latency_tables(cost: Overhead, first: float, cached: float) -> str:
    """What a call costs besides the solution."""
    rows = [
        ["warm call of `simulate`", f"{1e3 * cost.call:.2f} ms"],
        ["the same under `jax.jit`", f"{1e3 * cost.program:.2f} ms"],
        ["difference: checks and dispatch in Python", f"{1e3 * cost.difference:.2f} ms"],
        ["first call in a fresh process, after the imports", f"{first:.2f} s"],
        ["the same with JAX's persistent compilation cache", f"{cached:.2f} s"],
    ]
    return table(["what", "time"], rows)

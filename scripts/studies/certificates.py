r"""Certificates of random runs, as they are and with one planted fault each.

`python -m scripts.studies.certificates [--cases 500] [--seed 0] [--only 17 40] [--jobs 2]`

A fault of more than 100 tolerances must be flagged, and no run without one.
"""

import functools
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from dynsys.analysis import certify
from scripts.studies.certified_runs import KINDS, draw
from scripts.studies.planted_faults import FAULTS
from scripts.studies.verdicts import in_processes, parser, set_up

VISIBLE = 100.0
"""Tolerances from which on a fault must be seen."""


class Finding(NamedTuple):
    """What was said of a run, as it is and with a fault.

    Args:
        case: Its number.
        row: What kind of run it is.
        fault: What kind of fault, empty where there was no run.
        size: Its size in tolerances.
        seen: Whether it was flagged.
        blamed: Whether the run was flagged as it is.
        step: The largest error of a step of the run as it is, in tolerances.
        note: What was said.
    """

    case: int
    row: str
    fault: str = ""
    size: float = 0.0
    seen: bool = False
    blamed: bool = False
    step: float = 0.0
    note: str = ""

    @property
    def is_missed(self) -> bool:
        """Whether a fault that must be seen was not."""
        return self.size > VISIBLE and not self.seen


def examine(seed: int, number: int) -> Finding:
    """Certify a run and its copy with a fault."""
    kind = KINDS[number % len(KINDS)]
    try:
        run = draw(kind, seed, number)
        honest = certify(run.trajectory)
    except (RuntimeError, ValueError) as error:
        return Finding(number, kind.row, note=f"{kind.name}: {error}")
    rng = np.random.default_rng([seed, 7, number])
    fault = list(FAULTS)[number // len(KINDS) % len(FAULTS)]
    spoilt = FAULTS[fault](rng, run)
    found = certify(spoilt.trajectory)
    note = f"{kind.name}: {honest}" if not honest.solves else f"{kind.name}: {found}"
    fixed = (fault, spoilt.size, not found.solves, not honest.solves)
    return Finding(number, kind.row, *fixed, honest.step, note)


def table(findings: Iterable[Finding]) -> str:
    """What became of each kind of fault, and of each kind of run."""
    findings = list(findings)
    ran = [one for one in findings if one.fault]
    lines = [
        f"{'fault':15}{'number':>8}{'> 100':>8}{'flagged':>9}{'missed':>8}   median size"
    ]
    for fault in [*FAULTS, "all"]:
        mine = [one for one in ran if fault in (one.fault, "all")]
        large = [one for one in mine if one.size > VISIBLE]
        missed = sum(one.is_missed for one in mine)
        median = np.median([one.size for one in mine]) if mine else 0.0
        counts = f"{len(mine):8}{len(large):8}{len(large) - missed:9}{missed:8}"
        lines.append(f"{fault:15}{counts}   {median:11.1e}")
    lines.append(
        f"\n{'run':15}{'number':>8}{'flagged':>9}{'no run':>8}   largest step error"
    )
    for row in [*dict.fromkeys(kind.row for kind in KINDS), "all"]:
        mine = [one for one in findings if row in (one.row, "all")]
        blamed = sum(one.blamed for one in mine)
        none = sum(not one.fault for one in mine)
        step = max((one.step for one in mine), default=0.0)
        lines.append(f"{row:15}{len(mine) - none:8}{blamed:9}{none:8}   {step:18.2f}")
    return "\n".join(lines)


def run_group(seed: int, numbers: Sequence[int]) -> list[Finding]:
    """Cases that share their compiled programs."""
    findings = [examine(seed, number) for number in numbers]
    jax.clear_caches()
    return findings


def groups_of(numbers: Iterable[int]) -> list[list[int]]:
    """Numbers of cases by their kind."""
    return [
        group
        for kind in range(len(KINDS))
        if (group := [number for number in numbers if number % len(KINDS) == kind])
    ]


def main() -> int:
    """Run the study as the command line asks."""
    asked = parser(__doc__, 500).parse_args()
    set_up()
    numbers = range(asked.cases) if asked.only is None else asked.only
    findings = []
    study = functools.partial(run_group, asked.seed)
    for more in in_processes(study, groups_of(numbers), asked.jobs):
        findings += more
        for one in more:
            if one.blamed or one.is_missed or not one.fault or asked.only:
                print(f"{one.case} {one.row}, {one.fault} of {one.size:.3g}: {one.note}")
        print(f"{len(findings)} cases of {len(numbers)}", flush=True)
    print(table(findings))
    return int(any(one.blamed or one.is_missed for one in findings))


if __name__ == "__main__":
    sys.exit(main())

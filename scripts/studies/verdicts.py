"""What became of each case of a study, counted and listed."""

import argparse
import enum
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple, TypeVar

import jax

Found = TypeVar("Found")


class Verdict(enum.StrEnum):
    """What became of a case.

    `AS_ONE`: right with kinks merged that are closer than the tolerance of the run.
    `SENSITIVE`: within what a change of the start by a few tolerances does.
    `BRANCHED`: one of several solutions, and `unique` is false.
    `DOUBTED`: right, but `unique` is false where the oracle has one solution.
    `FLAGGED`: none of the oracle's solutions, but `unique` is false.
    `REFUSED`: an error or a failed status, with a sentence.
    `UNFLAGGED`: one of several solutions, but `unique` is true.
    `WRONG`: silently wrong.
    """

    RIGHT = "right"
    AS_ONE = "as one"
    SENSITIVE = "sensitive"
    BRANCHED = "branched"
    DOUBTED = "doubted"
    FLAGGED = "flagged"
    REFUSED = "refused"
    UNFLAGGED = "unflagged"
    WRONG = "wrong"


SILENT = (Verdict.UNFLAGGED, Verdict.WRONG)
"""What no case may end with."""


class Outcome(NamedTuple):
    """One case: its number, its row in the table, what became of it, and why."""

    case: int
    row: str
    verdict: Verdict
    error: float = 0.0
    note: str = ""

    def __str__(self) -> str:
        what = f"{self.case:5d} {self.verdict:9} error {self.error:.1e}"
        return f"{what}  {self.row}: {self.note}"


def table(outcomes: Iterable[Outcome]) -> str:
    """How many of each verdict, a line for each row and one for all."""
    outcomes = list(outcomes)
    names = sorted({outcome.row for outcome in outcomes})
    width = max(map(len, [*names, "all"]), default=3)
    lines = [" " * width + "".join(f"{verdict:>11}" for verdict in Verdict)]
    for name in [*names, "all"]:
        mine = [one.verdict for one in outcomes if name in (one.row, "all")]
        count = Counter(mine)
        lines.append(f"{name:{width}}" + "".join(f"{count[one]:11d}" for one in Verdict))
    return "\n".join(lines)


def report(outcomes: Iterable[Outcome]) -> int:
    """Print the table and what is not right; the exit status."""
    outcomes = sorted(outcomes)
    listed = (*SILENT, Verdict.REFUSED, Verdict.FLAGGED)
    for outcome in outcomes:
        if outcome.verdict in listed:
            print(outcome)
    print(table(outcomes))
    wrong = sum(outcome.verdict in SILENT for outcome in outcomes)
    refused = sum(outcome.verdict == Verdict.REFUSED for outcome in outcomes)
    print(f"{len(outcomes)} cases: {wrong} silently wrong, {refused} refused")
    return int(wrong > 0)


def parser(description: str | None, cases: int) -> argparse.ArgumentParser:
    """The command line that every study has."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--cases", type=int, default=cases, help="number of cases")
    found.add_argument("--seed", type=int, default=0, help="seed of all cases")
    found.add_argument("--only", type=int, nargs="+", help="numbers of the cases to run")
    found.add_argument("--jobs", type=int, default=1, help="processes")
    return found


def work_off(
    study: Callable[[Sequence[int]], list[Outcome]],
    groups: Sequence[Sequence[int]],
    jobs: int,
) -> list[Outcome]:
    """Run a study on groups of cases, each of which shares its compiled programs.

    Args:
        study: From numbers of cases to what became of them.
        groups: The numbers.
        jobs: Number of processes.
    """
    groups = sorted(groups, key=len, reverse=True)
    outcomes, total = [], sum(map(len, groups))
    for more in in_processes(study, groups, jobs):
        outcomes += more
        bad = sum(outcome.verdict in SILENT for outcome in outcomes)
        print(f"{len(outcomes)} of {total} cases, {bad} silently wrong", flush=True)
    return outcomes


def in_processes(
    study: Callable[[Sequence[int]], list[Found]],
    groups: Sequence[Sequence[int]],
    jobs: int,
) -> Iterator[list[Found]]:
    """What a study finds in each group, in order.

    Args:
        study: From numbers of cases to what was found.
        groups: The numbers.
        jobs: Number of processes.
    """
    if jobs == 1:
        yield from map(study, groups)
    else:
        with ProcessPoolExecutor(jobs, get_context("spawn"), set_up) as pool:
            yield from pool.map(study, groups)


def set_up() -> None:
    """Double precision, on the CPU, nothing promoted silently, and fast compilation."""
    # Programs run for milliseconds; what they cost is their compilation.
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
        "--xla_cpu_parallel_codegen_split_count=1 --xla_cpu_use_fusion_emitters=false",
    )
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_numpy_dtype_promotion", "strict")

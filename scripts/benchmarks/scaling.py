"""How an ensemble scales with its members and with cores, and the memory that it takes.

Each measurement is a fresh process, `python -m scripts.benchmarks.scaling JOB` with a JSON
of the arguments of `times_of` or `peak_of`, which prints its result as a line of JSON.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

import dynsys as ds
from scripts.benchmarks import page
from scripts.benchmarks import rosenbrock_line as line
from scripts.benchmarks.small_problems import rosenbrock_gdin

MEMBERS = (64, 512, 4096, 32_768, 262_144)
LARGE = (10_000, 100_000, 1_000_000)
TOLERANCE = 1e-6
PAIRS = 3
CALLS = 2**17
"""Trajectories that are timed for one median, if one call is not more."""
ONE_PROGRAM = 32_768
"""Members from which on all ensembles run the same program, and are warm with that."""
MEBIBYTE = 2**20


def main() -> None:
    """Measure one job, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", type=json.loads)
    job = parser.parse_args().job
    measure = times_of if isinstance(job["members"], list) else peak_of
    print(json.dumps(measure(**job)))


def times_of(members: Sequence[int]) -> list[float]:
    """Seconds of a warm call of an ensemble, for each number of members."""
    system = rosenbrock_gdin().system
    case = lambda x0: (system, x0)
    found = []
    for count in members:
        x0 = line.starts(count)
        _first_coordinates(case, line.starts(min(count, ONE_PROGRAM)))
        calls = int(np.clip(CALLS // count, 1, 21))
        found.append(statistics.median(_seconds(case, x0) for _ in range(calls)))
    return found


def peak_of(members: int, stream: bool) -> int:
    """Bytes of memory that the process had resident at most."""
    system = rosenbrock_gdin().system
    result = _first_coordinates(
        lambda x0: (system, x0), line.starts(members), stream=stream
    )
    done = sum(len(chunk.members) for chunk in result) if stream else len(result)
    if done != members:
        raise RuntimeError(f"{done} of {members} members came out.")
    # The peak of `getrusage` is inherited from the process that started this one.
    status = pathlib.Path("/proc/self/status").read_text()
    peak = next(row for row in status.splitlines() if row.startswith("VmHWM"))
    return 1024 * int(peak.split()[1])


def section(members: Sequence[int] = MEMBERS, pairs: int = PAIRS) -> str:
    """Time a trajectory by members, on one core and on all."""
    available = os.sched_getaffinity(0)
    job = {"members": list(members)}
    runs = [
        (_measure(job, {min(available)}), _measure(job, available)) for _ in range(pairs)
    ]
    one, every = (np.array(times) for times in zip(*runs, strict=True))
    speed_up = np.median(one / every, axis=0)
    per_member = [1e6 * np.median(times, axis=0) / members for times in (one, every)]
    rows = [
        [f"{count:,}", f"{a:.2f}", f"{b:.2f}", f"{ratio:.2f}"]
        for count, a, b, ratio in zip(members, *per_member, speed_up, strict=True)
    ]
    return page.section(
        "Ensemble, more members and more cores",
        f"The smooth Rosenbrock function from above, rtol = atol = {TOLERANCE:g}, one "
        f"number of the last state only: µs a trajectory in a process on one core and in "
        f"one on all {len(available)}, medians of {pairs} such pairs.",
        page.table(["members", "one core", "all cores", "speed-up"], rows),
    )


def memory(members: Sequence[int] = LARGE) -> str:
    """Peak memory by members."""
    available = os.sched_getaffinity(0)
    jobs = [{"members": count, "stream": False} for count in members]
    jobs.append({"members": members[-1], "stream": True})
    rows = []
    for job in jobs:
        count = job["members"]
        name = f"{count:,}" + (", `stream=True`" if job["stream"] else "")
        points = line.starts(count).nbytes / MEBIBYTE
        peak = _measure(job, available) / MEBIBYTE
        rows.append([name, f"{points:.1f}", f"{peak:.0f}"])
    return page.section(
        "Ensemble, memory",
        "The same ensemble, one process a row: the most memory that it had resident, with "
        "Python, JAX and the compiler, from the start to the end.",
        page.table(["members", "starts in MiB", "peak in MiB"], rows),
    )


def _first_coordinates(case: Any, x0: np.ndarray, **options: Any) -> Any:
    """One number of each member, so that memory holds no trajectories."""
    return ds.simulate_ensemble(
        case,
        x0=x0,
        t1=line.END,
        rtol=TOLERANCE,
        atol=TOLERANCE,
        reduce=_first_coordinate,
        **options,
    )


def _first_coordinate(trajectory: ds.Trajectory) -> Any:
    return trajectory.final_state.theta[0]


def _seconds(case: Any, x0: np.ndarray) -> float:
    start = time.perf_counter()
    jax.block_until_ready(_first_coordinates(case, x0))
    return time.perf_counter() - start


def _measure(job: dict[str, Any], cores: set[int]) -> Any:
    """The result of a job in a fresh process on some cores."""
    with _on_cores(cores):
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, json.dumps(job)],
            env=os.environ | {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
    return json.loads(done.stdout)


@contextlib.contextmanager
def _on_cores(cores: set[int]) -> Iterator[None]:
    """Processes that are started inside run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


if __name__ == "__main__":
    main()

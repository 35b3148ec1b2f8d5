"""The ensembles on a GPU: `python -m scripts.benchmarks.gpu` prints the section.

It is a process of its own, because JAX is told to use processors only in the one of the
other races: where it knows of a GPU, it compiles for it first of all.
"""

import subprocess
import sys

import jax
import numpy as np

from scripts.benchmarks import page
from scripts.benchmarks import rosenbrock_line as line
from scripts.benchmarks.ensemble_contestants import against, ensemble, naive, one_at_a_time
from scripts.benchmarks.ensembles import (
    FEWER,
    INCLUSION,
    MEMBERS,
    ROUNDS,
    TOLERANCES,
    inclusion_case,
    inclusion_starts,
    smooth_ensemble,
)
from scripts.benchmarks.small_problems import rosenbrock_gdin
from scripts.benchmarks.timing import Timing, race

TITLE = "Ensembles on a GPU"


def main() -> None:
    """Print the section, in 64 bits."""
    jax.config.update("jax_enable_x64", True)
    try:
        gpu = jax.devices("gpu")[0]
    except RuntimeError:
        print(page.section(TITLE, "No GPU was present, so nothing was measured."))
        return
    print(on_device(gpu))


def section() -> str:
    """The section, from a fresh process."""
    command = [sys.executable, "-m", __spec__.name]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def on_device(device: jax.Device, members: int = MEMBERS, rounds: int = ROUNDS) -> str:
    """The ensembles of the page on one device."""
    begin = line.states(line.starts(members))
    true = line.reference(begin)
    parts = []
    for tolerance in TOLERANCES:
        racing = [
            smooth_ensemble(members, tolerance, [device]),
            naive(rosenbrock_gdin(), begin, line.END, tolerance, device),
        ]
        timings = race(racing, true, rounds)
        words = f"Smooth Rosenbrock function, rtol = atol = {tolerance:g}:"
        parts += [words, page.ensemble_table(timings, members)]
    text = (
        f"The ensembles of {members:,} members from above on one {device.device_kind}, "
        f"{rounds} rounds; no processor is in the race. Of the inclusions the last column "
        f"has the difference of {FEWER} members from `simulate` on a processor."
    )
    words = "Inclusions:"
    timings = [_inclusions(device, members, rounds)]
    return page.section(TITLE, text, *parts, words, page.ensemble_table(timings, members))


def _inclusions(device: jax.Device, members: int, rounds: int) -> Timing:
    x0, case, every = inclusion_starts(members), inclusion_case(), members // FEWER
    with jax.default_device(jax.devices("cpu")[0]):
        true = one_at_a_time(case, x0[::every], **INCLUSION).solve()
    together = against(ensemble(case, x0, [device], **INCLUSION), true, every=every)
    return race([together], np.zeros(()), rounds)[0]


if __name__ == "__main__":
    main()

"""Ctrl-C ends a first call and a long run at once, and the process with it."""

import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from tests import interrupted
from tests.interrupted import RUNS


@pytest.fixture(scope="module")
def processes():
    """A process for each run, all at the same time."""
    start = lambda name: subprocess.Popen(
        [sys.executable, "-m", "tests.interrupted", name],
        stderr=subprocess.PIPE,
        text=True,
    )
    return {name: start(name) for name in RUNS}


@pytest.mark.parametrize("name", RUNS)
def test_an_interrupt_ends_the_run_and_the_process(processes, name):
    process = processes[name]
    try:
        _, said = process.communicate(timeout=300)
    finally:
        process.kill()
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode == -signal.SIGINT
    shows = "progress" in name or name == "long_ensemble"
    assert ("dynsys: compiling" in said) == shows


def test_an_ensemble_is_compiled_where_jax_is_told_to_compile_nothing():
    options = {"t1": 1.0, "max_steps": 100, "times": 2}
    compiled = interrupted.ensemble(**options)
    with jax.disable_jit():
        np.testing.assert_array_equal(interrupted.ensemble(**options), compiled)

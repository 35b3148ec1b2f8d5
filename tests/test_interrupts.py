"""Ctrl-C ends a first call and a long run at once, and the process with it."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future

import jax
import numpy as np
import pytest

from dynsys import interrupts
from tests import interrupted
from tests.interrupted import RUNS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where each process has a file open."""
    return tmp_path_factory.mktemp("interrupted")


@pytest.fixture(scope="module")
def processes(folder):
    """A process for each run, all at the same time."""
    start = lambda name: subprocess.Popen(
        [sys.executable, "-m", "tests.interrupted", name, str(folder / name)],
        stderr=subprocess.PIPE,
        text=True,
    )
    return {name: start(name) for name in RUNS}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_an_interrupt_ends_the_run_and_the_process(processes, folder, name):
    process = processes[name]
    try:
        _, said = process.communicate(timeout=300)
    finally:
        process.kill()
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode == -signal.SIGINT
    assert (folder / name).read_text() == "kept"
    shows = "progress" in name or name == "long_ensemble"
    assert ("dynsys: compiling" in said) == shows


@pytest.mark.slow
def test_an_ensemble_is_compiled_where_jax_is_told_to_compile_nothing():
    options = {"t1": 1.0, "max_steps": 100, "times": 2}
    compiled = interrupted.ensemble(**options)
    with jax.disable_jit():
        np.testing.assert_array_equal(interrupted.ensemble(**options), compiled)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_child_of_a_process_waits_for_no_thread_of_that():
    release = threading.Event()
    future = interrupts.in_background(release.wait)
    while future not in interrupts.going:
        time.sleep(0.001)
    interrupts.leave([future])
    child = os.fork()
    if child == 0:
        os._exit(len(interrupts.idle) + len(interrupts.going) + len(interrupts.left))
    _, status = os.waitpid(child, 0)
    assert interrupts.goes_on()
    release.set()
    future.result()
    assert os.waitstatus_to_exitcode(status) == 0


def test_the_wait_for_what_was_left_may_be_interrupted_too(monkeypatch):
    future = Future()
    interrupts.leave([future])

    def interrupted(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(interrupts.time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            interrupts.wait_for_those_left()
    assert interrupts.goes_on()
    future.set_result(None)
    assert not interrupts.goes_on()
    assert not interrupts.left

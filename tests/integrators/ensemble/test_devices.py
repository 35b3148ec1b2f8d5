"""Devices and processes share the work, and change no bit of the results."""

import importlib
import json
import os
import re
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.integrators.ensemble.member import Choices, Numbers
from dynsys.integrators.ensemble.program import Layout, compute_block
from dynsys.integrators.ensemble.schedule import in_any_order, slots_of
from tests.integrators.ensemble.points import (
    DAMPINGS,
    STARTS,
    WIDTH,
    damped,
    ends,
    in_valley,
)

MODULE = "tests.integrators.ensemble.worker"
COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "all-to-all",
    "collective-permute",
    "reduce-scatter",
)


def start(*arguments, devices=1):
    flags = os.environ.get("XLA_FLAGS", "")
    flags += f" --xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, *map(str, arguments)],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        text=True,
    )


def told(process):
    """What a worker printed, by its first word."""
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return dict(re.findall(r"^(devices|members|bits): (.*)$", text, re.MULTILINE))


@pytest.fixture(scope="module")
def alone():
    return told(start())


def test_four_devices_give_the_bits_of_one(alone):
    four = told(start(devices=4))
    assert (alone["devices"], four["devices"]) == ("1", "4")
    assert four["members"] == alone["members"] == str(list(range(40)))
    assert four["bits"] == alone["bits"]


def test_two_processes_share_the_members_and_give_the_bits_of_one(alone):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pair = [start(port, process, 2) for process in range(2)]
    first, second = map(told, pair)
    assert first["bits"] == second["bits"] == alone["bits"]
    shares = [set(json.loads(one["members"])) for one in (first, second)]
    assert shares[0] | shares[1] == set(range(40))
    assert not shares[0] & shares[1]
    assert all(shares)


def test_programs_hold_no_collective_and_no_call_of_the_host():
    number = lambda value: np.asarray(value)
    numbers = Numbers(None, number(6.0), None, number(1e-6), number(1e-6), None)
    options = {"max_steps": 1000, "max_events": 0, "inclusion": "clarke"}
    choices = Choices(2, ends, None, ("x0", "alpha"), tuple(options.items()))
    fixed = (choices, Layout(WIDTH, 2 * WIDTH, True))
    run = lambda points, one: compute_block(damped, numbers, points, one, fixed).varying
    points = [jnp.zeros((2 * WIDTH, 2)), jnp.ones(2 * WIDTH)]
    text = jax.jit(run).lower(points, jnp.asarray(1.0)).compile().as_text()
    assert "while" in text
    assert not any(word in text for word in (*COLLECTIVES, "callback"))


def test_programs_that_factorise_matrices_run_one_at_a_time(monkeypatch):
    # Two at once can wait for each other for ever inside of XLA.
    module = importlib.import_module("dynsys.integrators.ensemble.run")
    given = []

    def watched(calls, slots):
        given.append(slots)
        return in_any_order(calls, slots)

    monkeypatch.setattr(module, "in_any_order", watched)
    case = lambda x0: (ds.DIN(lambda x: jnp.sum(jnp.cosh(x)), 1.0, 0.1), x0)
    starts = np.random.default_rng(0).normal(size=(20, 4))
    last = lambda trajectory: trajectory.final_state.x
    ends_of_all = ds.simulate_ensemble(case, x0=starts, t1=2.0, reduce=last, width=8)
    one = ds.simulate(*case(starts[19]), t1=2.0, times=2)
    np.testing.assert_allclose(ends_of_all[19], one.x[-1], rtol=1e-8)
    in_valley(x0=STARTS, alpha=DAMPINGS)
    assert list(map(len, given)) == [1, len(slots_of(jax.local_devices()))]


def test_devices_of_another_process_or_platform_are_refused():
    with pytest.raises(ValueError, match="`devices` must hold devices of this process"):
        in_valley(x0=STARTS, alpha=DAMPINGS, devices=[])


def gpus():
    try:
        return jax.devices("gpu")
    except RuntimeError:
        return []


@pytest.mark.gpu
@pytest.mark.skipif(not gpus(), reason="no GPU is present")
def test_a_gpu_gives_the_results_of_a_processor():
    on_cpu = in_valley(x0=STARTS, alpha=DAMPINGS, devices=jax.devices("cpu"))
    on_gpu = in_valley(x0=STARTS, alpha=DAMPINGS, devices=gpus())
    np.testing.assert_array_equal(on_gpu[1], on_cpu[1])
    np.testing.assert_allclose(on_gpu[0], on_cpu[0], atol=1e-8)


@pytest.mark.gpu
@pytest.mark.skipif(not gpus(), reason="no GPU is present")
def test_a_gpu_follows_inclusions():
    case = lambda x0: (ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.0, 1.0), x0)
    run = lambda devices: ds.simulate_ensemble(
        case, x0=STARTS, t1=6.0, times=3, max_events=16, devices=devices
    )
    on_cpu, on_gpu = run(jax.devices("cpu")), run(gpus())
    np.testing.assert_array_equal(on_gpu.events.kind, on_cpu.events.kind)
    np.testing.assert_allclose(on_gpu.x, on_cpu.x, atol=1e-7)

"""Devices and processes share the work, and change no bit of the results."""

import importlib
import inspect
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
from dynsys.integrators.ensemble.block import Layout, compute_block
from dynsys.integrators.ensemble.member import Choices, Numbers
from dynsys.integrators.ensemble.schedule import in_any_order, slots_of
from dynsys.linear_solve import ROLLED
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


@pytest.mark.slow
def test_four_devices_give_the_bits_of_one(alone):
    four = told(start(devices=4))
    assert (alone["devices"], four["devices"]) == ("1", "4")
    assert four["members"] == alone["members"] == str(list(range(40)))
    assert four["bits"] == alone["bits"]


@pytest.mark.slow
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


def program_of(case, *points):
    """The program of a block of members, not yet compiled."""
    number = lambda value: np.asarray(value)
    numbers = Numbers(None, number(6.0), None, number(1e-6), number(1e-6), None)
    options = {"max_steps": 1000, "max_events": 0, "inclusion": "clarke"}
    names = tuple(inspect.signature(case).parameters)
    choices = Choices(2, ends, None, names, tuple(options.items()))
    fixed = (choices, Layout(WIDTH, 2 * WIDTH, True))
    run = lambda points: compute_block(case, numbers, points, fixed).varying
    return jax.jit(run).lower(list(points))


def test_programs_hold_no_collective_and_no_call_of_the_host():
    program = program_of(damped, jnp.zeros((2 * WIDTH, 2)), jnp.ones(2 * WIDTH))
    text = program.compile().as_text()
    assert "while" in text
    assert not any(word in text for word in (*COLLECTIVES, "callback"))


@pytest.mark.parametrize("loss", ["plain", "solves", "solves in a scan"])
def test_no_library_is_called_for_a_batch_of_matrices(loss):
    # Two such calls at once can wait for each other for ever inside of XLA.
    damp = lambda x: jnp.diag(2 + jnp.cos(x)) + 0.1
    losses = {
        "plain": lambda x: jnp.sum(jnp.cosh(x)),
        "solves": lambda x: x @ jnp.linalg.solve(damp(x), x),
        "solves in a scan": lambda x: jnp.sum(
            jax.lax.scan(lambda y, _: (jnp.linalg.solve(damp(x), y), None), x, None, 3)[0]
        ),
    }
    case = lambda x0: (ds.GDIN(losses[loss], 1.0, 0.1), x0)
    block = program_of(case, jnp.zeros((2 * WIDTH, ROLLED + 1)))
    text = block.as_text()
    assert "lapack" in text
    assert set(re.findall(r'num_batch_dims = "(\d)"', text)) == {"0"}


@pytest.mark.slow
@pytest.mark.parametrize("is_batch", [False, True])
def test_blocks_of_a_loss_that_solves_batches_run_one_at_a_time(monkeypatch, is_batch):
    module = importlib.import_module("dynsys.integrators.ensemble.run")
    given = []

    def watched(calls, slots):
        given.append(slots)
        return in_any_order(calls, slots)

    monkeypatch.setattr(module, "in_any_order", watched)
    pair = jnp.stack([jnp.eye(2), 2 * jnp.eye(2)])
    solve = jax.vmap(jnp.linalg.solve, (0, None))
    batch = lambda x: jnp.sum(solve(pair + x[0] ** 2, x) ** 2)
    loss = batch if is_batch else lambda x: jnp.sum(jnp.cosh(x))
    case = lambda x0: (ds.DIN(loss, 1.0, 0.1), x0)
    starts = np.random.default_rng(0).normal(size=(20, 2))
    last = lambda trajectory: trajectory.final_state.x
    ends_of_all = ds.simulate_ensemble(case, x0=starts, t1=1.0, reduce=last, width=8)
    one = ds.simulate(*case(starts[19]), t1=1.0, times=2)
    np.testing.assert_allclose(ends_of_all[19], one.x[-1], rtol=1e-8)
    devices = jax.local_devices()
    assert list(map(len, given)) == [1 if is_batch else len(slots_of(devices))]


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

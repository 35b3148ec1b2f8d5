"""Programs over several devices work, or are refused with a remedy that works."""

import os
import re
import subprocess
import sys

import jax
import numpy as np
import pytest

import dynsys as ds

MODULE = "tests.integrators.mesh_worker"
CHECKED = r"checks what varies along the axis 'd'.*Pass `check_vma=False`"
EXPLICIT = r"has the explicit axis 'd'.*AxisType\.Auto.*auto_axes"


def kinked(x):
    return abs(x[0])


@pytest.fixture(scope="module")
def told():
    """What became of each function in each kind of program, on two devices."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    found = subprocess.run(
        [sys.executable, "-m", MODULE],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=600,
        check=True,
    )
    return dict(re.findall(r"^(\w+ \w+): (.*)$", found.stdout, re.MULTILINE))


@pytest.mark.slow
def test_without_checks_and_with_auto_axes_values_are_those_of_one_device(told):
    worked = {name for name, what in told.items() if what == "True"}
    assert worked == {
        "ends unchecked",
        "ends auto_axes",
        "ends auto",
        "slopes unchecked",
        "ensemble unchecked",
    }


@pytest.mark.slow
@pytest.mark.parametrize("function", ["ends", "slopes", "ensemble"])
def test_checks_and_explicit_axes_are_refused_with_a_remedy(function, told):
    assert re.search(CHECKED, told[f"{function} checked"])
    assert re.search(EXPLICIT, told[f"{function} explicit"])
    assert re.search(EXPLICIT, told[f"{function} set_mesh"])


@pytest.mark.slow
def test_the_checks_of_jax_leave_the_padding_of_events_alone():
    system = ds.GDIN(kinked, 1.0, 0.5)
    case = lambda x0: (ds.GradientFlow(lambda x: x**2 / 2), x0)
    with jax.debug_infs(True), jax.debug_nans(True):
        alone = ds.simulate(system, [1.0], t1=3.0, times=2)
        members = ds.simulate_ensemble(case, x0=np.ones(2), t1=1.0, times=2)
        with pytest.raises(ds.SimulationError, match="`max_steps` was reached"):
            ds.simulate(system, [1.0], t1=3.0, times=2, max_steps=2)
    assert np.isinf(alone.events.t[-1])
    assert np.isinf(members.events.t[1, -1])
    np.testing.assert_allclose(members.x[1, -1], np.exp(-1), rtol=1e-5)


def test_no_tracer_is_leaked():
    with jax.checking_leaks():
        run = ds.simulate(ds.GradientFlow(lambda x: x**2 / 2), 1.0, t1=1.0, times=2)
    np.testing.assert_allclose(run.x[-1], np.exp(-1), rtol=1e-5)

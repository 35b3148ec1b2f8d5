"""Errors of steps against the exact flow from where each step starts."""

import diffrax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

import dynsys as ds
from dynsys.analysis.certificate.local_errors import NODES, local_errors, radau

CURVATURES = np.array([1.0, 30.0, 3e3])


def step_errors(run, matrix):
    """Ends of steps less the exact flow from their starts, in tolerances at the ends."""
    joints = np.asarray(run.dense.joints)
    edges = np.append(0.0, joints[np.isfinite(joints)])
    states = [np.concatenate(run.dense.state(jnp.asarray(t))) for t in edges]
    steps = list(zip(states[:-1], states[1:], np.diff(edges), strict=True))
    errors = np.array([end - expm(h * matrix) @ start for start, end, h in steps])
    sizes = [np.abs(end).max() for _, end, _ in steps]
    return errors / (float(run.atol) + float(run.rtol) * np.array(sizes))[:, None]


# The interpolant of Kvaerno5 is off by far more than its steps.
@pytest.mark.parametrize("solver", [None, diffrax.Kvaerno5()])
@pytest.mark.parametrize("rtol", [1e-3, 1e-7])
def test_errors_of_steps_are_those_of_the_exact_flow(solver, rtol):
    loss = ds.objectives.Quadratic(np.diag(CURVATURES))
    options = {"t1": 3.0, "rtol": rtol, "atol": 1e-2 * rtol, "times": 5, "dense": True}
    run = ds.simulate(ds.GradientFlow(loss), [1.0, -2.0, 1.0], solver=solver, **options)
    exact = step_errors(run, -np.diag(CURVATURES))
    found = local_errors(run, np.inf).error
    # What the interpolant is rounded by, and what is not of first order.
    np.testing.assert_allclose(found, exact, atol=1e-3 + 2e-2 * np.abs(exact).max())


def test_the_nodes_integrate_what_they_should():
    nodes, weights = radau()
    assert nodes[-1] == 1
    for power in range(2 * NODES - 1):
        assert weights[-1] @ nodes**power == pytest.approx(1 / (power + 1), rel=1e-12)
    for power in range(NODES):
        integral = nodes ** (power + 1) / (power + 1)
        np.testing.assert_allclose(weights @ nodes**power, integral, rtol=1e-10)


def test_a_state_without_a_jacobian_has_errors_of_steps_too():
    loss = ds.objectives.Quadratic(np.diag(np.linspace(1, 2, 150)))
    run = ds.simulate(ds.GradientFlow(loss), np.ones(150), t1=1.0, rtol=1e-5, dense=True)
    exact = step_errors(run, -np.diag(np.linspace(1, 2, 150)))
    found = local_errors(run, np.inf).error
    assert np.abs(found - exact).max() < 1

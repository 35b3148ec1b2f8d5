import jax.numpy as jnp
import pytest
from matplotlib.figure import Figure

import dynsys as ds
from dynsys.result import Result
from dynsys.trajectory import KinkEvents, Stats


def make_trajectory(system, t, x, v):
    """A trajectory with the given points, without solving anything."""
    t = jnp.asarray(t)
    zero = jnp.asarray(0)
    none = (None, None, None, None)
    stats = Stats(zero, zero, *none, "none", "made by hand", loop="many kernels: none")
    return ds.Trajectory(
        t=t,
        x=x,
        v=v,
        state=x,
        final_state=None,
        system=system,
        events=KinkEvents.none(0, t.dtype),
        unique=jnp.asarray(True),
        derivative=zero,
        stats=stats,
        result=Result(zero, t[-1], t[-1]),
        rtol=jnp.asarray(1e-6),
        atol=jnp.asarray(1e-9),
        dense=None,
        switches=jnp.zeros(0),
        inclusion="clarke",
    )


def spiral(rate):
    """Times, and positions and velocities of a spiral from (1, 0) to near 0."""
    t = jnp.linspace(0.0, 9.0, 50)
    x = jnp.exp(-rate * t)[:, None] * jnp.stack([jnp.cos(t), jnp.sin(t)], axis=1)
    v = -rate * x + jnp.stack([-x[:, 1], x[:, 0]], axis=1)
    return t, x, v


@pytest.fixture(name="make_trajectory")
def make_trajectory_fixture():
    return make_trajectory


@pytest.fixture
def objective():
    return ds.objectives.DoubleWell()


@pytest.fixture
def trajectory(objective):
    return make_trajectory(ds.DIN(objective, alpha=1.0, beta=0.1), *spiral(0.2))


@pytest.fixture
def gradient_flow(objective):
    return make_trajectory(ds.GradientFlow(objective), *spiral(0.5))


@pytest.fixture
def ax():
    return Figure().subplots()

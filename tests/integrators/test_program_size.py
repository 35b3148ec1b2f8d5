"""How large the programs of inclusions are: that decides about the first call."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.integrators.main_loop import MAIN_LOOP
from dynsys.programs.equations import all_equations

RANDOM = np.random.default_rng(0)
DATA = jnp.asarray(RANDOM.normal(size=(30, 20)))
INPUTS = jnp.asarray(RANDOM.normal(size=(6, 2)))


def lasso(x):
    residual = DATA @ x - 1.0
    return 0.5 * jnp.mean(residual**2) + 0.1 * jnp.sum(jnp.abs(x))


def network(x):
    hidden = jnp.maximum(INPUTS @ x["inner"].T + x["bias"][None], 0)
    return jnp.mean((hidden @ x["outer"] - 1.0) ** 2)


PARAMETERS = {"inner": jnp.ones((5, 2)), "bias": jnp.zeros(5), "outer": jnp.ones(5)}


def talk_run(x0):
    return ds.simulate(ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.0, 1.0), x0, t1=12.0)


PROGRAMS = {
    "talk": (talk_run, jnp.array([-1.5, 1.0]), 14_500),
    "derivative of the talk": (
        jax.grad(lambda x0: jnp.sum(talk_run(x0).x[-1])),
        jnp.array([-1.5, 1.0]),
        24_000,
    ),
    "lasso in 20 dimensions": (
        lambda x0: ds.simulate(ds.GDIN(lasso, 1.0, 0.5), x0, t1=10.0),
        jnp.ones(20),
        11_300,
    ),
    "network with 30 kinks": (
        lambda x0: ds.simulate(ds.GDIN(network, 1.0, 0.5), x0, t1=2.0),
        PARAMETERS,
        17_100,
    ),
}
"""What is traced, at what, and the most equations that it may have."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_small(name):
    function, x0, most = PROGRAMS[name]
    traced = jax.jit(lambda x0: jax.tree.leaves(function(x0))).trace(x0)
    number = sum(1 for _ in all_equations(traced.jaxpr.jaxpr))
    assert 0.8 * most < number <= most


def test_the_loop_of_the_talk_is_one_kernel():
    function, x0, _ = PROGRAMS["talk"]
    traced = jax.jit(lambda x0: function(x0).x).trace(x0)
    every = all_equations(traced.jaxpr.jaxpr)
    (loop,) = (e for e in every if e.params.get("name") == MAIN_LOOP)
    inside = all_equations(loop.params["jaxpr"].jaxpr)
    assert any(e.primitive.name == "custom_vmap_call" for e in inside)

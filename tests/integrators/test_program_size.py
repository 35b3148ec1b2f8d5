"""How large the programs of inclusions are: that decides about the first call."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.cached_call import join, split
from dynsys.integrators.engine.main_loop import MAIN_LOOP
from dynsys.integrators.program import compute
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


def slope_of_talk(x0):
    return jax.grad(lambda x0: jnp.sum(talk_run(x0).x[-1]))(x0)


def part_of_another(x0):
    return talk_run(x0)


PARTS = (slope_of_talk, part_of_another)
"""Runs that are traced as parts of other programs."""

PROGRAMS = {
    "talk": (talk_run, jnp.array([-1.5, 1.0]), 10_200),
    "talk, in another program": (part_of_another, jnp.array([-1.5, 1.0]), 11_900),
    "derivative of the talk": (slope_of_talk, jnp.array([-1.5, 1.0]), 20_500),
    "lasso in 20 dimensions": (
        lambda x0: ds.simulate(ds.GDIN(lasso, 1.0, 0.5), x0, t1=10.0),
        jnp.ones(20),
        7_900,
    ),
    "network with 30 kinks": (
        lambda x0: ds.simulate(ds.GDIN(network, 1.0, 0.5), x0, t1=2.0),
        PARAMETERS,
        12_500,
    ),
}
"""What is traced, at what, and the most equations that it may have."""


@pytest.fixture
def program(monkeypatch):
    """The program of a call, instead of its result."""
    module = sys.modules["dynsys.integrators.runs"]
    traced = []

    def trace(*args):
        arrays, fixed = split(args)
        on_arrays = lambda arrays: split(compute(*join(arrays, fixed)))[0]
        traced.append(jax.make_jaxpr(on_arrays)(arrays))
        raise StopIteration

    def of(function, x0):
        if function in PARTS:
            return jax.make_jaxpr(lambda x0: jax.tree.leaves(function(x0)))(x0)
        monkeypatch.setattr(module, "run_program", trace)
        with pytest.raises(StopIteration):
            function(x0)
        return traced.pop()

    return of


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_small(name, program):
    function, x0, most = PROGRAMS[name]
    number = sum(1 for _ in all_equations(program(function, x0).jaxpr))
    assert 0.8 * most < number <= most


def test_the_loop_of_the_talk_is_one_kernel(program):
    function, x0, _ = PROGRAMS["talk"]
    every = all_equations(program(function, x0).jaxpr)
    (loop,) = (e for e in every if e.params.get("name") == MAIN_LOOP)
    inside = all_equations(loop.params["jaxpr"].jaxpr)
    assert any(e.primitive.name == "custom_vmap_call" for e in inside)

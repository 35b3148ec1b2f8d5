"""The memory of outputs, as the compiler counts it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import dynsys as ds
from dynsys.integrators.memory import (
    LARGEST,
    Size,
    check_ensemble_memory,
    check_memory,
)


def bowl(x):
    return jnp.sum(jnp.cosh(x))


def kinked(x):
    return bowl(x) + jnp.sum(jnp.abs(x - 0.1))


def memory(f, dim, count):
    """Bytes of the outputs, and of all that is taken at once."""

    def run(x0):
        run = ds.simulate(ds.DIN(f, 1.0, 0.1), x0, t1=10.0, times=count, throw=False)
        return eqx.filter(run, eqx.is_array)

    found = jax.jit(run).lower(jnp.ones(dim)).compile().memory_analysis()
    outputs = found.output_size_in_bytes
    return outputs, outputs + found.temp_size_in_bytes


@pytest.mark.slow
@pytest.mark.parametrize(("f", "dim", "count"), [(bowl, 2, 10**6), (kinked, 2, 200_000)])
def test_outputs_take_no_more_than_three_times_their_memory(f, dim, count):
    outputs, taken = memory(f, dim, count)
    assert outputs > 8 * count * (1 + 4 * dim)
    assert taken < 3 * outputs


def test_memory_is_linear_in_the_number_of_outputs_and_told_before():
    (_, few), (_, many) = (memory(bowl, 2, count) for count in (100_000, 10**6))
    rows = 65_536 * (2 + 9 * 4) * 8
    assert many - rows < 11 * few
    # What is refused is what is taken: it is refused at the count where that is too much.
    allowed = int(10**6 * (LARGEST - rows) / (many - rows))
    size = Size(2, 4, 8)
    check_memory(size, int(0.7 * allowed), 65_536, dense=False)
    with pytest.raises(ValueError, match="outputs of this state take about .* GiB"):
        check_memory(size, allowed, 65_536, dense=False)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"count": 10**7}, "outputs of 10,000 members take .*`stream=True`"),
        ({"count": 10**6, "kept": 1, "computed": 64}, "computed at once.*`width`"),
        ({"dense": True, "max_steps": 10**6}, "Lower `max_steps`"),
    ],
)
def test_an_ensemble_is_refused_for_what_it_keeps_or_computes(wrong, match):
    fits = {"count": 200, "max_steps": 4096, "dense": False}
    fits |= {"kept": 10_000, "computed": 128}
    check_ensemble_memory(Size(2, 4, 8), **fits)
    with pytest.raises(ValueError, match=match):
        check_ensemble_memory(Size(2, 4, 8), **(fits | wrong))


def test_kinks_count_where_each_step_keeps_their_sides():
    places = jnp.linspace(-1.0, 1.0, 1000)
    system = ds.DIN(lambda x: x**2 + jnp.sum(jnp.abs(x - places)), 1.0, 0.1)
    run = lambda x0: ds.simulate(system, x0, t1=1.0, dense=True, max_steps=200_000)
    with pytest.raises(
        ValueError, match="solver and kinks keep .* takes .* Lower `max_steps`"
    ):
        jax.eval_shape(run, jnp.ones(()))

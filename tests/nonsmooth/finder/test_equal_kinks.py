"""Which switching values are one kink: whatever the scale, the offset and the data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from dynsys.nonsmooth.arithmetic.normal_form import NormalForm
from dynsys.nonsmooth.finder.equal_kinks import Kinds, same_sign
from dynsys.nonsmooth.flat_program.loss_program import program_of


def kinds(loss, x):
    program, consts = program_of(loss, x)
    form = NormalForm(program, consts)
    return Kinds(form.levels, x).of(form)


def number(loss, x=0.0):
    groups, _ = kinds(loss, jnp.asarray(x))
    return groups.max() + 1


SCALES = [1e-9, 1e-3, 1.0, 1e3, 1e9]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("offset", [0.0, 1.0, 1990.0, 1e8])
def test_neighbouring_data_stay_apart(scale, offset):
    data = scale * (offset + jnp.array([0.0, 1.0, 2.0]))
    assert number(lambda x: jnp.sum(jnp.abs(x - data))) == 3
    assert number(lambda x: jnp.sum(jnp.maximum(data, x))) == 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_ties_of_data_are_one(dtype):
    data = np.array([1990, 1991, 1990, 1994, 1991], dtype)
    x = jnp.zeros((), dtype if np.issubdtype(dtype, np.floating) else float)
    assert number(lambda x: jnp.sum(jnp.abs(x - jnp.asarray(data, x.dtype))), x) == 3


def test_one_bit_is_seen():
    data = jnp.array([293.15, np.nextafter(293.15, 300)])
    assert number(lambda x: jnp.sum(jnp.abs(x - data))) == 2


@pytest.mark.parametrize("scale", SCALES)
def test_multiples_are_one_with_their_signs(scale):
    loss = lambda x: jnp.abs(scale * x) + jax.nn.relu(-3 * x) + jnp.where(2 * x > 0, x, 0)
    groups, side = kinds(loss, jnp.array(0.0))
    assert groups.tolist() == [0, 0, 0]
    assert side.tolist() == [1, -1, 1]


def test_the_side_is_read_far_from_0():
    data = jnp.array([1990.0, 1991.0])
    loss = lambda x: jnp.sum(jnp.abs(x - data) + jnp.maximum(data, x))
    groups, side = kinds(loss, jnp.array(1990.0))
    assert groups.tolist() == [0, 1, 0, 1]
    assert side.tolist() == [1, 1, -1, -1]


def test_identities_are_looked_through():
    loss = lambda x: jnp.abs((x[0] - x[1]) * (x[0] + x[1])) + jnp.abs(x[1] ** 2 - x[0] ** 2)
    groups, side = kinds(loss, jnp.ones(2))
    assert groups.tolist() == [0, 0]
    assert side.tolist() == [1, -1]


def test_a_positive_function_is_no_constant():
    assert number(lambda x: jnp.abs(x[0]) + jnp.abs(x[0] * jnp.exp(x[1])), jnp.ones(2)) == 2
    assert number(lambda x: jnp.abs(x[0]) + jnp.abs(x[0] ** 3), jnp.ones(2)) == 2


@pytest.mark.parametrize("data", [jnp.array([2.0, 3.0]), jnp.array([2.0, 2.0])])
def test_data_that_are_traced_stay_apart_and_those_that_are_not_are_looked_at(data):
    found = []
    loss = lambda w, x: jnp.sum(jnp.abs(w * x))

    def run(w):
        with jax.ensure_compile_time_eval():
            found.append(number(Partial(loss, w), 1.0))
        return w

    jax.jit(run)(data)
    assert found == [2]
    assert number(Partial(loss, data), 1.0) == 1


def test_a_multiple_of_traced_data_is_one_with_itself():
    found = []
    loss = lambda w, x: jnp.abs(w - x) + jnp.abs(3 * x - 3 * w) + jnp.abs(x - 2 * w)

    def run(w):
        with jax.ensure_compile_time_eval():
            found.append(kinds(Partial(loss, w), jnp.array(1.0)))
        return w

    jax.jit(run)(jnp.array(2.0))
    groups, side = found[0]
    assert groups.tolist() == [0, 0, 1]
    assert side.tolist() == [1, -1, 1]


def test_nested_kinks_of_one_kink_are_one():
    loss = lambda x: jax.nn.relu(jnp.abs(x) - 1) + jax.nn.relu(3 - jnp.abs(-3 * x))
    groups, side = kinds(loss, jnp.array(0.3))
    assert groups.tolist() == [0, 1, 0, 1]
    assert side.tolist() == [1, 1, -1, -1]


def test_inside_of_a_barrier():
    loss = lambda x: jnp.sum(jnp.log(x) * jnp.abs(x - 0.7)) + jnp.sum(jnp.abs(2 * x - 1.4))
    assert number(loss, jnp.ones(3)) == 3


def test_padding_with_infinity_makes_no_kink():
    window = lambda x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (2,), (1,), "SAME")
    groups, _ = kinds(lambda x: jnp.sum(window(x)), jnp.ones(3))
    assert groups.max() == 1
    masked = lambda x: jnp.max(jnp.where(jnp.array([True, False, True]), x, -jnp.inf))
    groups, _ = kinds(masked, jnp.ones(3))
    assert groups.max() == 0


def test_what_is_always_0_is_none():
    groups, _ = kinds(
        lambda x: jnp.abs((x + 1) ** 2 - x**2 - 2 * x - 1) + x, jnp.array(1.0)
    )
    assert groups.tolist() == [-1]


def test_a_ratio_that_is_rounding_alone_has_no_sign():
    noise = np.random.default_rng(0).normal(size=(14, 1)) * 1e-16
    value = np.random.default_rng(1).normal(size=(14, 1))
    assert same_sign(noise, value).tolist() == [0]
    assert same_sign(-2 * value, value).tolist() == [-1]
    value[3:] = np.nan
    assert same_sign(-2 * value, value).tolist() == [-1]

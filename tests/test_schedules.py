"""Schedules: values, derivatives, what they accept."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsys.schedules import (
    Constant,
    Exponential,
    Function,
    Piecewise,
    PowerLaw,
    as_schedule,
    evaluate,
)

TIMES = jnp.array([0.0, 0.7, 3.0])

CASES = {
    "constant": (Constant(0.5), lambda t: 0.5 + 0 * t, lambda t: 0 * t),
    "power_law": (
        PowerLaw(2.0, 3.0, shift=0.5),
        lambda t: 2 / (t + 0.5) ** 3,
        lambda t: -6 / (t + 0.5) ** 4,
    ),
    "exponential": (
        Exponential(2.0, 0.3),
        lambda t: 2 * np.exp(-0.3 * t),
        lambda t: -0.6 * np.exp(-0.3 * t),
    ),
    "function": (Function(jnp.sin), np.sin, np.cos),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_derivative_are_those_of_the_formula(name):
    schedule, value, rate = CASES[name]
    one = lambda t: evaluate(schedule, t)
    np.testing.assert_allclose(jax.vmap(one)(TIMES), value(np.asarray(TIMES)), rtol=1e-14)
    rates = jax.vmap(lambda t: jax.jvp(one, (t,), (jnp.ones_like(t),))[1])(TIMES)
    np.testing.assert_allclose(rates, rate(np.asarray(TIMES)), rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("name", CASES)
def test_value_has_the_dtype_of_time(name):
    schedule, _, _ = CASES[name]
    assert evaluate(schedule, jnp.float32(0.5)).dtype == jnp.float32
    assert evaluate(schedule, jnp.float64(0.5)).dtype == jnp.float64


def test_schedules_take_arrays_and_plain_numbers_of_time():
    np.testing.assert_allclose(PowerLaw(1.0, 1.0)(TIMES), 1 / (1 + np.asarray(TIMES)))
    np.testing.assert_array_equal(Constant(2)(TIMES), [2.0, 2.0, 2.0])
    assert float(Exponential(1.0, 1.0)(0)) == 1.0


def test_power_law_without_shift_is_singular_at_zero():
    assert np.isinf(PowerLaw(3.0, 1.0, shift=0.0)(0.0))


def test_callable_may_return_a_plain_number():
    assert float(evaluate(as_schedule(lambda t: 0.25), jnp.array(1.0))) == 0.25


def test_plain_callables_are_static_and_modules_are_leaves():
    plain = as_schedule(jnp.sin)
    assert jax.tree.leaves(plain) == []

    class Wave(eqx.Module):
        size: jax.Array

        def __call__(self, t):
            return self.size * jnp.sin(t)

    wave = Wave(jnp.array(2.0))
    assert as_schedule(wave) is wave
    partial = jax.tree_util.Partial(lambda size, t: size * t, jnp.array(2.0))
    assert len(jax.tree.leaves(as_schedule(partial))) == 1


def test_negative_shift_is_refused():
    with pytest.raises(ValueError, match="`shift` must be at least 0.*pole"):
        PowerLaw(1.0, 1.0, shift=-1.0)


def test_function_that_is_not_callable_is_refused():
    with pytest.raises(TypeError, match="`function` must be callable"):
        Function(3.0)


@pytest.mark.parametrize(
    ("times", "pieces", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0], "Pass 3 pieces: before, between and after the times"),
        ([3.0, 1.0], [1.0, 2.0, 3.0], "Sort them, with their pieces"),
        ([np.nan], [1.0, 2.0], "`times` must be finite"),
        ([[1.0]], [1.0, 2.0], "must be a list of numbers, but has shape"),
        (["a"], [1.0, 2.0], "`times` must be a list of numbers, but is"),
        ([1.0], ["a", 2.0], "`pieces\\[0\\]` must be a number or a function of t"),
        ([1.0], lambda t: t, "`pieces` must be a list of numbers and functions of t"),
    ],
)
def test_pieces_that_do_not_fit_are_refused(times, pieces, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Piecewise(times, pieces)


def test_a_piecewise_schedule_is_its_pieces_and_each_only_where_it_holds():
    root = lambda t: jnp.sqrt(t - 1.0)
    mixed, constant = Piecewise([1.0, 3.0], [0.5, root, 2.0]), Piecewise([1.0], [0.5, 2.0])
    times = jnp.array([0.0, 0.999, 1.0, 2.0, 3.0, 9.0])
    right = [0.5, 0.5, 0.0, 1.0, 2.0, 2.0]
    np.testing.assert_allclose(jax.vmap(mixed)(times), right)
    np.testing.assert_allclose(jax.vmap(constant)(times), [0.5, 0.5, 2, 2, 2, 2])
    slopes = jax.vmap(jax.grad(mixed))(jnp.array([0.5, 2.0, 4.0]))
    np.testing.assert_allclose(slopes, [0.0, 0.5, 0.0])

"""Calls of compiled programs: what is traced, what is static, how often it is traced."""

import threading
from dataclasses import dataclass

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.cached_call import cached_call, prepared_call
from dynsys.kernel import ARITHMETIC, as_one_kernel
from dynsys.kernel_outcome import ONE_KERNEL, outcomes_of_loops, refusal


@jax.tree_util.register_dataclass
@dataclass
class Scaled:
    """A pytree with an array and a leaf that is none."""

    factor: jax.Array
    function: object


def counted():
    """A cached function, and the list that grows with every trace."""
    traces = []

    @cached_call
    def apply(scaled, x):
        traces.append(x)
        return {"value": scaled.factor * scaled.function(x), "name": "result", "rest": None}

    return apply, traces


def test_numbers_may_change_without_a_trace():
    apply, traces = counted()
    for factor in (1.0, 2.0):
        result = apply(Scaled(jnp.array([factor]), jnp.sin), jnp.ones(3))
        np.testing.assert_allclose(result["value"], factor * np.sin(np.ones(3)))
        assert (result["name"], result["rest"]) == ("result", None)
    apply(Scaled(np.array([3.0]), jnp.sin), np.ones(3))
    assert len(traces) == 1


def test_another_static_leaf_or_shape_is_another_program():
    apply, traces = counted()
    first = apply(Scaled(jnp.array(1.0), jnp.sin), jnp.ones(3))
    second = apply(Scaled(jnp.array(1.0), jnp.cos), jnp.ones(3))
    assert not np.allclose(first["value"], second["value"])
    apply(Scaled(jnp.array(1.0), jnp.cos), jnp.ones(4))
    assert len(traces) == 3


def test_it_goes_through_transformations():
    apply, _ = counted()
    value = lambda factor, x: jnp.sum(apply(Scaled(factor, jnp.sin), x)["value"])
    slope = jax.jit(jax.grad(value))(jnp.array(2.0), jnp.ones(2))
    np.testing.assert_allclose(slope, 2 * np.sin(1.0))
    many = jax.vmap(value, (0, None))(jnp.arange(3.0), jnp.ones(2))
    np.testing.assert_allclose(many, np.arange(3.0) * 2 * np.sin(1.0))


REFUSED = "many kernels: XLA refuses it, "


@pytest.fixture
def with_sorting(monkeypatch):
    """Sorting is a call of a library: XLA refuses a kernel that is to hold it."""
    more = {"sort", "scatter-add"}
    monkeypatch.setattr("dynsys.kernel.ARITHMETIC", ARITHMETIC | more)


def sorted_up(start):
    """A loop that sorts, and what became of it."""
    body = lambda y: jnp.sort(y) + 1
    loop = lambda x: jax.lax.while_loop(lambda y: y[0] < 9, body, x)
    with outcomes_of_loops() as outcomes:
        end = as_one_kernel(loop, start)
    return end, outcomes[0]


@pytest.mark.usefixtures("with_sorting")
def test_a_program_whose_kernel_is_refused_is_compiled_without():
    traces = []
    run = cached_call(lambda x: traces.append(x) or sorted_up(x))
    for _ in range(2):
        end, outcome = run(jnp.zeros(2))
        np.testing.assert_array_equal(end, 9.0)
        assert outcome.startswith(REFUSED)
    assert len(traces) == 2
    inside = jax.jit(lambda x: run(x)[0])
    np.testing.assert_array_equal(inside(jnp.zeros(2)), end)


@pytest.mark.usefixtures("with_sorting")
def test_a_prepared_program_whose_kernel_is_refused_is_compiled_without():
    run, (_, outcome) = prepared_call(sorted_up)(jnp.zeros(2))
    assert outcome.startswith(REFUSED)
    np.testing.assert_array_equal(run(jnp.zeros(2))[0], 9.0)


@pytest.mark.slow
@pytest.mark.usefixtures("with_sorting")
def test_a_run_and_an_ensemble_go_on_where_kernels_are_refused():
    weights = jnp.array([1.0, 2.0])
    case = lambda x0: (ds.HeavyBall(lambda x: jnp.sort(x) ** 2 @ weights, 1.0), x0)
    start = jnp.array([2.0, 1.0])
    options = {"t1": 0.1, "times": 2, "inclusion": "autodiff", "solver": diffrax.Tsit5()}
    run = ds.simulate(*case(start), **options)
    assert run.stats.loop.startswith(REFUSED)
    many = ds.simulate_ensemble(case, x0=np.tile(start, (3, 1)), **options)
    assert many.stats.loop.startswith(REFUSED)
    np.testing.assert_allclose(many.x[0], run.x, rtol=1e-9)


def test_an_operation_that_no_kernel_holds_is_an_error_that_is_gone_on_from():
    def compiles_without_kernels(x):
        if not refusal():
            raise jax.errors.JaxRuntimeError("UNIMPLEMENTED: Fusion kind, on CPU")
        return x, refusal()

    _, reason = cached_call(compiles_without_kernels)(jnp.zeros(2))
    assert reason == "XLA refuses it, UNIMPLEMENTED: Fusion kind, on CPU"


def test_an_ensemble_is_one_kernel_and_says_so():
    case = lambda x0: (ds.HeavyBall(lambda x: jnp.sum(x**2), 1.0), x0)
    many = ds.simulate_ensemble(case, x0=np.ones((80, 2)), t1=1.0, times=2)
    assert many.stats.loop == many[0].stats.loop == ONE_KERNEL


def test_other_errors_of_xla_are_raised():
    def fail(x):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        cached_call(fail)(jnp.ones(2))


def test_options_that_xla_does_not_know_are_left_out(monkeypatch):
    monkeypatch.setattr("dynsys.cached_call._are_unknown", threading.Event())
    monkeypatch.setattr("dynsys.cached_call.QUICK", {"xla_no_such_option": False})
    apply, _ = counted()
    result = apply(Scaled(jnp.array(2.0), jnp.sin), jnp.ones(3))
    np.testing.assert_allclose(result["value"], 2 * np.sin(np.ones(3)))
    prepare = prepared_call(lambda x: x + 1, xla_no_such_option=False)
    run, _ = prepare(jnp.ones(3))
    np.testing.assert_allclose(run(jnp.ones(3)), 2 * np.ones(3))

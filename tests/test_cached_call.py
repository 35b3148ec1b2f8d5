"""Calls of compiled programs: what is traced, what is static, how often it is traced."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.cached_call import cached_call


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

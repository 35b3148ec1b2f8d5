"""Programs, evaluated equation by equation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsys.programs.equations import all_equations, called, has_any, programs_inside
from dynsys.programs.evaluate import bind, evaluate, unrolled

X = jnp.array([0.3, -1.2, 2.0])
lax = jax.lax


def step(total, row):
    return total + row, total * row


def everything(x):
    """Constants, calls with and without a derivative of their own, loops and branches."""
    y = jax.jit(lambda y: y * X + 2)(x) + jax.nn.relu(x)
    y = lax.while_loop(lambda y: jnp.sum(y) < 50, lambda y: 2 * y + 1, y)
    last, rows = lax.scan(step, x, jnp.stack([x, y]), reverse=True)
    return lax.cond(x[0] > 0, jnp.sin, jnp.cos, last), rows, jnp.split(y, 3)[1]


def opened(equation, operands):
    """Calls equation by equation, all else as it is."""
    inner = called(equation)
    return bind(equation, operands) if inner is None else evaluate(inner, operands, opened)


@pytest.mark.parametrize("rule", [bind, opened])
def test_outputs_are_those_of_the_program(rule):
    closed = jax.make_jaxpr(everything)(X)
    for found, exact in zip(
        evaluate(closed, [X], rule), jax.tree.leaves(everything(X)), strict=True
    ):
        np.testing.assert_array_equal(found, exact)


def test_values_may_be_of_any_kind():
    closed = jax.make_jaxpr(lambda x: 2 * x + X)(X)
    rule = lambda equation, operands: [f"{equation.primitive.name}({', '.join(operands)})"]
    constant = lambda value, _: "number" if jnp.ndim(value) == 0 else "array"
    (found,) = evaluate(closed, ["x"], rule, constant)
    assert found == "add(mul(number, x), array)"


@pytest.mark.parametrize("reverse", [False, True])
def test_passes_one_by_one_are_those_of_the_loop(reverse):
    rows = jnp.stack([X, 2 * X, X**2])
    loop = lambda x, rows: lax.scan(step, x, rows, reverse=reverse)
    (equation,) = jax.make_jaxpr(loop)(X, rows).eqns
    carry, columns = unrolled(
        equation.params,
        [X, rows],
        lambda series, i: series[i],
        lambda body, inputs: evaluate(body, inputs, bind),
    )
    last, results = loop(X, rows)
    np.testing.assert_array_equal(carry[0], last)
    np.testing.assert_array_equal(jnp.stack(columns[0]), results)


def test_equations_are_found_at_any_depth():
    jaxpr = jax.make_jaxpr(everything)(X).jaxpr
    names = {equation.primitive.name for equation in all_equations(jaxpr)}
    assert names >= {"while", "scan", "cond", "sin", "cos", "max", "mul", "split"}
    assert all(has_any(e, {"sin"}) == (e.primitive.name == "cond") for e in jaxpr.eqns)
    assert sum(len(list(programs_inside(e))) for e in jaxpr.eqns) >= 6

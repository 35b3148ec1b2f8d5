"""What depends on what in a program."""

import jax
import jax.numpy as jnp
import pytest

from dynsys.programs.dataflow import (
    dependencies,
    dependents,
    downstream,
    need_of,
    upstream,
    varying_carry,
    varying_outputs,
    varying_rows,
)

lax = jax.lax


def two_chains(x, y):
    a = jnp.sin(x)
    b = jnp.cos(y)
    c = a * 2
    d = b + c
    return c, d


JAXPR = jax.make_jaxpr(two_chains)(1.0, 1.0).jaxpr
EQUATIONS = dict(enumerate(JAXPR.eqns))
SIN, COS, MUL, ADD = EQUATIONS


def test_variables_are_followed_in_both_directions():
    results = lambda *which: {EQUATIONS[i].outvars[0] for i in which}
    x, y = JAXPR.invars
    assert dependents(JAXPR.eqns, [x]) == {x} | results(SIN, MUL, ADD)
    assert dependents(JAXPR.eqns, [y]) == {y} | results(COS, ADD)
    assert dependencies(JAXPR.eqns, JAXPR.outvars[:1]) == {x} | results(SIN, MUL)


def test_equations_are_followed_in_both_directions():
    assert downstream(EQUATIONS, {MUL}) == [MUL, ADD]
    assert downstream(EQUATIONS, (), [JAXPR.invars[1]]) == [COS, ADD]
    assert upstream(EQUATIONS, {MUL}) == [SIN, MUL]
    without = {i: e for i, e in EQUATIONS.items() if i != SIN}
    assert upstream(without, {SIN, ADD}) == [COS, MUL, ADD]


def loop(a, b, c, d):
    """Carries a, to which b is added, and c by itself, up to a limit of a or of c."""
    condition = lambda s: s[1] < d
    return lax.while_loop(condition, lambda s: (s[0] + b, s[1] + 1.0), (a, c))


@pytest.mark.parametrize(
    ("outputs", "inputs"),
    [([True, False], [True] * 4), ([False, True], [False, False, True, True])],
)
def test_a_loop_needs_what_its_results_and_its_end_depend_on(outputs, inputs):
    call = lambda *numbers: jax.jit(loop)(*numbers)
    jaxpr = jax.make_jaxpr(call)(1.0, 1.0, 0.0, 3.0).jaxpr
    assert need_of(jaxpr, outputs).inputs == inputs
    assert need_of(jaxpr, [False, False]).results == [[False, False]]


def test_what_a_loop_carries_varies_with_what_is_added_or_with_its_length():
    (equation,) = jax.make_jaxpr(loop)(1.0, 1.0, 0.0, 3.0).eqns
    carry = lambda d, b: varying_carry(equation.params, [d], [b], [False, False])
    assert carry(False, False) == ([False, False], False)
    assert carry(False, True) == ([True, False], False)
    assert carry(True, False) == ([True, True], True)


def test_a_scan_varies_with_its_series():
    step = lambda s, row: ((s[0] + row, 2 * s[1]), (s[1] + 1, -row))
    scan = lambda a, b, rows: lax.scan(step, (a, b), rows)
    jaxpr = jax.make_jaxpr(scan)(1.0, 1.0, jnp.ones(3)).jaxpr
    (equation,) = jaxpr.eqns
    assert varying_rows(equation.params, [False, False, True]) == (
        [True, False],
        [False, True],
    )
    assert varying_rows(equation.params, [False, True, False]) == (
        [False, True],
        [True, False],
    )


def test_a_call_is_looked_into():
    jaxpr = jax.make_jaxpr(lambda x, y: jax.jit(two_chains)(x, y))(1.0, 1.0).jaxpr
    assert varying_outputs(jaxpr, [True, False]) == [True, True]
    assert varying_outputs(jaxpr, [False, True]) == [False, True]
    assert need_of(jaxpr, [True, False]).inputs == [True, False]

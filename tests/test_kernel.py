"""Loops compiled as one kernel: same numbers, and only where it can be done."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.kernel import ARITHMETIC, as_one_kernel, obstacle_of_loop
from dynsys.kernel_outcome import ONE_KERNEL
from dynsys.programs.equations import all_equations
from dynsys.programs.primitives import LOOPS

FUNCTIONS = (
    lambda x: jnp.sum(x**4 + jnp.abs(x) ** 2.5 + jnp.cbrt(1 + x**2)),
    lambda x: jnp.sum(jnp.exp(x) + jnp.expm1(x) ** 2 + jnp.exp2(x)),
    lambda x: jnp.sum(jnp.log1p(x**2) + jnp.log(2 + x**2)),
    lambda x: jnp.sum(2 * x**2 - jnp.cos(x) + jnp.arctan(x) + jnp.sin(x) ** 2),
    lambda x: jnp.sum(jnp.cosh(x) + jnp.tanh(x) ** 2 + jnp.arcsinh(x) ** 2),
    lambda x: jnp.sqrt(1 + jnp.sum(x**2)) + jnp.linalg.norm(x - 3) ** 2,
    lambda x: jnp.sum(jax.nn.sigmoid(x) + jax.nn.softplus(x) + x**2),
    lambda x: jax.nn.logsumexp(x) + jnp.sum(x**2),
    lambda x: jnp.sum(x**2 + jax.scipy.special.erf(x)),
)
MOVEMENTS = (
    lambda x: jnp.sum(x[jnp.array([1, 0, 1])] ** 2) + x[-1] ** 2,
    lambda x: jnp.sum((x - jnp.roll(x, 1)) ** 2) + jnp.sum(x[::-1] ** 2),
    lambda x: jnp.sum(jnp.concatenate([x, 2 * x, jnp.ones(2)]) ** 2),
    lambda x: 10 + jnp.prod(x) + jnp.sum(x**2),
    lambda x: jnp.sum(jnp.clip(x, -9, 9) ** 2) + jnp.max(x + 9 * jnp.eye(2)[0]) ** 2,
    lambda x: jnp.sum(jnp.where(x > 0, x**2, 2 * x**2)),
    lambda x: jnp.sum(jnp.where(jnp.abs(x) < 1, x**2 / 2, jnp.abs(x) - 0.5)),
    lambda x: jax.jit(lambda y: jnp.sum(y**2))(x),
    lambda x: jnp.sum(jnp.outer(x, x).T.reshape(-1)) + 2 * jnp.sum(x**2),
)
LOSSES = {
    "functions": lambda x: sum(loss(x) for loss in FUNCTIONS),
    "movements": lambda x: sum(loss(x) for loss in MOVEMENTS),
    "matrix product": lambda x: x @ jnp.array([[2.0, 1.0], [1.0, 3.0]]) @ x,
    "sorting": lambda x: jnp.sum(jnp.sort(x) * jnp.array([1.0, 2.0])) + jnp.sum(x**2),
    "solving": lambda x: x @ jnp.linalg.solve(jnp.array([[2.0, 1.0], [1.0, 3.0]]), x),
    "inner loop": lambda x: jax.lax.fori_loop(0, 3, lambda _, s: s + jnp.sum(x**2), 0.0),
}


@pytest.mark.parametrize("name", LOSSES)
def test_paths_are_those_of_a_loop_over_kernels(name, monkeypatch):
    loss, start, options = LOSSES[name], [0.7, -0.4], {"times": 5, "stop": 1e-9}
    options["inclusion"] = "autodiff"
    system = ds.DIN(loss, 1.0, 0.1)
    one = ds.simulate(system, start, t1=2.0, **options)
    monkeypatch.setattr("dynsys.kernel.obstacle_of_loop", lambda _: "it is a test")
    jax.clear_caches()
    many = ds.simulate(ds.DIN(loss, 1.0, 0.1), start, t1=2.0, **options)
    np.testing.assert_allclose(one.x, many.x, rtol=1e-9, atol=1e-12)
    assert int(one.stats.steps) == int(many.stats.steps)
    assert many.stats.loop == "many kernels: it is a test"


def traced(body):
    loop = lambda x: jax.lax.while_loop(lambda y: y[0] < 3.0, body, x)
    return jax.make_jaxpr(loop)(jnp.zeros(2))


def test_arithmetic_becomes_one_kernel():
    assert not obstacle_of_loop(traced(lambda y: jnp.where(y > 1, y * 2, jnp.cos(y))))


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (lambda y: jnp.eye(2) @ y, "dot_general"),
        (jnp.sort, "sort"),
        (lambda y: jnp.linalg.solve(jnp.eye(2), y), "lu"),
        (lambda y: y + jnp.sum(jnp.broadcast_to(y[0], (64, 64))), "reduce_sum"),
    ],
)
def test_libraries_do_not(body, name):
    assert f"`{name}`" in obstacle_of_loop(traced(body))


SEVERAL = jnp.arange(64.0)


def count_larger(y):
    """A step with a sum over 64 times 64 entries that are not floats."""
    larger = y[None, :] > y[:, None]
    return y + 1 + 1e-3 * jnp.sum(larger, 1).astype(float)


def test_sums_of_numbers_that_are_no_floats_become_one_kernel():
    loop = lambda x: jax.lax.while_loop(lambda y: y[0] < 80, count_larger, x)
    lowered = jax.jit(partial(as_one_kernel, loop)).lower(SEVERAL)
    assert "xla_cpu_small_call" in lowered.as_text(dialect="hlo")
    np.testing.assert_allclose(lowered.compile()(SEVERAL), loop(SEVERAL))


MATRIX = jnp.ones((2_000, 2))


@pytest.mark.slow
def test_statistics_say_which_loops_are_one_kernel():
    f = lambda x: jnp.sum(x**2)
    loop = lambda f, x0: ds.simulate(ds.GDIN(f, 1.0, 0.1), x0, t1=0.1, times=2).stats.loop
    assert loop(f, jnp.ones(2)) == ONE_KERNEL
    assert loop(lambda x: jnp.sum(jnp.abs(x)), jnp.ones(2)) == ONE_KERNEL
    product = loop(lambda x: jnp.sum((MATRIX @ x) ** 2), jnp.ones(2))
    assert product == "many kernels: `dot_general` in it is not compiled into a kernel"
    large = loop(f, jnp.ones(20_000))
    assert large.startswith("many kernels: ")
    assert "20,000" in large


def test_compiled_program_holds_one_call():
    def loop(x, unused):
        step = lambda y: y * 1.1 + 0.0 * jnp.cos(y)
        return jax.lax.while_loop(lambda y: y[0] < 3.0, step, x)

    program = jax.jit(lambda x, unused: as_one_kernel(loop, x, unused))
    lowered = program.lower(jnp.ones(2), jnp.zeros(3))
    assert "xla_cpu_small_call" in lowered.as_text(dialect="hlo")
    np.testing.assert_array_equal(program(jnp.ones(2), jnp.zeros(3)), loop(jnp.ones(2), 0))


def test_arguments_of_any_type_come_back_bit_for_bit():
    whole = jnp.array([-(2**63), -1, 2**53 + 1, 2**63 - 1])
    bits = jnp.array([0, 2**32 - 1], jnp.uint32)
    small = jnp.array([0.1, -0.0], jnp.float32)
    args = (whole, bits, small, jnp.array([True, False]), jnp.array([0.1, jnp.nan]))

    def loop(*args):
        return jax.lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1]), (0, args))

    _, back = jax.jit(lambda *args: as_one_kernel(loop, *args))(*args)
    for before, after in zip(args, back, strict=True):
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after)


def test_an_argument_that_turns_out_unused_compiles():
    run = ds.simulate(ds.DIN(lambda x: x**2, 1.0, 0.1), 1.0, t1=1.0, dense=True)
    assert run.result.ok


def everything(y):
    """A value that takes each admitted primitive that is not one of programs' structure."""
    u = jnp.tanh(y) / 2
    whole = jnp.round(3 * u).astype(int)
    lax, special = jax.lax, jax.scipy.special
    parts = [
        *(f(u) for f in (jnp.arcsin, jnp.arccos, jnp.arctan, jnp.arctanh, jnp.arcsinh)),
        *(f(u) for f in (jnp.sin, jnp.cos, jnp.tan, jnp.sinh, jnp.cosh, lax.logistic)),
        *(f(u) for f in (jnp.exp, jnp.exp2, jnp.expm1, jnp.log1p, jnp.cbrt, jnp.abs)),
        *(f(2 + u) for f in (jnp.log, jnp.sqrt, lax.rsqrt, jnp.arccosh, lax.square)),
        *(f(u) for f in (special.erf, special.erfc, jnp.sign, jnp.floor, jnp.ceil)),
        *(f(u) for f in (jnp.max, jnp.min, jnp.prod, jnp.sum, jnp.argmax, jnp.argmin)),
        jnp.cumsum(u),
        *(f(u, 0.1 - u) for f in (lax.max, lax.min, jnp.arctan2, lax.sub, lax.pow)),
        *(f(u < 0.2) for f in (jnp.all, jnp.any, jnp.logical_not, lax.stop_gradient)),
        *(f(u, u[::-1]) for f in (lax.eq, lax.ne, lax.lt, lax.le, lax.gt, lax.ge)),
        *(f(whole, whole[::-1]) for f in (lax.bitwise_and, lax.bitwise_or)),
        *(f(whole, whole[::-1]) for f in (lax.bitwise_xor, lax.rem)),
        whole << 1,
        whole >> 1,
        lax.shift_right_logical(whole, jnp.ones_like(whole)),
        *jnp.split(jnp.concatenate([u, jnp.array(u, copy=True)]), 2),
        -(u**3) * jnp.clip(u, -0.1, 0.1) + jnp.where(jnp.isfinite(u), u, lax.neg(u)),
        lax.clamp(-0.1, u, 0.1) + jnp.round(u) + jnp.outer(u, u).T[0],
        lax.dynamic_slice(jnp.pad(u, 1), (whole[0] % 3,), (2,)),
        lax.dynamic_update_slice(u, jnp.ones(1), (whole[1] % 2,)),
        u[jnp.abs(whole) % 2] + jnp.arange(2.0) + u.reshape(2, 1)[:, 0],
        jax.nn.relu(u) + jnp.stack([u[1], u[0]]) + jnp.stack(jnp.unstack(u)),
        lax.optimization_barrier(u) + jnp.tile(u, 2)[1:3],
        *(jnp.searchsorted(jnp.arange(3.0), u, side=s) for s in ("left", "right")),
        lax.cond(u[0] > 0, jnp.cos, jnp.sin, u),
        # What a branch leaves for its derivative the other leaves empty.
        jax.linearize(lambda v: lax.cond(v[0] > 0, jnp.cos, jnp.sqrt, v), u)[1](u),
        lax.while_loop(lambda v: v[0] < 2, lambda v: v + 1.0, u),
        lax.fori_loop(0, 3, lambda i, v: v + 1.0 / (1.0 + i), u),
    ]
    total = sum(jnp.sum(jnp.nan_to_num(p.astype(float))) for p in parts)
    return y + 1 + 1e-3 * total


STRUCTURE = {"add_any", "copy_p", "custom_vjp_call", "jit", "nonbatchable", "pjit"}
"""Primitives that are programs or do nothing, and the sum of two derivatives."""

NEWER = {"empty2", "stack", "unstack"}
"""Primitives that the lowest version of JAX does not have."""


def test_each_admitted_primitive_compiles_into_a_kernel():
    start = jnp.array([0.1, -0.3])
    loop = lambda x: jax.lax.while_loop(lambda y: y[0] < 3.0, everything, x)
    program = jax.make_jaxpr(loop)(start)
    assert not obstacle_of_loop(program)
    seen = {equation.primitive.name for equation in all_equations(program.jaxpr)}
    assert (ARITHMETIC | LOOPS) - STRUCTURE - seen <= NEWER
    lowered = jax.jit(partial(as_one_kernel, loop)).lower(start)
    assert "xla_cpu_small_call" in lowered.as_text(dialect="hlo")
    np.testing.assert_allclose(lowered.compile()(start), loop(start), rtol=1e-12)

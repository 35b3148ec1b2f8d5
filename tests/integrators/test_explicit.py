"""Explicit Runge-Kutta methods: steps are those of diffrax."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.integrators.solvers.explicit import ExplicitRungeKutta, is_plain

METHODS = [
    diffrax.Bosh3(),
    diffrax.Dopri5(),
    diffrax.Dopri8(),
    diffrax.Heun(),
    diffrax.Midpoint(),
    diffrax.Ralston(),
    diffrax.Tsit5(),
]
TERM = diffrax.ODETerm(lambda t, y, _: {"a": jnp.sin(t) * y["b"][0], "b": -y["b"] * y["a"]})
START = {"a": jnp.array(0.3), "b": jnp.array([1.0, -2.0])}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_two_steps_are_those_of_diffrax(method):
    def two_steps(solver, h):
        y, t = START, jnp.array(0.2)
        hidden = solver.init(TERM, t, t + h, y, None)
        for _ in range(2):
            y, error, info, hidden, _ = solver.step(TERM, t, t + h, y, None, hidden, False)
            local = solver.interpolation_cls(t0=t, t1=t + h, **info)
            t = t + h
        return y, error, local.evaluate(t - 0.3 * h)

    run = jax.jit(two_steps, static_argnums=0)
    ours, theirs = (run(s, 0.1) for s in (ExplicitRungeKutta(method), method))
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)
    assert ExplicitRungeKutta(method).error_order(TERM) == method.error_order(TERM)


def test_what_is_no_plain_explicit_method_is_left_to_diffrax():
    assert not is_plain(diffrax.Kvaerno3())
    assert not is_plain(diffrax.Tsit5(scan_kind="lax"))
    assert not is_plain(diffrax.HalfSolver(diffrax.Euler()))


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_derivatives_are_those_with_the_loops_of_diffrax(mode):
    f = lambda x: jnp.sum(jnp.cosh(x))

    def last(alpha, solver):
        adjoint = diffrax.ForwardMode() if mode == "forward" else None
        system = ds.HeavyBall(f, alpha)
        options = {"t1": 3.0, "times": 3, "rtol": 1e-10, "atol": 1e-12}
        run = ds.simulate(system, [1.0, 2.0], solver=solver, adjoint=adjoint, **options)
        return run.x[-1]

    derivative = jax.jacfwd if mode == "forward" else jax.jacrev
    kind = "lax" if mode == "forward" else "bounded"
    ours, theirs = (
        derivative(last)(0.7, solver)
        for solver in (diffrax.Tsit5(), diffrax.Tsit5(scan_kind=kind))
    )
    # The first errors are rounding, by which the sizes of steps differ.
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)

"""Derivatives across kinks, against closed forms and differences; where there is none."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from tests.integrators.kinked import TIGHT, absolute, talk

FORWARD = {"adjoint": diffrax.ForwardMode()}
MODES = pytest.mark.parametrize(
    ("derivative", "options"), [(jax.jacrev, {}), (jax.jacfwd, FORWARD)]
)


def differences(function, at, step=1e-6):
    return (function(at + step) - function(at - step)) / (2 * step)


@pytest.mark.slow
@MODES
def test_the_talk_across_a_slide_and_a_leave(derivative, options):
    times = jnp.array([1.0, 3.0, 4.5, 6.0, 7.0])
    start = np.array([-1.5, 1.0])

    def run(parameters, **options):
        alpha, beta, shift = parameters
        system = ds.GDIN(talk, alpha, beta)
        run = ds.simulate(
            system, start + shift * np.array([0.6, -0.8]), t1=7.0, times=times, **options
        )
        return jnp.concatenate([run.x.ravel(), run.v.ravel(), run.events.t[:2]])

    at = jnp.array([1.0, 1.0, 0.0])
    options = TIGHT | options
    found = derivative(lambda p: run(p, **options))(at)
    tight = {"rtol": 1e-11, "atol": 1e-13}
    for i in range(3):
        unit = jnp.eye(3)[i]
        expected = differences(lambda s, u=unit: run(at + s * u, **tight), 0.0, 1e-5)
        np.testing.assert_allclose(found[:, i], expected, rtol=1e-5, atol=1e-5)


def test_gradient_flow_of_the_absolute_value():
    # x(t) = max(x0 - t, 0), so dx/dx0 = 1 before it sticks and 0 after; it sticks at x0.
    def run(x0):
        run = ds.simulate(
            ds.GradientFlow(absolute), x0, t1=3.0, times=jnp.array([0.5, 2.0])
        )
        return jnp.append(run.x, run.events.t[0])

    np.testing.assert_allclose(jax.jacrev(run)(1.5), [1.0, 0.0, 1.0], atol=1e-9)


@pytest.mark.slow
def test_the_data_of_a_loss_and_a_stop():
    def times(w):
        loss = lambda x: jnp.abs(w * x) + jnp.maximum(x, 0.7) * 0.5 * w
        run = ds.simulate(
            ds.GradientFlow(loss), 1.0, t1=3.0, stop=lambda t, x, v: x - 0.5, **TIGHT
        )
        return jnp.stack([run.events.t[0], run.result.t])

    # 0.3 at the speed 3 w / 2, then 0.2 at w: at t = 0.2 / w and 0.4 / w.
    np.testing.assert_allclose(times(2.0), [0.1, 0.2], rtol=1e-8)
    np.testing.assert_allclose(jax.jacrev(times)(2.0), [-0.05, -0.1], rtol=1e-6)


@pytest.mark.slow
def test_batches_under_jit():
    system = ds.GDIN(absolute, 0.5, 0.1)

    def end(x0):
        return ds.simulate(system, x0, t1=1.2, times=2, **TIGHT).x[-1]

    starts = jnp.array([0.3, 0.7, 1.0])
    found = jax.jit(jax.vmap(jax.grad(end)))(starts)
    expected = [differences(end, x) for x in starts]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_the_dense_output_has_a_derivative():
    def later(x0):
        run = ds.simulate(ds.GDIN(absolute, 0.5, 0.1), x0, t1=3.0, dense=True, **TIGHT)
        return run(1.3)

    np.testing.assert_allclose(jax.grad(later)(0.7), differences(later, 0.7), atol=1e-6)


@pytest.mark.slow
def test_kinks_that_are_met_at_once():
    # Apart from each other they have a derivative, whichever comes first.
    def end(x):
        run = ds.simulate(ds.GDIN(absolute, 0.5, 0.1), x, t1=1.5, times=2, **TIGHT)
        return jnp.stack([run.x[-1], run.events.t[:2]])

    found = jax.jacrev(end)(jnp.array([0.7, 0.7]))
    single = differences(lambda x: end(jnp.array([x, 5.0]))[:, 0], 0.7)
    np.testing.assert_allclose(found[0], single[0] * np.eye(2), atol=1e-6)
    np.testing.assert_allclose(found[1], single[1] * np.eye(2), atol=1e-6)

    # The larger of three: which of two comes first decides along which face it goes on.
    def larger(x):
        return 3 * jnp.max(jnp.append(x, 0.0)) - x[0] - x[1]

    def flow(x, throw=True):
        system = ds.GradientFlow(larger)
        return ds.simulate(system, x, t1=1.5, times=2, throw=throw, **FORWARD).x[-1]

    start = jnp.array([-0.7, -0.7])
    with pytest.raises(ValueError, match="several kinks at once"):
        jax.jacfwd(flow)(start)
    assert np.isnan(jax.jacfwd(lambda x: flow(x, False))(start)).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("derivative", "options"), [(jax.jacfwd, FORWARD), (jax.jacrev, {})]
)
def test_a_start_on_a_kink_has_no_derivative_across_it(derivative, options):
    def end(at, throw=True):
        system = ds.GDIN(absolute, at[2], 0.1)
        run = ds.simulate(system, at[:2], t1=1.0, times=2, throw=throw, **options)
        return run.x[-1]

    start = jnp.array([0.0, 2.0, 0.5])
    with pytest.raises(ValueError, match="starts on a kink"):
        derivative(end)(start)
    found = derivative(lambda at: end(at, False))(start)
    assert np.isnan(found[:, 0]).any()
    shift = jnp.array([0.0, 0.0, 1.0])
    expected = differences(lambda s: end(start + s * shift), 0.0)
    np.testing.assert_allclose(found[1, 1:], [found[1, 1], expected[1]], atol=1e-6)


@pytest.mark.slow
def test_a_branch_has_no_derivative():
    with pytest.raises(ValueError, match="branched"):
        jax.grad(
            lambda w: ds.simulate(
                ds.GradientFlow(lambda x: -w * jnp.abs(x)), 0.0, t1=1.0, times=2
            ).x[-1]
        )(1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("derivative", "options"),
    [(jax.hessian, {}), (lambda f: jax.jacfwd(jax.jacfwd(f)), FORWARD)],
)
def test_second_derivatives_are_refused(derivative, options):
    def end(x):
        return ds.simulate(ds.GradientFlow(absolute), x, t1=1.0, times=2, **options).x[-1]

    with pytest.raises(ValueError, match="no second derivatives"):
        jax.eval_shape(derivative(end), 2.0)


@pytest.mark.slow
def test_float32():
    def end(x):
        return ds.simulate(ds.GradientFlow(absolute), x, t1=3.0, times=2).events.t[0]

    found = jax.grad(end)(jnp.float32(1.5))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, 1.0, rtol=1e-5)

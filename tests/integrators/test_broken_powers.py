"""Powers above 1 of absolute values: no kink of the gradient, an infinite Hessian at 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import dynsys as ds
from dynsys.nonsmooth.finder.find_pieces import find_pieces

ALPHA, BETA, END = 0.5, 0.1, 6.0
MIX = np.array([[1.0, 0.4, -0.2], [0.3, -1.2, 0.5], [0.1, 0.6, 0.9]])
X0 = np.array([1.0, -0.7, 0.4])


def kinked(kind, power, size):
    """A loss, and its gradient in NumPy."""
    mix = MIX[:size, :size]
    part = {"abs": jnp.abs, "relu": jax.nn.relu}[kind]

    def loss(x):
        return jnp.sum(part(mix @ x) ** power) + 0.1 * jnp.sum((x + 1) ** 2)

    def gradient(x):
        z = mix @ x
        size = np.abs(z) if kind == "abs" else np.maximum(z, 0)
        return power * mix.T @ (size ** (power - 1) * np.sign(z)) + 0.2 * (x + 1)

    return loss, gradient


def flow(gradient):
    return lambda t, x: -gradient(x)


def damped(beta):
    """The system of (x, x' + beta * gradient), at rest at the start."""

    def field(gradient):
        def rates(t, y):
            x, z = np.split(y, 2)
            g = gradient(x)
            v = z - beta * g
            return np.concatenate([v, -ALPHA * v - g])

        return rates

    return field


SYSTEMS = {
    "gradient flow": (ds.GradientFlow, flow, None),
    "heavy ball": (lambda f: ds.HeavyBall(f, ALPHA), damped(0.0), 0.0),
    "DIN": (lambda f: ds.DIN(f, ALPHA, BETA), damped(BETA), BETA),
    "GDIN": (lambda f: ds.GDIN(f, ALPHA, BETA), damped(BETA), BETA),
}


@pytest.mark.parametrize(
    ("kind", "power", "size"),
    [("abs", 1.5, 1), ("abs", 1.9, 2), ("relu", 1.5, 2)],
)
@pytest.mark.parametrize("name", SYSTEMS)
def test_powers_of_kinks_are_followed_as_smooth_losses(name, kind, power, size):
    system, field, beta = SYSTEMS[name]
    loss, gradient = kinked(kind, power, size)
    x0 = X0[:size]
    y0 = x0 if beta is None else np.concatenate([x0, beta * gradient(x0)])
    exact = solve_ivp(field(gradient), (0, END), y0, "LSODA", rtol=1e-8, atol=1e-9)
    v0 = {} if beta is None else {"v0": np.zeros(size)}
    run = ds.simulate(system(loss), x0, t1=END, times=3, **v0)
    np.testing.assert_allclose(run.x[-1], exact.y[:size, -1], atol=3e-4)


def test_a_power_is_a_kink_of_the_hessian_alone_and_goes_on_beyond_it():
    pieces = find_pieces(lambda x: jnp.sum(2 * jnp.abs(x) ** 1.5), jnp.ones(2))
    assert pieces.joint == (True, True)
    x, across = jnp.array([0.3, -0.2]), jnp.array([-1.0, 1.0])
    exact = 3 * jnp.sqrt(jnp.abs(x)) * jnp.sign(x)
    np.testing.assert_allclose(pieces.gradient(x, across), exact, rtol=1e-14)
    np.testing.assert_array_equal(pieces.gradient(0 * x, across), 0)
    alone = pieces.without((0,))
    assert alone.number == 1
    np.testing.assert_allclose(alone.gradient(x, across[1:]), exact, rtol=1e-14)


def test_with_another_use_of_the_sign_the_kink_stays():
    pieces = find_pieces(lambda x: jnp.abs(x) ** 1.5 + 2 * jnp.abs(x), 1.0)
    assert pieces.joint == (False,)
    for sign in (-1.0, 0.4, 1.0):
        slope = pieces.gradient(jnp.asarray(-0.25), jnp.array([sign]))
        np.testing.assert_allclose(slope, -0.75 + 2 * sign, rtol=1e-14)


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_whole_powers_are_left_as_they_are(power):
    pieces = find_pieces(lambda x: jnp.abs(x) ** power, 1.0)
    assert pieces.program.powers.taken == frozenset()
    assert pieces.number == 1

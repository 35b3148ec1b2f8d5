import jax
import numpy as np
import optax
import pytest

from scripts.learning.optimisers import OPTIMISERS, Hyperparameters

RATE, POWER, STEPS = 0.1, 0.25, 4
START = np.array([1.0, -2.0])


def slope(theta):
    return np.array([1.0, 3.0]) * theta


def sgd(theta, momentum=0.0):
    trace = 0 * theta
    for k in range(STEPS):
        trace = slope(theta) + momentum * trace
        theta = theta - RATE * (k + 1) ** -POWER * trace
    return theta


def adam(theta):
    m, n = 0 * theta, 0 * theta
    for k in range(STEPS):
        g = slope(theta)
        m, n = 0.9 * m + 0.1 * g, 0.999 * n + 0.001 * g**2
        mean, square = m / (1 - 0.9 ** (k + 1)), n / (1 - 0.999 ** (k + 1))
        theta = theta - RATE * (k + 1) ** -POWER * mean / (np.sqrt(square) + 1e-8)
    return theta


def adagrad(theta):
    total = np.full(2, 0.1)
    for k in range(STEPS):
        total = total + slope(theta) ** 2
        theta = theta - RATE * (k + 1) ** -POWER * slope(theta) / np.sqrt(total + 1e-7)
    return theta


def inna(theta, alpha=0.4, beta=0.3):
    psi = (1 - alpha * beta) * theta
    for k in range(STEPS):
        gamma = RATE * (k + 1) ** -POWER
        common = (1 / beta - alpha) * theta - psi / beta
        theta, psi = (
            theta + gamma * (common - beta * slope(theta)),
            psi + gamma * common,
        )
    return theta


BY_HAND = {
    "inna": inna,
    "sgd": sgd,
    "momentum": lambda theta: sgd(theta, 0.8),
    "adam": adam,
    "adagrad": adagrad,
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_steps_are_those_computed_by_hand_with_the_same_schedule(name):
    @jax.jit
    def run(hyper, theta):
        optimiser = OPTIMISERS[name].build(hyper)
        state = optimiser.init(theta)
        for _ in range(STEPS):
            g = theta * np.array([1.0, 3.0], np.float32)
            updates, state = optimiser.update(g, state, theta)
            theta = optax.apply_updates(theta, updates)
        return theta

    hyper = Hyperparameters(RATE, POWER, 0.4, 0.3, 0.8).broadcast(1)
    found = run(jax.tree.map(lambda one: one[0], hyper), START.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, BY_HAND[name](START), rtol=2e-6)


def test_hyperparameters_get_one_entry_a_run_in_single_precision():
    hyper = Hyperparameters(np.array([1.0, 2.0]), 0.5).broadcast(2)
    assert hyper.rate.tolist() == [1, 2]
    assert hyper.decay_power.tolist() == [0.5, 0.5]
    assert {one.dtype for one in hyper} == {np.dtype("float32")}

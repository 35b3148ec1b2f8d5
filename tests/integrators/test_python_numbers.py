"""Numbers of Python among data: no program for each value, and none where it cannot be."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import dynsys as ds


class Loss(eqx.Module):
    """A loss with numbers of Python for fields."""

    height: float
    power: int
    copies: int

    def __call__(self, x):
        # An exponent, and a length, of which no array can be made.
        return self.height * sum(x**self.power for _ in range(self.copies))


def square(x):
    return x**2


@pytest.mark.parametrize("values", [(1.0, 2.0, 3.0), (1, 2, 3)])
def test_a_new_value_in_a_partial_takes_no_new_program(values):
    count = [0]

    def loss(k, x):
        count[0] += 1
        return k * x**2

    ends, seen = [], []
    for k in values:
        run = ds.simulate(ds.DIN(Partial(loss, k), 1.0, 0.1), 1.0, t1=1.0, times=2)
        ends.append(float(run.x[-1]))
        seen.append(count[0])
    assert seen[0] == seen[1] == seen[2]
    for k, end in zip(values, ends, strict=True):
        run = ds.simulate(ds.DIN(lambda x, k=k: k * x**2, 1.0, 0.1), 1.0, t1=1.0, times=2)
        assert end == pytest.approx(float(run.x[-1]), rel=1e-12)


def test_schedules_and_conditions_may_have_such_numbers_too():
    counts = [0, 0]

    def alpha(a, t):
        counts[0] += 1
        return a + 1 / (1 + t)

    def stop(b, t, x, v):
        counts[1] += 1
        return x - b

    seen = []
    for value in (0.2, 0.3, 0.4):
        system = ds.HeavyBall(square, Partial(alpha, value))
        run = ds.simulate(system, 1.0, t1=9.0, times=2, stop=Partial(stop, value))
        assert float(run.final_state.x) == pytest.approx(value, rel=1e-5)
        seen.append(tuple(counts))
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.slow
def test_lengths_and_exponents_stay_what_they_are():
    for power, copies in ((2, 1), (4, 3)):
        run = ds.simulate(ds.DIN(Loss(0.5, power, copies), 1.0, 0.1), 1.0, t1=1.0, times=2)
        plain = lambda x, p=power, c=copies: 0.5 * c * x**p
        right = ds.simulate(ds.DIN(plain, 1.0, 0.1), 1.0, t1=1.0, times=2)
        np.testing.assert_allclose(run.x, right.x, rtol=1e-9)


def test_the_precision_of_the_position_stays():
    loss = Partial(lambda k, x: k * jnp.sum(x**2), 2.0)
    run = ds.simulate(ds.DIN(loss, 1.0, 0.1), jnp.ones(2, jnp.float32), t1=1.0, times=2)
    assert run.x.dtype == jnp.float32


def test_the_largest_step_may_have_such_numbers_too():
    count = [0]

    def longest(h, t):
        count[0] += 1
        return h + 0 * t

    seen, steps = [], []
    for h in (0.5, 0.05, 0.01):
        run = ds.simulate(
            ds.HeavyBall(square, 1.0), 1.0, t1=1.0, times=2, max_step=Partial(longest, h)
        )
        seen.append(count[0])
        steps.append(int(run.stats.steps))
    assert seen[0] == seen[1] == seen[2]
    assert steps[1] >= 20
    assert steps[2] >= 100


@pytest.mark.slow
def test_a_new_number_in_the_case_of_an_ensemble_takes_no_new_program():
    counts = [0, 0, 0]

    def case(k, alpha):
        counts[0] += 1
        return ds.DIN(Partial(loss, k), alpha, 0.1), [k, 2.0]

    def loss(k, x):
        counts[1] += 1
        return k * jnp.sum(x**2)

    def stop(level, t, x, v):
        counts[2] += 1
        return jnp.sum(x) - level

    alphas, seen = jnp.array([1.0, 2.0]), []
    for k in (1.0, 2.0, 3.0):
        runs = ds.simulate_ensemble(
            Partial(case, k), alpha=alphas, t1=1.0, times=2, stop=Partial(stop, -k)
        )
        right = ds.simulate(
            ds.DIN(lambda x, k=k: k * jnp.sum(x**2), 1.0, 0.1), [k, 2.0], t1=1.0, times=2
        )
        np.testing.assert_allclose(runs.x[0], right.x, rtol=1e-6)
        seen.append(tuple(counts))
    # What is given is looked at each time, but not compiled again.
    first, second, third = (np.array(c) for c in seen)
    assert (third - second == second - first).all()
    assert (second - first < first).all()

"""Steps of first order: kinks that are crossed ever faster, or too many to follow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.integrators.inclusion import choose, first_order
from dynsys.nonsmooth import active_set, smallest_gradient
from dynsys.result import Status
from tests.integrators.kinked import TIGHT, absolute, talk


@pytest.mark.slow
def test_the_crossing_speed_of_heavy_ball_decays_like_exp_of_minus_alpha_t_over_3():
    alpha = 1.0
    run = ds.simulate(
        ds.HeavyBall(absolute, alpha), 1.0, t1=20.0, dense=True, max_events=512, **TIGHT
    )
    count = int(run.events.count)
    when = run.events.t[:count]
    scaled = jnp.abs(jax.vmap(run.velocity)(when)) * jnp.exp(alpha * when / 3)
    assert count > 200
    np.testing.assert_allclose(scaled[-50:], scaled[-1], rtol=1e-5)
    assert float(scaled[0]) < 0.99 * float(scaled[-1])
    # Then events are given up, and it stays where it will end.
    first_order = run.stats.first_order
    assert float(when[-1]) == pytest.approx(float(first_order.since), abs=1e-9)
    np.testing.assert_allclose(run.x[-1], 0, atol=float(first_order.error) + 1e-12)
    # Between two crossings it swings by v^2 / 2, which long steps do not see.
    speed = float(abs(run.velocity(when[-1])))
    assert speed**2 / 2 < float(first_order.error) < 4 * speed**2
    assert int(run.derivative) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "alpha", "end"), [(ds.HeavyBall, 1.0, 12.0), (ds.AVD, 6.0, 40.0)]
)
def test_the_stated_error_is_that_against_the_events(system, alpha, end):
    # Short of room in the ledger, events are given up early.
    loss = lambda x: absolute(x) + 0.1 * x @ x
    start = {"x0": [1.0, -1.3], "v0": [0.0, 0.0], "t0": 1.0, "t1": end}
    solve = lambda room: ds.simulate(system(loss, alpha), **start, max_events=room)
    exact, early = solve(1024), solve(24)
    assert float(exact.stats.first_order.since) > 1.5 * float(early.stats.first_order.since)
    before = early.t < early.stats.first_order.since
    np.testing.assert_allclose(early.x[before], exact.x[before], atol=1e-5)
    error = float(jnp.abs(early.x - exact.x).max())
    stated = float(early.stats.first_order.error)
    assert 0 < error < stated < 20 * error
    assert int(early.stats.first_order.steps) >= 256


@pytest.mark.slow
def test_rest_on_a_kink_is_rest():
    run = ds.simulate(ds.HeavyBall(absolute, 1.0), [0.0, 1.0], t1=2.0, times=5)
    np.testing.assert_array_equal(run.x[:, 0], 0)
    alone = ds.simulate(ds.HeavyBall(absolute, 1.0), 1.0, t1=2.0, times=5)
    np.testing.assert_allclose(
        run.x[:, 1], alone.x, atol=float(run.stats.first_order.error)
    )


@pytest.mark.slow
def test_g_din_is_followed_to_its_last_event():
    # 17 crossings, ever faster, and then it sticks: that is exact.
    system = ds.GDIN(absolute, 0.0, 0.1)
    run = ds.simulate(system, system.state(6.2, 6.2), t1=70.0)
    assert run.stats.first_order is None
    assert int(run.events.count) > 16


@pytest.mark.slow
def test_more_kinks_than_can_be_followed(monkeypatch):
    system = ds.GDIN(talk, 1.0, 1.0)
    solve = lambda **options: ds.simulate(system, [-1.5, 1.0], t1=6.0, **options)
    exact = solve(**TIGHT)
    monkeypatch.setattr(choose, "MANY_KINKS", 1)
    # Other tolerances than before, or the compiled program would be used again.
    run = solve(times=100, dense=True)
    assert run.stats.solver == "SemiImplicitEuler"
    assert "first order" in run.stats.reason
    assert run.inclusion == "autodiff"
    np.testing.assert_allclose(run.x[-1], exact.x[-1], atol=run.stats.first_order.error)
    np.testing.assert_allclose(run(6.0), run.x[-1], atol=1e-12)
    tries = int(run.stats.gradient_evaluations)
    assert tries == 2 * int(run.stats.first_order.steps) - 256
    with pytest.raises(ValueError, match="have no derivative"):
        jax.grad(lambda x: ds.simulate(system, x, t1=1.0, times=3).x[-1, 0])(jnp.ones(2))
    # 256 steps are unstable on this interval: the state overflows, so they are halved.
    long = ds.simulate(system, [-1.5, 1.0], t1=40.0, times=4)
    np.testing.assert_allclose(long.x[-1], 1, atol=1e-2)
    with pytest.raises(ds.SimulationError, match="max_steps"):
        ds.simulate(system, [-1.5, 1.0], t1=40.0, times=4, max_steps=200)
    stopped = ds.simulate(system, [-1.5, 1.0], t1=6.0, stop=lambda t, x, v: -0.1 - x[0])
    assert bool(stopped.result.stopped)
    np.testing.assert_allclose(stopped.x[-1, 0], -0.1, atol=1e-3)


@pytest.mark.slow
def test_large_networks_take_one_gradient_a_step():
    random = np.random.default_rng(0)
    samples = jnp.asarray(random.normal(size=(64, 10)))
    labels = jnp.sin(samples[:, 0])

    def loss(p):
        hidden = jax.nn.relu(samples @ p["w"] + p["b"][None])
        return jnp.mean((hidden @ p["a"] - labels) ** 2)

    start = {"w": random.normal(size=(10, 200)) / 3, "b": np.zeros(200)}
    start |= {"a": random.normal(size=200) / 14}
    run = ds.simulate(ds.GDIN(loss, 0.5, 0.1), start, t1=2.0, times=5)
    assert "12800 places" in run.stats.reason
    assert int(run.stats.first_order.steps) <= 4096
    assert float(run.objective[-1]) < 0.1 * float(run.objective[0])


def test_kinks_of_the_hessian_count_among_the_many_but_alone_need_no_such_steps(
    monkeypatch,
):
    monkeypatch.setattr(choose, "MANY_KINKS", 1)
    bends = lambda x: jnp.where(x > 0, x**2, 0.0)
    solve = lambda loss: ds.simulate(ds.GDIN(loss, 1.0, 0.7), [0.5, 1.0], t1=1.3, times=3)
    both = solve(lambda x: jnp.abs(x[0]) + bends(x[1]))
    assert "2 kinks are more than are followed" in both.stats.reason
    assert both.stats.first_order is not None
    smooth = solve(lambda x: jnp.sum(bends(x)))
    assert smooth.stats.first_order is None


def unsettled(above):
    """A search that fails where the gradient weighs more than a bound."""

    def search(pieces, x, aim, *rest, **options):
        found = active_set.find_signs(pieces, x, aim, *rest, **options)
        return found._replace(settled=found.settled & (jnp.abs(aim.factor) <= above))

    return search


@pytest.mark.slow
def test_steps_are_shortened_until_the_signs_of_each_agree_with_it(monkeypatch):
    h = 2.0 / 2048
    monkeypatch.setattr(first_order, "find_signs", unsettled(1.01 * h**2))
    start = {"x0": [0.0, 1.0], "t1": 2.0, "times": 4}
    run = ds.simulate(ds.HeavyBall(absolute, 1.1), **start)
    assert int(run.stats.first_order.steps) == 2048
    monkeypatch.setattr(first_order, "find_signs", unsettled(0.0))
    run = ds.simulate(ds.HeavyBall(absolute, 1.2), **start, max_steps=2500, throw=False)
    assert int(run.result.code) == int(Status.UNSETTLED)
    assert float(run.result.t) == float(run.stats.first_order.since)


@pytest.mark.slow
def test_a_smallest_gradient_that_is_not_found_is_said(monkeypatch):
    monkeypatch.setattr(smallest_gradient, "find_signs", unsettled(0.0))
    with pytest.raises(ds.SimulationError, match="no signs of theirs were found"):
        ds.simulate(ds.GDIN(absolute, 1.3, 0.1), [0.0, 1.0], t1=1.0, times=3)

"""When coefficients switch, against what their formulas say."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dynsys as ds
from dynsys.integrators.closures import open_system
from dynsys.switches import switch_times

KNOTS = jnp.array([0.5, 1.25, 2.0])

SCHEDULES = {
    "comparison": (lambda t: jnp.where(t < 0.7, 0.1, 3.0), [0.7]),
    "from the right": (lambda t: jnp.where(t <= 0.7, 0.1, 3.0), [0.7]),
    "chain": (
        lambda t: jnp.where(t < 0.5, 1.0, jnp.where(2 * t < 2.5, 2.0, 3.0)),
        [0.5, 1.25],
    ),
    "floor": (lambda t: 0.3 + jnp.floor(2 * t) % 2, [0.5, 1.0, 1.5, 2.0, 2.5]),
    "ceil": (lambda t: jnp.ceil(t - 0.25), [0.25, 1.25, 2.25]),
    "round": (lambda t: 2 + jnp.round(t), [0.5, 1.5, 2.5]),
    "integers": (lambda t: 1.0 + t.astype(int).astype(float), [1.0, 2.0]),
    "duty": (lambda t: jnp.where(jnp.mod(t, 1.5) < 0.3, 1.0, 2.0), [0.3, 1.5, 1.8]),
    "sign": (lambda t: 1.5 + jnp.sign(1.2 - t), [1.2]),
    "bend": (lambda t: jnp.abs(t - 1.0), [1.0]),
    "clip": (lambda t: jnp.clip(t, 0.5, 2.5), [0.5, 2.5]),
    "decay": (lambda t: jnp.maximum(jnp.exp(-t), 0.5), [np.log(2)]),
    "wave": (
        lambda t: jnp.where(jnp.sin(5 * t) > 0, 1.0, 2.0),
        [np.pi / 5, 2 * np.pi / 5, 3 * np.pi / 5, 4 * np.pi / 5],
    ),
    "search": (lambda t: 1.0 + jnp.searchsorted(KNOTS, t).astype(float), [0.5, 1.25, 2.0]),
    "table": (lambda t: jnp.interp(t, KNOTS, jnp.array([1.0, 3, 2])), [0.5, 1.25, 2.0]),
    "cond": (lambda t: jax.lax.cond(t < 1.1, lambda t: 1 + t, lambda t: 3.0, t), [1.1]),
    "staircase of optax": (
        optax.piecewise_constant_schedule(1.0, {1: 0.5, 2: 0.1}),
        [1, 2],
    ),
    "up to the end": (lambda t: jnp.where(t < 2.9, 0.1, 3.0), [2.9]),
    "joined by optax": (
        optax.join_schedules(
            [optax.constant_schedule(1.0), optax.constant_schedule(0.2)], [1]
        ),
        [1.0],
    ),
    "piecewise": (ds.schedules.Piecewise([0.5, 2.0], [1.0, lambda t: t, 2.0]), [0.5, 2.0]),
}


def found(schedule, t0=0.0, t1=2.9):
    start = jnp.asarray(t0)
    system = ds.HeavyBall(lambda x: x**2, schedule)
    return jax.jit(
        lambda t: switch_times(open_system(system, t, jnp.array(1.0)), t, jnp.asarray(t1))
    )(start)


def finite(times):
    return np.asarray(times)[np.isfinite(times)]


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_switches_where_its_formula_says(name):
    schedule, right = SCHEDULES[name]
    switches = found(schedule)
    np.testing.assert_allclose(finite(switches.times), right, rtol=4e-16)
    assert not switches.too_many
    assert not switches.jumps


@pytest.mark.parametrize(
    "schedule",
    [
        lambda t: 1 + 0.5 * jnp.sin(t),
        lambda t: jnp.exp(-t) / (1 + t),
        ds.schedules.PowerLaw(1.0, 2.0),
        lambda t: jnp.where(KNOTS[0] < 1.0, 1.0 + t, t),
    ],
)
def test_a_smooth_schedule_has_no_program_of_switches(schedule):
    assert found(schedule) is None


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_times_of_any_size_are_found(scale):
    schedule = lambda t: jnp.where(t < 0.7 * scale, 0.1, jnp.where(t < 0.8 * scale, 1, 3.0))
    times = finite(found(schedule, t1=scale).times)
    np.testing.assert_allclose(times, [0.7 * scale, 0.8 * scale], rtol=4e-16)
    late = lambda t: jnp.where(t < 1e9 + 0.7 * scale, 0.1, 3.0)
    times = (
        finite(found(late, 1e9, 1e9 + scale).times) if scale >= 1 else [1e9 + 0.7 * scale]
    )
    np.testing.assert_allclose(times, 1e9 + 0.7 * scale, rtol=4e-16)


def test_what_is_too_often_or_cannot_be_read_is_said():
    assert found(lambda t: jnp.where(jnp.mod(t, 1e-3) < 3e-4, 1.0, 2.0)).too_many
    entries = jnp.arange(1100) / 400
    table = lambda t: 1.0 + (jnp.searchsorted(entries, t) % 2).astype(float)
    assert found(table).too_many
    count = lambda t: jax.lax.fori_loop(
        0, 3, lambda i, c: jnp.where(t > i * 0.9, c + 1, c), 1.0
    )
    assert found(count).jumps
    assert found(lambda t: 4 + jnp.arctan2(jnp.sin(4 * t), jnp.cos(4 * t))).jumps
    smooth = lambda t: jax.lax.fori_loop(0, 3, lambda i, c: c * jnp.cos(t), 1.0)
    assert not found(smooth).jumps


def test_a_time_moves_with_what_it_is_made_of():
    at = lambda a: found(lambda t: jnp.where(t**2 < a, 1.0, 2.0)).times[0]
    assert float(jax.grad(at)(2.0)) == pytest.approx(1 / (2 * 2**0.5), rel=1e-12)


POWERS = {
    "square": lambda t, c: t**2 < c**2,
    "falling": lambda t, c: -(t**2) > -(c**2),
    "small": lambda t, c: 1e-200 * (t**2 - c**2) < 0,
}


@pytest.mark.parametrize("name", POWERS)
def test_a_switch_at_any_fraction_of_the_interval_is_found(name):
    below = POWERS[name]

    @jax.jit
    def times(c, end):
        system = ds.HeavyBall(lambda x: x**2, lambda t: jnp.where(below(t, c), 1.0, 2.0))
        found = switch_times(system, jnp.zeros(()), end)
        assert found is not None
        return found.times

    for end in (1.0, 4.0, 10.0):
        right = end * np.arange(1, 512) / 512
        all_times = jax.vmap(times, (0, None))(jnp.asarray(right), jnp.asarray(end))
        np.testing.assert_allclose(all_times[:, 0], right, rtol=1e-12)
        assert not np.isfinite(all_times[:, 1:]).any()


ROOTS = np.sqrt(np.arange(1, 16))


@pytest.mark.parametrize(
    ("curve", "right"),
    [(lambda t: t**2, [*ROOTS, 4.0]), (lambda t: (4 - t) ** 2, np.sort(4 - ROOTS))],
)
def test_integers_that_a_curve_takes_where_it_is_looked_at_are_crossed_once(curve, right):
    times = found(lambda t: jnp.floor(curve(t)), 0.0, 4.0).times
    np.testing.assert_allclose(finite(times), right, rtol=1e-12)

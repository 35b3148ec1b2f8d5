"""Runs at rest that no step can follow reach their end; nothing else is taken for rest."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import dynsys as ds
from dynsys.result import Derivative, Status
from tests.tiers import one_in


def cusp(x):
    """Of three parts: the first and the last have a cusp between them that ends at 0."""
    parts = x[0] ** 2 + x[1] ** 2, 2 * x[0] + x[1] ** 2, jnp.abs(x[1] - x[0])
    return jnp.maximum(jnp.maximum(parts[0], parts[1]), parts[2])


def rest_of(run):
    """Since when a run is at rest."""
    return float(run.stats.rest_since)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alpha", "beta", "start"),
    [
        (2.8361526482243584, 0.2983131658823871, [-0.9595216523149548, 2.9816731136386707]),
        (1.699095802112076, 0.5379754581177464, [-0.5613513219583753, 1.2853114742500307]),
        (
            3.5427095284035417,
            0.0861340763791048,
            [-1.3767254338156458, -0.4909125758271949],
        ),
        (0.1028402306168057, 0.0238026399108336, [3.752182257168181, 1.422619478848602]),
        (1.0, 0.1, [1.0, 1.0]),
    ],
)
def test_a_run_that_comes_to_rest_in_the_tip_of_a_cusp_reaches_its_end(alpha, beta, start):
    run = ds.simulate(ds.GDIN(cusp, alpha, beta), jnp.array(start), t1=60.0, times=61)
    assert run.result.t == 60
    late = np.asarray(run.t) >= min(rest_of(run), 60)
    np.testing.assert_allclose(run.x[late], 0, atol=1e-9)
    np.testing.assert_allclose(run.v[late], 0, atol=1e-9)


@pytest.mark.slow
def test_a_rest_is_told_and_has_no_derivative():
    options = {"t1": 60.0, "times": 5, "max_events": 1}
    run = ds.simulate(ds.GDIN(cusp, 1.0, 0.1), jnp.zeros(2), **options)
    assert 0 <= rest_of(run) < 60
    np.testing.assert_array_equal(run.x, 0)
    assert int(run.derivative) == Derivative.NONE
    assert int(run.events.count) == 1


class Terms(NamedTuple):
    """Coefficients of what depends on the second coordinate."""

    slope: Any = 0.0
    curvature: Any = 0.0
    kink: Any = 0.0
    twist: Any = 0.0


def terms(given, x):
    """A loss with two kinks that a start at 0 lies on, and free in between."""
    size, y = jnp.abs(x[1]), x[1]
    rest = given.slope * y + 0.5 * given.curvature * y**2 + given.kink * size
    return jnp.abs(x[0]) + jnp.abs(x[2]) + rest + given.twist * y * size


def crowded(given, y, t1, speed=0.0, **options):
    """A run that has no room for the kinks that it starts on, so that it is looked at."""
    loss = Partial(terms, Terms(*map(jnp.asarray, given)))
    start, v = jnp.array([0.0, y, 0.0]), jnp.array([0.0, speed, 0.0])
    system = ds.GDIN(loss, 1.0, 0.1)
    return ds.simulate(
        system, start, v, t1=t1, times=3, max_events=1, throw=False, **options
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    one_in(
        5,
        [
            (Terms(curvature=1.0), 0.0, 1e9),
            (Terms(curvature=1.0), 1e-13, 60.0),
            (Terms(kink=1.0), 1e-12, 60.0),
            (Terms(slope=-0.9, kink=1.0), -1e-12, 60.0),
            (Terms(), 3.0, 1e9),
        ],
    ),
)
def test_what_is_at_rest_is_taken_for_it(case):
    given, y, t1 = case
    run = crowded(given, y, t1)
    assert run.result.ok
    np.testing.assert_allclose(run.x, [[0, y, 0]] * 3, atol=1e-11)


WEDGE = Terms(slope=-0.5 * (1 + 1e-9), kink=0.5 * (1 - 1e-9))
"""Slopes of -1 and of -1e-9."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "y", "t1", "speed"),
    [
        (Terms(curvature=1.0), 1.0, 60.0, 0.0),
        (Terms(slope=1e-8), 0.0, 60.0, 0.0),
        (Terms(slope=1e-8), 0.0, 1e9, 0.0),
        (Terms(slope=1e-12), 0.0, 1e4, 0.0),
        (Terms(curvature=-1.0), 0.0, 60.0, 0.0),
        (Terms(curvature=-1.0), 1e-18, 60.0, 0.0),
        (Terms(curvature=-1e-6), 1e-18, 1e6, 0.0),
        (Terms(curvature=1e-12), 1.0, 1e6, 0.0),
        (Terms(kink=-1.0), 0.0, 60.0, 0.0),
        (Terms(kink=-1.0), 1e-12, 60.0, 0.0),
        (Terms(kink=1.0, curvature=-2.0), 0.0, 60.0, 0.0),
        (Terms(twist=1.0), 0.0, 60.0, 0.0),
        (Terms(twist=1.0), 1e-15, 60.0, 0.0),
        (WEDGE, 0.0, 60.0, 0.0),
        (WEDGE, -1e-12, 60.0, 0.0),
        (Terms(), 0.0, 60.0, 1e-8),
        (Terms(kink=1e-10), 0.0, 60.0, 1e-9),
    ],
)
def test_what_moves_or_may_be_moved_is_not_taken_for_rest(given, y, t1, speed):
    run = crowded(given, y, t1, speed)
    assert run.result.code == Status.MAX_EVENTS
    assert np.isinf(rest_of(run))


@pytest.mark.slow
def test_conditions_and_largest_steps_count_at_rest():
    stop = lambda t, x, v: 5.0 - t
    run = crowded(Terms(curvature=1.0), 0.0, 60.0, stop=stop, max_step=0.5)
    assert run.result.code == Status.STOPPED
    np.testing.assert_allclose(run.result.t, 5.0, rtol=1e-12)
    assert run.stats.steps >= 10

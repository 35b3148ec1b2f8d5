import types

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from scripts.basins import (
    ALPHA,
    ALPHAS,
    BETAS,
    DEADLINE,
    WINDOW,
    arrival,
    main,
    map_and_courses,
    sides,
)

pytestmark = pytest.mark.slow

# So many that some are near a border, where two percent of the damping show.
STARTS = np.random.default_rng(0).uniform(*np.transpose(WINDOW), (40, 2))
DAMPINGS = np.array([0.0, 0.1, 1.0])


@pytest.fixture(scope="module")
def found():
    """Sides that starts and their mirror images reach."""
    mirrored = STARTS * np.array([-1.0, 1.0])
    return np.split(sides(np.concatenate([STARTS, mirrored]), DAMPINGS), 2, axis=1)


def side_by_scipy(start, beta):
    """DIN on the bent double well, with its derivatives by hand."""

    def field(t, state):
        (x, y), v = state[:2], state[2:]
        gradient = np.array([x**3 - x - 2 * x * (y - x**2), y - x**2])
        hessian = np.array([[9 * x**2 - 1 - 2 * y, -2 * x], [-2 * x, 1]])
        return np.concatenate([v, -ALPHA * v - beta * hessian @ v - gradient])

    start = np.concatenate([start, np.zeros(2)])
    end = solve_ivp(field, (0, 100), start, method="DOP853", rtol=1e-9, atol=1e-12)
    return np.sign(end.y[0, -1])


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "basins", tmp_path)


def test_each_start_reaches_the_minimiser_that_scipy_finds(found):
    expected = [[side_by_scipy(start, beta) for start in STARTS] for beta in DAMPINGS[:2]]
    np.testing.assert_array_equal(found[0][:2], expected)


def test_mirror_images_reach_the_other_minimiser(found):
    np.testing.assert_array_equal(found[1], -found[0])


def test_with_strong_geometric_damping_each_start_stays_on_its_side(found):
    np.testing.assert_array_equal(found[0][2], np.sign(STARTS[:, 0]))


def test_only_the_well_damped_mark_has_all_its_starts_arrive_early():
    # The sizes of the quick figure, whose compiled program serves here, too.
    grid = np.geomspace(*ALPHAS, 4), np.geomspace(*BETAS, 4)
    _, times = map_and_courses(*grid, 4, 8)
    late = (times > DEADLINE).mean(axis=1)
    assert late[0] == 0
    assert (late[1:] > 0.2).all()


@pytest.mark.parametrize(
    ("distances", "expected"),
    [([1, 0, 1, 0, 0], 3.0), ([0, 0, 0, 0, 0], 0.0), ([1, 0, 0, 0, 1], np.inf)],
)
def test_arrival_is_the_first_output_after_the_last_one_far_away(distances, expected):
    x = 1 + jnp.asarray(distances, float)[:, None] * jnp.ones((1, 2))
    assert arrival(types.SimpleNamespace(t=jnp.arange(5.0), x=x)) == expected

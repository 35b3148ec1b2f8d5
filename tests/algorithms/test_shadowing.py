import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import dynsys as ds
from dynsys.algorithms import MiniBatches, inna_path, shadowing

# Without viscous damping: the motion lasts, so that distances stay above rounding.
ALPHA, BETA = 0.0, 0.1
HESSIAN = np.diag([1.0, 3.0])
THETA = np.array([1.0, -0.5])
SYSTEM = ds.GDIN(ds.objectives.Quadratic(HESSIAN), ALPHA, BETA)
EYE = np.eye(2)
# The flow is z' = A z, and a step of INNA is I + gamma A.
FIELD = np.block(
    [
        [(1 / BETA - ALPHA) * EYE - BETA * HESSIAN, -EYE / BETA],
        [(1 / BETA - ALPHA) * EYE, -EYE / BETA],
    ]
)


def iterates(gammas):
    z = np.concatenate([THETA, (1 - ALPHA * BETA) * THETA])
    rows = [z]
    for gamma in gammas:
        z = z + gamma * FIELD @ z
        rows.append(z)
    return np.cumsum([0.0, *gammas]), np.array(rows)


def exact_distances(t, rows, index, length, points):
    """The largest distances of states and positions by the matrix exponential."""
    offsets = np.linspace(0, length, points + 1)
    step = scipy.linalg.expm(FIELD * offsets[1])
    flow = [rows[index]]
    for _ in range(points):
        flow.append(step @ flow[-1])
    path = np.stack(
        [np.interp(t[index] + offsets, t, rows[:, i]) for i in range(4)], axis=1
    )
    gap = np.array(flow) - path
    return [np.linalg.norm(gap[:, :size], axis=1).max() for size in (4, 2)]


SCHEDULES = {
    "constant": (0.01, 0.0),
    "log": (lambda k: 0.01 / jnp.log(k.astype(float) + 3), 0.0),
    "quarter": (0.01, 0.25),
    "half": (0.01, 0.5),
}
GAMMAS = {
    "constant": lambda k: np.full(len(k), 0.01),
    "log": lambda k: 0.01 / np.log(k + 3.0),
    "quarter": lambda k: 0.01 * (k + 1) ** -0.25,
    "half": lambda k: 0.01 * (k + 1) ** -0.5,
}


def slope(gammas, distances):
    return np.polyfit(np.log(gammas), np.log(distances), 1)[0]


@pytest.mark.parametrize("name", SCHEDULES)
def test_distances_are_those_of_matrix_powers_to_the_matrix_exponential(name):
    rate, power = SCHEDULES[name]
    path = inna_path(SYSTEM, THETA, rate, 2000, decay_power=power)
    length = 0.6
    found = shadowing(path, length, windows=4)
    t, rows = iterates(GAMMAS[name](np.arange(2000.0)))
    starts = np.searchsorted(t, found.t - 1e-12)
    assert starts[0] == 0
    assert t[starts[-1]] == pytest.approx(t[-1] - length, abs=0.01)
    np.testing.assert_allclose(found.t, t[starts], rtol=1e-12)
    np.testing.assert_allclose(found.gamma, GAMMAS[name](starts.astype(float)), rtol=1e-12)
    exact = [exact_distances(t, rows, index, length, 1000) for index in starts]
    # The solution is found to about 1e-8, and the smallest distance is about 1e-4.
    np.testing.assert_allclose(found.distance, np.array(exact)[:, 0], rtol=1e-4)
    np.testing.assert_allclose(found.theta_distance, np.array(exact)[:, 1], rtol=1e-4)


def test_with_constant_steps_the_distance_is_of_order_gamma():
    gammas = np.array([1e-2, 1e-3, 1e-4])
    distances = [
        shadowing(
            inna_path(SYSTEM, THETA, gamma, round(4 / gamma)), 2.0, windows=3
        ).distance
        for gamma in gammas
    ]
    for column in np.transpose(distances):
        assert slope(gammas, column) == pytest.approx(1, abs=0.05)


def test_distances_vanish_along_the_windows_as_the_step_sizes_do():
    """Relative to the size of the swing, which shrinks; the windows are its period."""
    system = ds.GDIN(ds.objectives.Quadratic(EYE), ALPHA, BETA)
    last = {}
    for name, rate, power in (
        ("log", lambda k: 0.05 / jnp.log(k.astype(float) + 3), 0.0),
        ("quarter", 0.05, 0.25),
        ("half", 0.05, 0.5),
    ):
        path = inna_path(system, THETA, rate, 50_000, decay_power=power)
        found = shadowing(path, 2 * np.pi, windows=6, atol=1e-14)
        theta, psi = path(found.t)
        size = np.linalg.norm(np.hstack([theta, (theta - psi) / BETA]), axis=1)
        relative = found.distance / size
        assert relative[0] > 1.5 * relative[1] > 1.5 * relative[-1]
        # In the first window the step size falls fast; later it depends on the phase only.
        ratio = relative[1:] / found.gamma[1:]
        assert ratio.max() / ratio.min() < 1.6
        last[name] = relative[-1]
    assert last["log"] > 1.3 * last["quarter"] > 10 * last["half"]


def test_with_mini_batches_and_constant_steps_it_is_of_the_order_of_the_root_of_gamma():
    data = np.random.default_rng(0).normal(size=(20, 2))
    loss = lambda x, a: 0.5 * jnp.sum((x - a) ** 2)
    gradient = MiniBatches(loss, data, 1, jax.random.key(0))
    system = ds.GDIN(gradient.objective, 1.0, 0.5)
    gammas = np.array([1e-2, 1e-3, 1e-4])
    means = []
    for gamma in gammas:
        path = inna_path(system, THETA, gamma, round(20 / gamma), gradient=gradient)
        means.append(shadowing(path, 1.0, windows=20).distance.mean())
    assert slope(gammas, means) == pytest.approx(0.5, abs=0.1)


@pytest.mark.slow
def test_before_the_first_kink_the_distance_is_of_order_gamma():
    """The talk's function: its first kink is crossed at t = 3.9."""
    system = ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.3, 0.1)
    gammas = np.array([1e-3, 3e-4, 1e-4])
    distances = []
    for gamma in gammas:
        path = inna_path(system, (-1.0, 1.5), gamma, round(3 / gamma), start=0.1)
        distances.append(shadowing(path, 0.9, windows=3).distance)
    for column in np.transpose(distances):
        assert slope(gammas, column) == pytest.approx(1, abs=0.1)


@pytest.fixture(scope="module", name="path")
def short():
    return inna_path(SYSTEM, THETA, 0.05, 20)


def test_all_windows_share_one_program():
    traces = []

    def objective(x):
        traces.append(1)
        return 0.5 * jnp.sum(x**2)

    system = ds.GDIN(objective, ALPHA, BETA)
    path = inna_path(system, THETA, 0.05, 50)
    shadowing(path, 0.3, windows=1, points=20)
    first = len(traces)
    found = shadowing(path, 0.3, windows=6, points=20)
    assert len(traces) == first
    assert len(found.t) == 6
    shadowing(path, 0.7, windows=2, points=20)
    assert len(traces) == first


def test_a_window_may_be_as_long_as_the_path():
    """Ten steps of 0.1 are less than 1 by rounding."""
    path = inna_path(ds.GDIN(SYSTEM.objective, ALPHA, 0.5), THETA, 0.1, 10)
    assert path.t[-1] < 1
    found = shadowing(path, 1.0, windows=3)
    np.testing.assert_array_equal(found.t, [0.0])


def test_windows_are_no_more_than_there_are_iterates(path):
    found = shadowing(path, 0.7, windows=20)
    np.testing.assert_allclose(found.t, np.linspace(0, 0.3, 7), atol=1e-12)


def test_more_points_see_no_smaller_distance(path):
    few, many = (shadowing(path, 0.5, windows=2, points=n).distance for n in (7, 1000))
    assert (few <= many + 1e-9).all()
    np.testing.assert_allclose(few, many, rtol=0.1)


def test_pytrees_in_single_precision_are_taken():
    system = ds.GDIN(lambda x: 0.5 * jnp.sum(x["a"] ** 2) + 1.5 * x["b"] ** 2, ALPHA, BETA)
    x0 = {"a": jnp.ones(1, jnp.float32), "b": jnp.array(-0.5, jnp.float32)}
    found = shadowing(inna_path(system, x0, 0.01, 100), 0.5, windows=2)
    plain = shadowing(inna_path(SYSTEM, THETA, 0.01, 100), 0.5, windows=2)
    # The default relative tolerance in 32 bit is 1e-4, the distances are 1e-2.
    np.testing.assert_allclose(found.distance, plain.distance, rtol=0.05)
    np.testing.assert_allclose(found.theta_distance, plain.theta_distance, rtol=0.05)


def test_options_are_those_of_simulate(path):
    with pytest.raises(ValueError, match="`inclusion` must be one of"):
        shadowing(path, 0.5, inclusion="nothing")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0.0}, "`window` must be positive"),
        ({"windows": 0}, "`windows` must be a positive integer"),
        ({"points": 0}, "`points` must be a positive integer"),
        ({"window": 1.1}, "The path has length 1, less than a window of 1.1"),
    ],
)
def test_what_is_out_of_range_is_refused(path, options, message):
    with pytest.raises(ValueError, match=message):
        shadowing(path, **{"window": 0.5, **options})


def test_what_is_no_path_of_numbers_is_refused(path):
    with pytest.raises(TypeError, match="needs the iterates of INNA"):
        shadowing(path.theta, 0.5)
    with pytest.raises(ValueError, match="runs on the host"):
        jax.jit(lambda one: shadowing(one, 0.5).distance)(path)
    system = ds.GDIN(lambda x: -1e300 * jnp.sum(x**2), 0.0, 0.5)
    broken = inna_path(system, THETA, 0.1, 20, throw=False)
    with pytest.raises(ValueError, match="not finite"):
        shadowing(broken, 0.5)


def test_what_the_windows_decide_is_no_option():
    path = inna_path(ds.GDIN(lambda x: x**2, 1.0, 0.5), 1.0, 0.1, 20)
    with pytest.raises(ValueError, match="`times` is no option here"):
        shadowing(path, 1.0, times=5)

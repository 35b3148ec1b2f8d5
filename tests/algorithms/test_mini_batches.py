import collections
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import dynsys as ds
from dynsys.algorithms import MiniBatches, inna_path
from dynsys.nonsmooth import clarke_subdifferential, d_operator

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
X = np.array([0.6, -0.3])
# At X the residual of the first sample is 0, and the second has its relu at 0.
FEATURES = np.vstack([[1.0, 0.0], [1.0, 2.0], [-1.0, 0.5], RANDOM.normal(size=(2, 2))])
TARGETS = np.array([0.6, 0.3, 0.5, 0.2, -0.1])


def smooth(x, sample):
    return 0.5 * jnp.sum((x - sample) ** 2)


def least_absolute(x, sample):
    a, b = sample
    return jnp.abs(a @ x - b) + jax.nn.relu(a @ x)


LOSSES = {
    "abs": lambda x, s: jnp.abs(s[0] @ x - s[1]),
    "relu": lambda x, s: jax.nn.relu(s[0] @ x - s[1]),
    "maximum": lambda x, s: jnp.maximum(s[0] @ x, s[1]),
}


def batches(loss, size, key=KEY):
    return MiniBatches(loss, (FEATURES, TARGETS), size, key)


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("abs", (0.5, -0.25)),
        ("relu", (0.5, -0.25)),
        ("maximum", (0.5, -0.25)),
        ("relu", (0.37, 0.21)),
    ],
)
def test_gradients_of_mini_batches_lie_in_d_of_the_batch(name, point):
    """The first two samples have their kinks at the first point, in binary exactly."""
    features = np.array([[1.0, 0.0], [1.0, 2.0], [-0.5, 1.0]])
    found = MiniBatches(LOSSES[name], (features, np.array([0.5, 0.0, 0.1])), 2, KEY)
    x, batch = jnp.array(point), (1, 2)
    operator = d_operator([found.terms()[n] for n in batch], x, weights=1 / 2)
    kinks = [len(term) > 1 for term in operator.terms]
    assert kinks == [point[0] == 0.5, False]
    assert operator.contains(found.gradient(x, jnp.array(batch)), 1e-12)


def test_the_gradient_of_a_batch_is_the_mean_of_those_of_its_samples():
    found = batches(least_absolute, 3)
    indices = jnp.array([4, 0, 2])
    exact = [
        jax.grad(least_absolute)(jnp.array(X), (FEATURES[n], TARGETS[n])) for n in (4, 0, 2)
    ]
    np.testing.assert_allclose(
        found.gradient(jnp.array(X), indices), np.mean(exact, axis=0), rtol=1e-14
    )


def test_where_kinks_cancel_the_selected_gradient_is_no_subgradient():
    """The docstring says so: the loss is 0 everywhere, its gradient at 0 is 1."""

    def zero(x, sample):
        return sample * (jax.nn.relu(-x) + x - jax.nn.relu(x))

    found = MiniBatches(zero, jnp.ones(1), 1, KEY)
    at = jnp.array(0.0)
    assert float(found(at, 0)) == 1.0
    np.testing.assert_array_equal(
        clarke_subdifferential(found.terms()[0], at).vertices, [[0.0]]
    )


@pytest.mark.parametrize("root", [lambda x: jnp.sqrt(jnp.sum(x**2)), jnp.linalg.norm])
def test_roots_of_0_have_no_gradient(root):
    found = MiniBatches(lambda x, s: s * root(x), jnp.ones(2), 1, KEY)
    assert np.isnan(found(jnp.zeros(2), 0)).all()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_the_mean_over_all_batches_is_the_full_selection(size):
    found = batches(least_absolute, size)
    subsets = jnp.array(list(itertools.combinations(range(5), size)))
    gradients = jax.vmap(lambda one: found.gradient(jnp.array(X), one))(subsets)
    full = jax.grad(found.objective)(jnp.array(X))
    np.testing.assert_allclose(gradients.mean(axis=0), full, atol=1e-15)


def test_the_full_selection_lies_in_d():
    found = batches(least_absolute, 2)
    operator = d_operator(found.terms(), jnp.array(X), weights=1 / 5)
    assert len(operator.vertices) > 1
    assert operator.contains(jax.grad(found.objective)(jnp.array(X)), 1e-12)


def test_the_objective_is_the_mean_of_the_terms():
    found = batches(least_absolute, 2)
    exact = np.mean(np.abs(FEATURES @ X - TARGETS) + np.maximum(FEATURES @ X, 0))
    assert float(found.objective(jnp.array(X))) == pytest.approx(exact, rel=1e-14)
    terms = [float(term(jnp.array(X))) for term in found.terms()]
    assert np.mean(terms) == pytest.approx(exact, rel=1e-14)


def drawn(found, count):
    return np.sort(jax.vmap(found.indices)(jnp.arange(count)), axis=1)


@pytest.mark.parametrize(("samples", "size"), [(6, 1), (6, 2), (6, 3), (6, 5)])
def test_batches_are_uniform_over_the_subsets(samples, size):
    found = MiniBatches(smooth, np.zeros((samples, 2)), size, KEY)
    counts = collections.Counter(map(tuple, drawn(found, 6000)))
    subsets = list(itertools.combinations(range(samples), size))
    # No repeated sample: nothing but subsets.
    assert set(counts) == set(subsets)
    observed = [counts[subset] for subset in subsets]
    # The key is fixed, so this is no gamble; it fails for a bias of a few per cent.
    assert scipy.stats.chisquare(observed).pvalue > 0.01


def test_batches_of_successive_iterations_are_independent():
    found = MiniBatches(smooth, np.zeros((4, 2)), 2, KEY)
    names = [hash(tuple(row)) for row in drawn(found, 6001)]
    for lag in (1, 2):
        table = collections.Counter(zip(names[:-lag], names[lag:], strict=True))
        assert len(table) == 36
        assert scipy.stats.chisquare(list(table.values())).pvalue > 0.01


def test_batches_depend_on_key_and_iteration_only():
    first, again, other = (
        MiniBatches(smooth, np.zeros((50, 2)), 8, jax.random.key(seed))
        for seed in (1, 1, 2)
    )
    forwards = [first.indices(k) for k in range(10)]
    backwards = [again.indices(k) for k in reversed(range(10))][::-1]
    np.testing.assert_array_equal(forwards, backwards)
    assert len({tuple(np.sort(row)) for row in np.array(forwards)}) == 10
    assert not np.array_equal(forwards[0], other.indices(0))


def test_a_batch_of_all_samples_is_all_samples():
    found = batches(least_absolute, 5)
    assert sorted(found.indices(3).tolist()) == [0, 1, 2, 3, 4]
    full = jax.grad(found.objective)(jnp.array(X))
    np.testing.assert_allclose(found(jnp.array(X), 3), full, rtol=1e-14)


def test_compiled_it_is_the_same_and_other_keys_and_iterations_need_no_new_program():
    traces = []

    def loss(x, sample):
        traces.append(1)
        return least_absolute(x, sample)

    call = jax.jit(lambda gradient, x, k: gradient(x, k))
    found, x = batches(loss, 2), jnp.array(X)
    for k in (0, 1, 7):
        np.testing.assert_allclose(call(found, x, k), found(x, k), rtol=1e-14)
    count = len(traces)
    call(batches(loss, 2, jax.random.key(5)), x, 3)
    assert len(traces) == count


def test_iterations_take_the_batches_in_their_order():
    found = batches(smooth_in_pairs, 2)
    path = inna_path(ds.GDIN(found.objective, 1.0, 0.5), X, 0.1, 5, gradient=found)
    theta, psi = X, 0.5 * X
    for k in range(5):
        v = np.mean([theta - FEATURES[n] for n in np.asarray(found.indices(k))], axis=0)
        common = theta - 2 * psi
        theta, psi = theta + 0.1 * (common - 0.5 * v), psi + 0.1 * common
    np.testing.assert_allclose(path.theta[-1], theta, rtol=1e-12)


def smooth_in_pairs(x, sample):
    return smooth(x, sample[0])


def test_pytrees_and_single_precision_are_kept():
    def loss(x, sample):
        return jnp.abs(sample["a"] @ x["w"] + x["b"] - sample["y"])

    data = {"a": FEATURES.astype("float32"), "y": TARGETS.astype("float32")}
    found = MiniBatches(loss, data, 2, KEY)
    x = {"w": jnp.ones(2, jnp.float32), "b": jnp.zeros((), jnp.float32)}
    gradient = found(x, 0)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), gradient) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), x
    )
    signs = np.sign(FEATURES.sum(axis=1) - TARGETS)[np.asarray(found.indices(0))]
    assert float(gradient["b"]) == pytest.approx(signs.mean())
    assert found.objective(x).dtype == jnp.float32


def test_raw_keys_are_taken():
    raw = MiniBatches(smooth, FEATURES, 2, jax.random.PRNGKey(0))
    assert raw.indices(0).shape == (2,)


@pytest.mark.parametrize(
    ("loss", "data", "size", "key", "error", "message"),
    [
        (None, FEATURES, 2, KEY, TypeError, "`loss` must be a callable"),
        (smooth, FEATURES, 0, KEY, ValueError, "from 1 to the number of samples, 5"),
        (smooth, FEATURES, 6, KEY, ValueError, "from 1 to the number of samples, 5"),
        (smooth, FEATURES, 2.0, KEY, ValueError, "must be an integer"),
        (smooth, FEATURES, 2, 0, TypeError, "`key` must be a random key"),
        (smooth, (FEATURES, TARGETS[:4]), 2, KEY, ValueError, "one leading axis"),
        (smooth, 1.0, 1, KEY, ValueError, "one leading axis"),
    ],
)
def test_what_makes_no_sense_is_refused(loss, data, size, key, error, message):
    with pytest.raises(error, match=message):
        MiniBatches(loss, data, size, key)


def test_a_loss_that_is_no_scalar_is_refused():
    found = MiniBatches(lambda x, a: x - a, FEATURES, 2, KEY)
    with pytest.raises(ValueError, match=r"returned shape \(2,\)"):
        found(jnp.array(X), 0)


@pytest.fixture(scope="module", name="halves")
def relu_and_its_mirror_image():
    """relu(x) and -relu(-x): their mean x / 2 has no critical point, but D holds 0 at 0."""
    loss = lambda x, s: s * jax.nn.relu(s * x[0])
    return MiniBatches(loss, np.array([1.0, -1.0]), 1, KEY)


def test_only_the_operator_calls_the_spurious_point_critical(halves):
    point = ds.analysis.criticality(ds.objectives.Mean(halves.terms()), [0.0])
    assert point.spurious
    assert point.distance == pytest.approx(0.5)
    assert point.d_distance == pytest.approx(0.0)


@pytest.mark.parametrize("is_batch", [True, False])
def test_inna_stays_where_it_starts_in_a_spurious_point(halves, is_batch):
    system = ds.GDIN(halves.objective, 1.0, 0.5)
    gradient = halves if is_batch else None
    path = inna_path(system, [0.0], 0.05, 100, gradient=gradient)
    assert not path.theta.any()
    assert not path.psi.any()


@pytest.mark.parametrize("start", [1e-8, -1e-8])
def test_inna_leaves_a_spurious_point_from_beside_it(halves, start):
    system = ds.GDIN(halves.objective, 1.0, 0.5)
    theta = inna_path(system, [start], 0.05, 400).theta[:, 0]
    # The velocity of the flow for the gradient 1/2 tends to -1 / (2 alpha).
    assert float(theta[-1] - theta[-2]) / 0.05 == pytest.approx(-0.5, rel=1e-3)
    assert float(theta[-1]) < -5

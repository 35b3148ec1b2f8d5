"""IGAHD, its members, and the protocol of the methods that are not optax's own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dynsys.algorithms.igahd import IGAHDState, igahd, nesterov
from dynsys.algorithms.igahd_energy import igahd_energy
from dynsys.algorithms.iterate import iterate
from dynsys.algorithms.newton import newton
from dynsys.algorithms.strongly_convex_igahd import igahd_strongly_convex

MATRIX = np.array([[1.0, 0.5, -0.2], [0.3, -0.8, 0.4]])
START = np.array([1.0, -2.0, 0.7])
METHODS = {
    "igahd": (igahd, {"step_size": 0.3, "alpha": 3.2, "beta": 0.4}),
    "nesterov": (nesterov, {"step_size": 0.3, "alpha": 3.2}),
    "igahd_strongly_convex": (
        igahd_strongly_convex,
        {"step_size": 0.3, "mu": 0.5, "beta": 0.2},
    ),
    "newton": (newton, {"learning_rate": 0.3, "regularization": 0.2}),
}
each_method = pytest.mark.parametrize("name", METHODS)


def loss(x):
    """Strongly convex with mu = 1/2, and no quadratic."""
    flat = jnp.concatenate([x["a"], x["b"]])
    matrix = jnp.asarray(MATRIX, flat.dtype)
    return jnp.sum(jnp.log(jnp.cosh(matrix @ flat))) + 0.25 * jnp.sum(flat**2)


def slope(x):
    return MATRIX.T @ np.tanh(MATRIX @ x) + 0.5 * x


def start(dtype=float):
    return {"a": jnp.asarray(START[:2], dtype), "b": jnp.asarray(START[2:], dtype)}


def flat_iterates(method, steps=200):
    x = iterate(method, loss, start(), steps).x
    return np.hstack([x["a"], x["b"]])


@pytest.mark.parametrize("beta", [0.0, 0.7])
def test_igahd_is_the_recursion_of_the_paper(beta):
    s, alpha = 0.3, 3.2
    x = [START, START]
    for k in range(1, 201):
        before, now = x[k - 1], x[k]
        y = now + (1 - alpha / k) * (now - before)
        y = y - beta * s**0.5 * (slope(now) - slope(before))
        y = y - beta * s**0.5 / k * slope(before)
        x.append(y - s * slope(y))
    found = flat_iterates(igahd(s, alpha, beta))
    np.testing.assert_allclose(found, x[1:], rtol=0, atol=1e-12)


def test_nesterov_has_the_momentum_of_su_boyd_and_candes_up_to_a_shift():
    s, shift = 0.3, 2
    x = [START, START - s * slope(START)]
    # From the third iterate on; the first momentum that is not 0 differs.
    x.append(0.5 * (x[0] + x[1]) - s * slope(0.5 * (x[0] + x[1])))
    for k in range(3 - shift, 201 - shift):
        y = x[-1] + (1 - 3 / (k + 2)) * (x[-1] - x[-2])
        x.append(y - s * slope(y))
    found = flat_iterates(nesterov(s))
    np.testing.assert_allclose(found, x, rtol=0, atol=1e-12)


def test_igahd_strongly_convex_is_the_recursion_of_the_paper():
    s, mu, beta = 0.3, 0.5, 0.2
    r = (mu * s) ** 0.5
    x = [START, START]
    for _ in range(200):
        before, now = x[-2:]
        after = now + (1 - r) / (1 + r) * (now - before)
        after = after - beta * s**0.5 / (1 + r) * (slope(now) - slope(before))
        x.append(after - s / (1 + r) * slope(now))
    found = flat_iterates(igahd_strongly_convex(s, mu, beta))
    np.testing.assert_allclose(found, x[1:], rtol=0, atol=1e-12)


def test_igahd_strongly_convex_keeps_the_rate_of_theorem_11():
    mu, L, s, beta = 1.0, 10.0, 0.05**2, 0.0125
    root, step = mu**0.5, s**0.5
    assert beta <= 1 / root
    assert 8 * beta * L <= root
    most = (root / (2 * s) + mu / step) / (2 * beta * mu + 1 / step + root / 2)
    assert most >= L
    curvatures = np.array([mu, 3.0, L])
    f = lambda x: 0.5 * jnp.sum(jnp.asarray(curvatures) * x**2)
    x = np.asarray(iterate(igahd_strongly_convex(s, mu, beta), f, START, 300).x)
    before = np.vstack([x[:1], x[:-1]])
    v = root * before + (x - before) / step + beta * curvatures * before
    energy = 0.5 * np.sum(curvatures * x**2, axis=1) + 0.5 * np.sum(v**2, axis=1)
    bound = energy[0] * (1 + 0.5 * (mu * s) ** 0.5) ** -np.arange(301.0)
    assert np.all(energy[1:] <= bound[1:])
    # It is no empty bound: from the start the gap is within a factor of 4 of it.
    assert energy[10] > bound[10] / 4


def test_the_energy_of_igahd_is_its_formula():
    s, alpha, beta = 0.3, 3.5, 0.4
    x = np.random.default_rng(0).normal(size=(6, 3))
    star = np.array([0.1, 0.2, -0.3])
    value = lambda x: np.sum(np.log(np.cosh(MATRIX @ x))) + 0.25 * np.sum(x**2)
    expected = []
    for k in range(1, 6):
        t = (k - 1) / (alpha - 1)
        v = x[k - 1] - star + t * (x[k] - x[k - 1] + beta * s**0.5 * slope(x[k - 1]))
        expected.append(t**2 * (value(x[k]) - value(star)) + v @ v / (2 * s))
    tree = lambda x: {"a": jnp.asarray(x[..., :2]), "b": jnp.asarray(x[..., 2:])}
    found = igahd_energy(loss, tree(x), s, alpha, beta, minimiser=tree(star))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_energy_of_igahd_may_rise_at_first():
    x = [0.0, 1.0]
    y = x[1] + (1 - 3 / 1) * (x[1] - x[0])
    x = jnp.array([*x, y - y])
    energy = igahd_energy(lambda x: 0.5 * x**2, x, 1.0, minimiser=jnp.array(0.0))
    np.testing.assert_allclose(energy, [0, 1 / 8], rtol=1e-15)


@pytest.mark.parametrize("beta", [0.0, 1.5])
def test_the_energy_of_igahd_bounds_the_values_in_the_end(beta):
    alpha, s = 3.0, 1.0  # The largest eigenvalue is 1.
    f = lambda x: 0.5 * jnp.sum(jnp.array([1.0, 0.01, 1e-4]) * x**2)
    x = iterate(igahd(s, alpha, beta), f, START, 400).x
    both = jnp.concatenate([x[:1], x])
    energy = np.asarray(igahd_energy(f, both, s, alpha, beta, minimiser=jnp.zeros(3)))
    assert np.all(np.diff(energy[20:]) <= 0)
    t = np.arange(20, 401) / (alpha - 1)
    gap = np.asarray(jax.vmap(f)(x))[20:]
    assert np.all(gap <= energy[20] / t**2)


@each_method
def test_float32_stays_float32_and_nothing_is_traced_twice(name):
    factory, numbers = METHODS[name]
    method = factory(**numbers)
    traces = []

    @jax.jit
    def step(x, state):
        traces.append(1)
        gradient = jax.grad(loss)(x)
        updates, state = method.update(gradient, state, x, value_fn=loss, other=None)
        return optax.apply_updates(x, updates), state

    x = start(jnp.float32)
    state = method.init(x)
    for _ in range(3):
        x, state = step(x, state)
    floats = [leaf for leaf in jax.tree.leaves((x, state)) if leaf.dtype != jnp.int32]
    assert {leaf.dtype for leaf in floats} == {jnp.dtype(jnp.float32)}
    assert len(traces) == 1


@each_method
def test_a_gradient_of_another_dtype_is_rounded_to_that_of_the_parameters(name):
    factory, numbers = METHODS[name]
    method, x = factory(**numbers), start(jnp.float32)
    state, gradient = method.init(x), jax.grad(loss)(x)
    wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), gradient)
    narrow_step, wide_step = (
        method.update(one, state, x, value_fn=loss) for one in (gradient, wide)
    )
    jax.tree.map(np.testing.assert_array_equal, narrow_step, wide_step)
    dtypes = lambda tree: [leaf.dtype for leaf in jax.tree.leaves(tree)]
    assert dtypes(narrow_step) == dtypes(wide_step)


@each_method
def test_the_parameters_are_needed(name):
    factory, numbers = METHODS[name]
    method = factory(**numbers)
    with pytest.raises(ValueError, match="needs the parameters"):
        method.update(start(), method.init(start()), value_fn=loss)


@pytest.mark.parametrize("name", ["igahd", "nesterov", "newton"])
def test_the_function_is_needed(name):
    factory, numbers = METHODS[name]
    method = factory(**numbers)
    with pytest.raises(ValueError, match=r"value_fn=loss"):
        method.update(start(), method.init(start()), start())


@each_method
def test_injected_hyperparameters_make_the_same_steps(name):
    factory, numbers = METHODS[name]
    plain = flat_iterates(factory(**numbers), steps=5)
    injected = flat_iterates(optax.inject_hyperparams(factory)(**numbers), steps=5)
    np.testing.assert_allclose(injected, plain, rtol=1e-13)


@each_method
def test_the_part_of_the_state_that_is_like_parameters_can_be_mapped(name):
    factory, numbers = METHODS[name]
    method = factory(**numbers)
    state = method.init(start())
    doubled = optax.tree.map_params(method, lambda leaf: 2 * leaf, state)
    is_state = lambda node: isinstance(node, IGAHDState)
    expected = jax.tree.map(
        lambda node: (
            node._replace(previous=jax.tree.map(lambda leaf: 2 * leaf, node.previous))
            if is_state(node)
            else node
        ),
        state,
        is_leaf=is_state,
    )
    jax.tree.map(np.testing.assert_array_equal, doubled, expected)


def test_hyperparameters_may_be_schedules():
    schedule = lambda count: 0.2 + 0.01 * count.astype(float)
    s = [0.2, 0.21, 0.22]
    x = [START, START]
    for k in range(1, 4):
        y = x[k] + (1 - 3 / k) * (x[k] - x[k - 1])
        x.append(y - s[k - 1] * slope(y))
    np.testing.assert_allclose(flat_iterates(nesterov(schedule), 3), x[1:], rtol=1e-13)


@pytest.mark.parametrize(
    ("factory", "numbers", "name"),
    [
        (igahd, (0.0,), "step_size"),
        (igahd, (0.1, -1.0), "alpha"),
        (igahd, (0.1, 3.0, -0.1), "beta"),
        (nesterov, (-0.1,), "step_size"),
        (igahd_strongly_convex, (0.0, 1.0), "step_size"),
        (igahd_strongly_convex, (0.1, 0.0), "mu"),
        (igahd_strongly_convex, (0.1, 1.0, -0.1), "beta"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(factory, numbers, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        factory(*numbers)


def test_hyperparameters_that_are_no_numbers_are_refused():
    with pytest.raises(TypeError, match="`step_size` must be a real number"):
        igahd("0.1")


def test_a_step_beyond_1_over_mu_is_refused():
    with pytest.raises(ValueError, match="at most 1 / mu, which is 0.5, but has value 0.6"):
        igahd_strongly_convex(0.6, 2.0)


@pytest.mark.parametrize(
    ("numbers", "match"),
    [
        ({"step_size": 0.0}, "`step_size` must be positive"),
        ({"step_size": 1.0, "alpha": 1.0}, "`alpha` must be above 1"),
        ({"step_size": 1.0, "beta": -1.0}, "`beta` must be at least 0"),
    ],
)
def test_an_energy_out_of_range_is_refused(numbers, match):
    with pytest.raises(ValueError, match=match):
        igahd_energy(lambda x: x**2, jnp.ones(3), **numbers, minimiser=jnp.array(0.0))


@pytest.mark.parametrize("ratio", [2.0, 4.4, 4.6, 20.0])
def test_a_beta_beyond_the_theorem_is_warned_of_with_the_stable_eigenvalues(ratio):
    s = 0.04
    with pytest.warns(UserWarning, match="is proved for beta < 2 sqrt") as caught:
        igahd(s, beta=ratio * s**0.5)
    named = float(str(caught[0].message).split("below ")[1].split(". Take")[0])

    def grows(eigenvalue):
        shrink, damping = 1 - s * eigenvalue, ratio * s * eigenvalue
        roots = np.roots([1, -shrink * (2 - damping), shrink * (1 - damping)])
        return np.abs(roots).max() > 1 + 1e-9

    inside = np.linspace(1e-3, 0.999, 500) * named
    assert not any(map(grows, inside))
    if ratio > 4.5:
        assert grows(1.001 * named)
    else:
        assert named == 1 / s


def test_a_beta_within_the_theorem_is_not_warned_of():
    igahd(0.04, beta=0.399)

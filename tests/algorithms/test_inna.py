"""INNA is the published algorithm, and an optax transformation like any other."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dynsys as ds
from dynsys.algorithms import INNAState, scale_by_inna

ALPHA, BETA = 0.5, 0.1


def as_float(k):
    """The count of steps as a number to compute with, in NumPy and in JAX."""
    return k.astype(float) if isinstance(k, jax.Array) else float(k)


def plain(theta, psi, gradient, steps, gamma, alpha, beta, decay=0.0):
    """The equations of the talk, line by line; weight decay as in the PyTorch code."""
    path = [(theta, psi)]
    for k in range(steps):
        g, a, b = (one(k) if callable(one) else one for one in (gamma, alpha, beta))
        v = gradient(theta, k)
        common = (1 / b - a) * theta - psi / b
        theta, psi = theta + g * (common - b * v - decay * theta), psi + g * common
        path.append((theta, psi))
    return [np.array(part) for part in zip(*path, strict=True)]


def inna_state(state):
    """The state of INNA, which may be the first one of a chain."""
    return state if isinstance(state, INNAState) else state[0]


def run(method, theta, gradients, jit=True):
    """The iterates and auxiliary variables of a method that is fed with gradients."""

    def step(theta, state, k):
        v = gradients(theta, k)
        updates, state = method.update(v, state, theta)
        return optax.apply_updates(theta, updates), state

    step = jax.jit(step) if jit else step
    theta = jnp.asarray(theta)
    state = method.init(theta)
    psi = lambda: inna_state(state).psi(theta)
    path = [(theta, psi())]
    for k in range(STEPS):
        theta, state = step(theta, state, k)
        path.append((theta, psi()))
    return [np.array(part) for part in zip(*path, strict=True)]


STEPS = 1000
RANDOM = np.random.default_rng(0)
FEATURES, NOISE = RANDOM.normal(size=(20, 3)), RANDOM.normal(size=20)
TARGETS = FEATURES @ np.array([1.0, 2.0, 3.0]) + NOISE
BATCHES = RANDOM.integers(0, 20, size=(STEPS, 4))
THETA = np.array([1.0, -1.0, 2.0])


def batch_gradient(theta, k, batches=BATCHES, features=FEATURES, targets=TARGETS):
    """The gradient of the least squares of a mini-batch, with |residual| beside it."""
    rows, wanted = features[batches[k]], targets[batches[k]]
    residual = rows @ theta - wanted
    xp = jnp if isinstance(theta, jax.Array) else np
    return rows.T @ (residual + xp.sign(residual)) / 4


def jax_gradient(theta, k):
    return batch_gradient(theta, k, *map(jnp.asarray, (BATCHES, FEATURES, TARGETS)))


SCHEDULES = {
    "constants": (0.02, ALPHA, BETA),
    "a schedule of the step": (lambda k: 0.05 / (as_float(k) + 1) ** 0.25, ALPHA, BETA),
    "a schedule of alpha": (0.02, lambda k: 0.5 + 1 / (as_float(k) + 1), BETA),
    "a schedule of beta": (0.02, ALPHA, lambda k: 0.1 + 0.05 / (as_float(k) + 1)),
    "schedules of all": (
        lambda k: 0.05 / (as_float(k) + 1) ** 0.5,
        lambda k: 0.5 + 1 / (as_float(k) + 1),
        lambda k: 0.1 + 0.05 / (as_float(k) + 1),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_iterates_on_mini_batches_are_those_of_the_talks_equations(name):
    gamma, alpha, beta = SCHEDULES[name]
    first = [one(0) if callable(one) else one for one in (alpha, beta)]
    psi = (1 - first[0] * first[1]) * THETA
    theta, psi = plain(THETA, psi, batch_gradient, STEPS, gamma, alpha, beta)
    found = run(ds.inna(gamma, alpha, beta), THETA, jax_gradient)
    np.testing.assert_allclose(found[0], theta, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[1], psi, rtol=0, atol=1e-12)
    assert np.abs(theta[-1] - THETA).max() > 0.5


def test_the_decay_power_is_that_of_the_step_size():
    gamma = lambda k: 0.05 * (k + 1) ** -0.25
    psi = (1 - ALPHA * BETA) * THETA
    theta, psi = plain(THETA, psi, batch_gradient, STEPS, gamma, ALPHA, BETA)
    found = run(ds.inna(0.05, ALPHA, BETA, decay_power=0.25), THETA, jax_gradient)
    np.testing.assert_allclose(found[0], theta, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[1], psi, rtol=0, atol=1e-12)


def test_weight_decay_acts_on_the_position_only_as_in_the_authors_code():
    psi = (1 - ALPHA * BETA) * THETA
    theta, psi = plain(THETA, psi, batch_gradient, STEPS, 0.02, ALPHA, BETA, decay=0.3)
    found = run(ds.inna(0.02, ALPHA, BETA, weight_decay=0.3), THETA, jax_gradient)
    np.testing.assert_allclose(found[0], theta, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[1], psi, rtol=0, atol=1e-12)


STARTS = {
    "gradient": lambda v: -BETA * v,
    "rest": lambda v: 0 * v,
    "speed": lambda v: -1.5 * v,
}


@pytest.mark.parametrize("name", STARTS)
def test_the_first_velocity_is_the_one_that_the_start_says(name):
    start = 1.5 if name == "speed" else name
    first = batch_gradient(THETA, 0)
    psi = (1 - ALPHA * BETA) * THETA - BETA**2 * first - BETA * STARTS[name](first)
    theta, psi = plain(THETA, psi, batch_gradient, STEPS, 0.02, ALPHA, BETA)
    np.testing.assert_allclose((theta[1] - THETA) / 0.02, STARTS[name](first), atol=1e-12)
    found = run(ds.inna(0.02, ALPHA, BETA, start=start), THETA, jax_gradient)
    np.testing.assert_allclose(found[0], theta, rtol=0, atol=1e-12)
    # The state holds psi from the first step on, which is when the gradient is known.
    np.testing.assert_allclose(found[1][1:], psi[1:], rtol=0, atol=1e-12)


def test_psi_may_be_given():
    psi = np.array([0.3, -0.2, 0.1])
    theta, psis = plain(THETA, psi, batch_gradient, STEPS, 0.02, ALPHA, BETA)
    found = run(ds.inna(0.02, ALPHA, BETA, start=psi), THETA, jax_gradient)
    np.testing.assert_allclose(found[0], theta, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[1], psis, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 0.5), (10.0, 0.1), (1 / 0.3, 0.3)])
def test_with_alpha_beta_1_and_psi_0_it_is_gradient_descent(alpha, beta):
    theta = THETA
    descent = [theta]
    for k in range(STEPS):
        theta = theta - 0.02 * beta * batch_gradient(theta, k)
        descent.append(theta)
    zero = np.zeros(3)
    found = run(ds.inna(0.02, alpha, beta, start=zero), THETA, jax_gradient)
    np.testing.assert_allclose(found[0], descent, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(found[1], 0, rtol=0, atol=1e-14)


def smooth_gradient(theta, k):
    return np.array([4.0, 1.0, 0.25]) * np.sin(theta) + 0.1 * np.cos(k)


def test_it_is_a_scheme_of_two_steps_in_the_position():
    gamma, alpha, beta = 0.02, 0.7, 0.3
    found = run(ds.inna(gamma, alpha, beta), THETA, lambda x, k: jnp_smooth(x, k))[0]
    v = np.array([smooth_gradient(theta, k) for k, theta in enumerate(found)])
    left = found[2:] - 2 * found[1:-1] + found[:-2]
    left = left + gamma * alpha * (found[1:-1] - found[:-2])
    left = left + gamma * beta * (v[1:-1] - v[:-2]) + gamma**2 * v[:-2]
    assert np.abs(left).max() < 1e-14
    assert np.abs(left + gamma**2 * 0.001 * v[:-2]).max() > 1e-8


def jnp_smooth(theta, k):
    return jnp.array([4.0, 1.0, 0.25]) * jnp.sin(theta) + 0.1 * jnp.cos(as_float(k))


def test_a_form_that_updates_psi_first_needs_no_copy_of_it():
    gamma, alpha, beta = 0.02, 0.7, 0.3
    found = run(ds.inna(gamma, alpha, beta), THETA, lambda x, k: jnp_smooth(x, k))
    theta, psi = THETA, (1 - alpha * beta) * THETA
    factor = gamma / (beta - gamma)
    for k in range(STEPS):
        v = smooth_gradient(theta, k)
        psi = (1 - gamma / beta) * psi + gamma * (1 / beta - alpha) * theta
        theta = (1 + factor * (1 - alpha * beta)) * theta - factor * psi - gamma * beta * v
        np.testing.assert_allclose(found[0][k + 1], theta, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found[1][k + 1], psi, rtol=0, atol=1e-12)


def test_a_form_with_a_momentum_divides_by_nothing():
    gamma, alpha, beta = 0.02, 0.7, 0.3
    found = run(ds.inna(gamma, alpha, beta), THETA, lambda x, k: jnp_smooth(x, k))
    theta, p = THETA, np.zeros(3)
    for k in range(STEPS):
        v = smooth_gradient(theta, k)
        theta = theta + gamma * (p - beta * v)
        p = (1 - gamma * alpha) * p - gamma * (1 - alpha * beta) * v
        np.testing.assert_allclose(found[0][k + 1], theta, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[1][-1], (1 - alpha * beta) * theta - beta * p)


def parabola(dtype):
    wanted = jnp.array([1.0, -1.0, 1.0], dtype)
    loss = lambda x: jnp.sum((x - wanted) ** 2)
    return jnp.array([-1.0, 10.0, 1.0], dtype), wanted, loss


def rosenbrock(dtype):
    loss = lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    return jnp.zeros(2, dtype), jnp.ones(2, dtype), loss


def matrix(dtype):
    wanted = jnp.array([[3.0, -2.0], [1.0, 4.0]], dtype)
    return jnp.zeros((2, 2), dtype), wanted, lambda x: jnp.sum((x - wanted) ** 2)


def mixed(dtype):
    wanted = {"a": jnp.array([1.0, -1.0, 2.0], dtype), "b": jnp.eye(2, dtype=dtype)}

    def loss(x):
        gaps = jax.tree.map(lambda one, other: jnp.sum((one - other) ** 2), x, wanted)
        return gaps["a"] + gaps["b"]

    return jax.tree.map(jnp.zeros_like, wanted), wanted, loss


@pytest.mark.parametrize("problem", [parabola, rosenbrock, matrix, mixed])
def test_it_converges_on_the_problems_of_optax(problem):
    start, wanted, loss = problem(jnp.float32)
    method = ds.inna(0.01, 0.5, 0.1)

    def step(carry, _):
        x, state = carry
        updates, state = method.update(jax.grad(loss)(x), state, x)
        return (optax.apply_updates(x, updates), state), None

    state = method.init(start)
    assert jax.tree.structure(
        optax.tree.map_params(method, lambda one: one, state)
    ) == jax.tree.structure(state)
    (x, state), _ = jax.lax.scan(step, (start, state), length=30_000)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 3e-2, 3e-2), x, wanted)
    assert state.count == 30_000


def params(dtype=jnp.float32):
    return [-jnp.ones((2, 3), dtype), jnp.ones((2, 5, 2), dtype)]


def opposite(dtype=jnp.float32):
    return jax.tree.map(jnp.negative, params(dtype))


@pytest.mark.parametrize("start", ["gradient", "rest", 1.0, 0.25])
def test_its_hyperparameters_can_be_injected(start):
    options = {"alpha": 0.7, "weight_decay": 0.1, "start": start, "decay_power": 0.5}
    method = ds.inna(0.01, **options)
    injected = optax.inject_hyperparams(ds.inna)(0.01, **options)
    state, other = jax.jit(method.init)(params()), jax.jit(injected.init)(params())
    for _ in range(2):
        updates, state = jax.jit(method.update)(opposite(), state, params())
        found, other = jax.jit(injected.update)(opposite(), other, params())
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-5), found, updates)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-5),
            other.inner_state,
            state,
        )
    other.hyperparams["learning_rate"] = jnp.zeros((), jnp.float32)
    found, _ = jax.jit(injected.update)(opposite(), other, params())
    assert all(not np.any(leaf) for leaf in found)


def test_extra_arguments_are_accepted_and_no_step_is_compiled_twice():
    method = ds.inna(0.01)
    traces = []

    @jax.jit
    def step(x, state):
        traces.append(None)
        updates, state = method.update(x, state, x, value=1.0, something="else")
        return optax.apply_updates(x, updates), state

    x, state = params(), method.init(params())
    for _ in range(3):
        x, state = step(x, state)
    assert len(traces) == 1


@pytest.mark.parametrize("start", ["gradient", "rest", "psi"])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32, jnp.float64])
def test_types_are_kept(dtype, start):
    method = ds.inna(
        optax.constant_schedule(0.01),
        weight_decay=0.1,
        start=[np.zeros((2, 3)), np.zeros((2, 5, 2))] if start == "psi" else start,
        decay_power=0.5,
    )
    state = method.init(params(dtype))
    updates, after = jax.jit(method.update)(opposite(dtype), state, params(dtype))
    assert {leaf.dtype for leaf in jax.tree.leaves((updates, after.momentum))} == {
        jnp.dtype(dtype)
    }
    types = lambda tree: jax.tree.map(lambda leaf: (leaf.dtype, leaf.shape), tree)
    assert types(after) == types(state)


def test_a_step_in_bfloat16_is_rounded_once():
    x, psi = jnp.asarray(RANDOM.normal(size=(2, 1000)), jnp.bfloat16)
    method = ds.inna(0.05, 0.5, 0.1, start=psi)
    state = method.init(x)
    # Without a compiler, which might keep more digits by itself.
    updates, _ = method.update(x, state, x)
    theta, p = (np.asarray(one, np.float64) for one in (x, state.momentum))
    exact = 0.05 * (p - 0.1 * theta)
    error = np.abs(np.asarray(updates, np.float64) - exact)
    # Half a unit in the last of eight binary places; float32 before it adds a little.
    assert (error <= 1.001 * 2**-8 * np.abs(exact) + 1e-6).all()


def test_it_accumulates_gradients_in_multi_steps():
    method = optax.MultiSteps(ds.inna(0.01), every_k_schedule=4)
    x = jnp.array([1.0, 2.0], jnp.bfloat16)
    state = method.init(x)
    with jax.numpy_dtype_promotion("standard"):  # optax adds the gradients in float32.
        updates, _ = jax.jit(method.update)(x, state, x)
    np.testing.assert_array_equal(np.asarray(updates, np.float32), 0)


def test_types_are_those_of_the_parameters_whatever_the_gradient_has():
    method, x = ds.inna(0.01), jnp.ones(3, jnp.float32)
    updates, _ = method.update(jnp.ones(3, jnp.bfloat16), method.init(x), x)
    assert updates.dtype == jnp.float32


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
def test_numbers_in_the_state_are_as_wide_as_the_parameters(dtype):
    x = {"a": jnp.ones(2, dtype), "b": jnp.ones((), dtype)}
    method = ds.inna(lambda k: 0.01, lambda k: 0.3, weight_decay=0.1, start=1.0)
    state = method.init(x)
    _, after = method.update(x, state, x)
    wide = jnp.float32 if dtype == jnp.bfloat16 else dtype
    for one in (state, after):
        assert {one.alpha.dtype, one.beta.dtype} == {jnp.dtype(wide)}
    # Where nothing changes the dampings, rounding does not either.
    np.testing.assert_array_equal(after.alpha, state.alpha)


def test_complex_parameters_move_as_two_real_ones():
    method = ds.inna(0.05)
    x, v = jnp.array([1 + 2j]), jnp.array([3 - 1j])
    updates, _ = method.update(v, method.init(x), x)
    pair, slope = jnp.array([1.0, 2.0]), jnp.array([3.0, -1.0])
    wanted, _ = method.update(slope, method.init(pair), pair)
    np.testing.assert_allclose([updates.real[0], updates.imag[0]], wanted, 1e-14)


def bowl(x):
    """The gradient of a bowl with its minimum at (1, 2, -3)."""
    return jnp.array([1.0, 5.0, 0.2]) * (x - jnp.array([1.0, 2.0, -3.0]))


def end(method, steps, change=lambda x, k: x):
    """Where a method ends in the bowl, if every step is changed before the next one."""

    def step(carry, k):
        x, state = carry
        updates, state = method.update(bowl(x), state, x)
        return (change(optax.apply_updates(x, updates), k), state), None

    start = jnp.zeros(3), method.init(jnp.zeros(3))
    (x, _), _ = jax.lax.scan(step, start, jnp.arange(steps))
    return x


def test_it_does_not_matter_where_the_origin_is():
    far = 2.0**20  # A power of 2, so that only sums are rounded.
    method = ds.inna(0.05)
    x = y = jnp.array([1.0, -2.0, 3.0])
    y = y + far
    state = other = method.init(x)
    other = method.init(y)
    for _ in range(50):
        v = bowl(x)
        updates, state = method.update(v, state, x)
        found, other = method.update(v, other, y)
        np.testing.assert_array_equal(found, updates)
        x, y = optax.apply_updates(x, updates), optax.apply_updates(y, found)


def test_updates_may_be_clipped_after_it():
    method = optax.chain(ds.inna(0.05), optax.clip(1e-3))
    np.testing.assert_allclose(end(method, 20_000), [1, 2, -3], atol=1e-6)


def test_parameters_may_be_projected_and_set_free_again():
    held = lambda x, k: jnp.where(k < 4000, jnp.minimum(x, 0.5), x)
    np.testing.assert_allclose(end(ds.inna(0.05), 4000, held), [0.5, 0.5, -3], atol=1e-6)
    # The momentum of the held ones has grown to their gradients over alpha, not beyond.
    largest = 0.95 * 7.5 / 0.5 / 0.5
    assert np.abs(end(ds.inna(0.05), 4020, held)).max() < largest
    np.testing.assert_allclose(end(ds.inna(0.05), 9000, held), [1, 2, -3], atol=1e-4)


def test_it_can_be_averaged_free_of_a_schedule():
    with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats.
        method = optax.contrib.schedule_free(ds.inna(0.05), 0.05, b1=0.9)
        x, state = jnp.zeros(3), method.init(jnp.zeros(3))

        def step(carry, _):
            x, state = carry
            updates, state = method.update(bowl(x), state, x)
            return (optax.apply_updates(x, updates), state), None

        (x, state), _ = jax.lax.scan(step, (x, state), None, length=4000)
        x = optax.contrib.schedule_free_eval_params(state, x)
    np.testing.assert_allclose(x, [1, 2, -3], atol=0.1)


def test_weight_decay_minimises_with_its_factor_over_beta():
    method = ds.inna(0.05, weight_decay=0.3)
    stiffness = np.array([1.0, 5.0, 0.2])
    wanted = stiffness * [1.0, 2.0, -3.0] / (stiffness + 0.3 / BETA)
    np.testing.assert_allclose(end(method, 4000), wanted, atol=1e-6)


def test_a_count_that_is_full_keeps_the_step_finite():
    method, x = ds.inna(0.05, decay_power=0.5), jnp.ones(3)
    state = method.init(x)._replace(count=jnp.array(2**31 - 1, jnp.int32))
    updates, _ = method.update(x, state, x)
    np.testing.assert_allclose(updates, -0.05 / 2**15.5 * 0.1, 1e-12)


def test_numbers_that_a_compiled_function_closes_over_are_taken():
    rate, x = jnp.array(0.05), jnp.ones(3)
    found = jax.jit(lambda x: ds.inna(rate).update(x, ds.inna(rate).init(x), x)[0])(x)
    np.testing.assert_allclose(found, -0.005, 1e-12)


@pytest.mark.parametrize("psi", [[0.5, 1.5], np.array([0.5, 1.5]), jnp.array([0.5, 1.5])])
def test_psi_may_be_a_list_or_any_array(psi):
    method, x = ds.inna(0.05, start=psi), jnp.array([1.0, 2.0])
    np.testing.assert_allclose(method.init(x).psi(x), [0.5, 1.5], 1e-15)


def test_parameters_may_be_a_float_of_python():
    method = ds.inna(0.05)
    updates, state = method.update(2.0, method.init(1.0), 1.0)
    np.testing.assert_allclose(updates, -0.01, 1e-12)
    np.testing.assert_allclose(state.psi(1.0 + updates), 0.95, 1e-2)


@pytest.mark.parametrize("start", ["gradient", "rest", "psi"])
def test_it_can_be_masked(start):
    psi = {"a": jnp.array([0.5]), "b": jnp.array([7.0])}
    method = ds.inna(0.01, start=psi if start == "psi" else start)
    masked = optax.masked(method, {"a": True, "b": False})
    x = {"a": jnp.array([1.0]), "b": jnp.array([2.0])}
    updates, _ = masked.update(x, masked.init(x), x)
    alone = ds.inna(0.01, start=psi["a"] if start == "psi" else start)
    wanted, _ = alone.update(x["a"], alone.init(x["a"]), x["a"])
    np.testing.assert_array_equal(updates["a"], wanted)
    np.testing.assert_array_equal(updates["b"], x["b"])


def test_parts_of_a_tree_may_have_their_own_dampings():
    methods = {"slow": ds.inna(0.01, alpha=3.0), "fast": ds.inna(0.01, alpha=0.1)}
    both = optax.multi_transform(methods, {"a": "slow", "b": "fast"})
    x = {"a": jnp.array([1.0]), "b": jnp.array([1.0])}
    updates, state = both.update(x, both.init(x), x)
    updates, _ = both.update(x, state, optax.apply_updates(x, updates))
    for name, method in zip("ab", methods.values(), strict=True):
        wanted, state = method.update(x[name], method.init(x[name]), x[name])
        wanted, _ = method.update(x[name], state, optax.apply_updates(x[name], wanted))
        np.testing.assert_array_equal(updates[name], wanted)
    assert updates["a"] != updates["b"]


@pytest.mark.parametrize("start", ["gradient", "rest", "psi"])
def test_the_tree_of_its_state_can_be_mapped_over(start):
    psi = {"a": jnp.array([0.5]), "b": jnp.array([7.0])}
    method = ds.inna(0.01, start=psi if start == "psi" else start)
    state = method.init(psi)
    doubled = optax.tree.map_params(method, lambda one: 2 * one, state)
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(a, 2 * b),
        *(one.momentum for one in (doubled, state)),
    )
    assert doubled.count == 0


def test_in_a_chain_the_direction_is_scaled_by_the_same_rate():
    chain = optax.chain(scale_by_inna(0.02, 0.7), optax.scale_by_learning_rate(0.02))
    np.testing.assert_array_equal(
        run(chain, THETA, jax_gradient)[0],
        run(ds.inna(0.02, 0.7), THETA, jax_gradient)[0],
    )


def test_on_gradients_scaled_as_by_rmsprop_it_is_innaprop():
    gamma, alpha, beta, decay, tiny = 0.01, 0.1, 0.9, 0.99, 1e-8
    method = optax.chain(
        optax.scale_by_rms(decay, tiny, eps_in_sqrt=False, bias_correction=True),
        scale_by_inna(gamma, alpha, beta),
        optax.scale_by_learning_rate(gamma),
    )
    x, theta, square = jnp.asarray(THETA), THETA, 0.0
    psi, state = (1 - alpha * beta) * THETA, method.init(x)
    for k in range(200):
        v = smooth_gradient(theta, k)
        square = decay * square + (1 - decay) * v**2
        scaled = v / (np.sqrt(square / (1 - decay ** (k + 1))) + tiny)
        psi = (1 - gamma / beta) * psi + gamma * (1 / beta - alpha) * theta
        factor = gamma / (beta - gamma)
        theta = (1 + factor * (1 - alpha * beta)) * theta - factor * psi
        theta = theta - gamma * beta * scaled
        with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats.
            updates, state = method.update(jnp_smooth(x, k), state, x)
        x = optax.apply_updates(x, updates)
        np.testing.assert_allclose(x, theta, rtol=0, atol=1e-12)


def test_the_state_is_a_named_tuple_with_psi():
    state = ds.inna(0.01).init({"a": jnp.array([2.0])})
    assert isinstance(state, INNAState)
    assert state.count.dtype == jnp.int32
    psi = state.psi({"a": jnp.array([2.0])})["a"]
    np.testing.assert_allclose(psi, [(1 - ALPHA * BETA) * 2.0], 1e-15)


def test_a_gradient_that_is_no_number_makes_the_position_so():
    method = ds.inna(0.01)
    x = jnp.array([1.0, 2.0])
    updates, _ = method.update(jnp.array([jnp.nan, 1.0]), method.init(x), x)
    assert np.isnan(updates).tolist() == [True, False]
    safe = optax.apply_if_finite(method, max_consecutive_errors=3)
    updates, after = safe.update(jnp.array([jnp.nan, 1.0]), safe.init(x), x)
    np.testing.assert_array_equal(updates, 0)
    np.testing.assert_array_equal(after.inner_state.momentum, method.init(x).momentum)


REFUSALS = {
    "a negative alpha": (lambda: ds.inna(0.1, -1.0), "`alpha` must be at least 0, but has"),
    "a beta of 0": (lambda: ds.inna(0.1, beta=0.0), "`beta` must be positive.*optax.sgd"),
    "a negative rate": (lambda: ds.inna(-1.0), "`learning_rate` must be at least 0"),
    "a rate that is not finite": (
        lambda: ds.inna(np.nan),
        "`learning_rate` must be finite",
    ),
    "a negative decay": (
        lambda: ds.inna(0.01, weight_decay=-1.0),
        "`weight_decay` must be at least 0",
    ),
    "a growing step": (
        lambda: ds.inna(0.01, decay_power=-1.0),
        "`decay_power` must be at least 0",
    ),
    "an unknown start": (lambda: ds.inna(0.01, start="fast"), '"gradient", "rest", a num'),
    "no start": (lambda: ds.inna(0.01, start=None), '"gradient", "rest", a number'),
    "a schedule as a start": (lambda: ds.inna(0.01, start=as_float), "but is <function"),
    "psi that is not finite": (
        lambda: ds.inna(0.01, start=np.array([np.nan])),
        "`start` must be finite",
    ),
    "psi in another tree": (
        lambda: ds.inna(0.01, start={"a": 1.0}).init(jnp.zeros(3)),
        "Its tree is .*'a'.*, theirs",
    ),
    "psi of another shape": (
        lambda: ds.inna(0.01, start=np.zeros(2)).init(jnp.zeros(3)),
        r"shape is \(2,\) where that of the parameters is \(3,\)",
    ),
    "psi of another structure": (
        lambda: ds.inna(0.01, start={"b": np.zeros(3)}).init({"a": jnp.zeros(3)}),
        "as a psi it does not fit them",
    ),
    "no parameters": (
        lambda: ds.inna(0.01).update(jnp.zeros(3), ds.inna(0.01).init(jnp.zeros(3))),
        r"needs the parameters.*`update\(updates, state, params\)`",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_it_refuses(name):
    call, message = REFUSALS[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_integers_are_refused_as_parameters():
    with pytest.raises(TypeError, match="is of int32.*astype.*eqx.is_inexact_array"):
        ds.inna(0.01).init({"a": jnp.ones(2), "b": jnp.ones(2, jnp.int32)})


def test_a_model_with_functions_is_refused_and_its_arrays_are_taken():
    model = eqx.nn.MLP(2, 1, 4, 1, key=jax.random.key(0))
    method, arrays = ds.inna(0.01), eqx.filter(model, eqx.is_inexact_array)
    with pytest.raises(TypeError, match="a leaf of the parameters is a .*eqx.filter"):
        method.init(model)
    state = method.init(arrays)
    with pytest.raises(TypeError, match="a leaf of the parameters is a .*eqx.filter"):
        method.update(arrays, state, model)
    updates, _ = method.update(arrays, state, arrays)
    moved = eqx.apply_updates(model, updates)
    np.testing.assert_allclose(
        moved.layers[0].weight, (1 - 0.01 * BETA) * model.layers[0].weight, 1e-12
    )


@pytest.mark.parametrize("place", ["learning_rate", "alpha", "beta", "weight_decay"])
def test_a_hyperparameter_that_is_no_number_is_refused(place):
    with pytest.raises(TypeError, match=f"`{place}` must be a real number"):
        ds.inna(**{"learning_rate": 0.01, place: "large"})


@pytest.mark.parametrize("make", [ds.inna, scale_by_inna])
def test_a_step_that_is_not_below_beta_is_warned_of_with_the_limit(make):
    # beta + alpha / lambda = 0.2 for lambda = 5.
    with pytest.warns(UserWarning, match="0 < lambda < 5 only") as caught:
        make(0.2, 0.5, 0.1)
    assert [one.filename for one in caught] == [__file__]
    with pytest.warns(UserWarning, match="below `beta`, which is 0.1"):
        make(0.1, 0.5, 0.1)
    with pytest.warns(UserWarning, match="nowhere"):
        make(0.2, 0.0, 0.1)


def test_no_warning_is_given_below_beta_or_without_knowledge():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds.inna(0.0999, 0.5, 0.1)
        ds.inna(optax.constant_schedule(1.0), 0.5, 0.1)
        jax.jit(lambda rate: ds.inna(rate, 0.5, 0.1).init(jnp.ones(1)))(1.0)


def test_a_step_keeps_one_buffer_and_takes_no_more_memory_than_adam():
    x = jnp.ones(100_000, jnp.float32)

    def needed(method):
        """Bytes of the state, and of what is set aside within a step."""

        def step(x, state, v):
            updates, state = method.update(v, state, x)
            return optax.apply_updates(x, updates), state

        state = method.init(x)
        program = jax.jit(step, donate_argnums=(0, 1)).lower(x, state, x).compile()
        plan = program.memory_analysis()
        unshared = plan.output_size_in_bytes - plan.alias_size_in_bytes
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
        return (size + plan.temp_size_in_bytes + unshared) / x.nbytes

    assert needed(ds.inna(0.01)) < 2.001
    with jax.numpy_dtype_promotion("standard"):  # optax multiplies integers by floats.
        assert needed(optax.adam(0.01)) > 1.999


def test_it_goes_through_vmap_and_grad():
    def last(rate, alpha):
        method, x = ds.inna(rate, alpha, 0.1), jnp.array([1.0])
        state = method.init(x)
        for _ in range(5):
            updates, state = method.update(x, state, x)
            x = optax.apply_updates(x, updates)
        return x[0]

    rates = jnp.array([0.01, 0.02])
    both = jax.vmap(last, (0, None))(rates, 0.5)
    np.testing.assert_allclose(both, [last(float(rate), 0.5) for rate in rates], 1e-14)
    slope = jax.grad(last, 1)(0.01, 0.5)
    step = 1e-5
    difference = (last(0.01, 0.5 + step) - last(0.01, 0.5 - step)) / (2 * step)
    np.testing.assert_allclose(slope, difference, 1e-5)

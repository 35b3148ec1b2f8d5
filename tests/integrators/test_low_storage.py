"""The method for large states: its order, its memory, and one gradient an evaluation."""

import re

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.integrators import LowStorageRK4
from dynsys.integrators.engine.problem import LARGE
from dynsys.integrators.solvers.low_storage import B_EMBEDDED, STAGES, A, B

# All weights in the usual form: those of earlier stages are their weights in the step.
MATRIX = np.zeros((STAGES, STAGES))
for row in range(1, STAGES):
    MATRIX[row, : row - 1] = B[: row - 1]
    MATRIX[row, row - 1] = A[row - 1]
NODES = MATRIX.sum(1)


def conditions(b, order):
    """What is 0 for a method of an order (Hairer, Norsett and Wanner, I, table II.2.2)."""
    b, c = np.asarray(b), NODES
    trees = [
        [b.sum() - 1],
        [b @ c - 1 / 2],
        [b @ c**2 - 1 / 3, b @ MATRIX @ c - 1 / 6],
        [
            b @ c**3 - 1 / 4,
            (b * c) @ MATRIX @ c - 1 / 8,
            b @ MATRIX @ c**2 - 1 / 12,
            b @ MATRIX @ MATRIX @ c - 1 / 24,
        ],
    ]
    return np.concatenate(trees[:order])


def test_the_weights_are_of_order_four_and_three():
    np.testing.assert_allclose(conditions(B, 4), 0, atol=1e-12)
    np.testing.assert_allclose(conditions(B_EMBEDDED, 3), 0, atol=1e-12)
    assert abs(conditions(B_EMBEDDED, 4)[-4:]).max() > 1e-3


def test_a_step_is_that_of_the_usual_form():
    field = lambda t, y, args: jnp.sin(t) - y**2
    y, h, stages = 0.3, 0.2, []
    for i in range(STAGES):
        argument = y + h * sum(MATRIX[i, j] * stages[j] for j in range(i))
        stages.append(float(field(0.1 + NODES[i] * h, argument, None)))
    expected = y + h * sum(b * k for b, k in zip(B, stages, strict=True))
    error = h * sum((b - e) * k for b, e, k in zip(B, B_EMBEDDED, stages, strict=True))
    times = jnp.array(0.1), jnp.array(0.1 + h)
    term = diffrax.ODETerm(field)
    y1, wrong, *_ = LowStorageRK4().step(term, *times, jnp.array(y), None, None, False)
    np.testing.assert_allclose([y1, wrong], [expected, error], rtol=1e-9)


def test_trajectories_have_the_tolerance_that_was_asked_for():
    f = lambda x: jnp.sum(jnp.cosh(x))
    system, x0 = ds.DIN(f, 1.0, 0.1), jnp.array([1.0, -0.5])
    exact = ds.simulate(system, x0, t1=5.0, times=21, rtol=1e-11, atol=1e-12)
    for rtol in (1e-5, 1e-8):
        ours = ds.simulate(
            system, x0, t1=5.0, times=21, rtol=rtol, atol=rtol, solver=LowStorageRK4()
        )
        np.testing.assert_allclose(ours.x, exact.x, atol=20 * rtol)
    assert int(ours.stats.gradient_evaluations) == 2 + (STAGES + 2) * int(
        ours.stats.steps + ours.stats.rejected
    )


SIZES = (32, 300, 64, 10)


def network(dtype=jnp.float32):
    """Parameters, and a loss with its data as leaves."""
    keys = jax.random.split(jax.random.key(0), len(SIZES))
    pairs = zip(keys, SIZES[:-1], SIZES[1:], strict=False)
    normal = lambda key, shape: jax.random.normal(key, shape, jnp.float32).astype(dtype)
    weights = [normal(key, (a, b)) / a**0.5 for key, a, b in pairs]
    parameters = [(w, jnp.zeros(w.shape[1], dtype)) for w in weights]
    inputs = normal(keys[-1], (128, SIZES[0]))
    return parameters, jax.tree_util.Partial(entropy, inputs, jnp.arange(128) % 10)


def entropy(inputs, labels, parameters):
    *hidden, (weights, bias) = parameters
    for w, b in hidden:
        inputs = jnp.tanh(inputs @ w + b[None])
    scores = jax.nn.log_softmax(inputs @ weights + bias[None])
    return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], 1))


def count(parameters):
    return sum(leaf.size for leaf in jax.tree.leaves(parameters))


def memory(function, *args):
    return jax.jit(function).lower(*args).compile().memory_analysis().temp_size_in_bytes


def test_a_field_evaluation_costs_one_gradient():
    parameters, loss = network()
    system = ds.GDIN(loss, 0.5, 0.1)
    state = system.initial_state(jnp.float32(0), parameters, None)
    field = lambda state: system.vector_field(jnp.float32(0), state)
    flops = lambda f, x: jax.jit(f).lower(x).compile().cost_analysis()["flops"]
    assert flops(field, state) < 1.05 * flops(jax.grad(loss), parameters)


@pytest.mark.slow
def test_a_solve_of_a_network_holds_few_copies_of_it_and_no_square_matrix():
    parameters, loss = network()
    size = count(parameters)

    def solve(parameters):
        system = ds.GDIN(loss, 0.5, 0.1)
        run = ds.simulate(
            system, parameters, t1=1.0, times=[1.0], solver=LowStorageRK4(), throw=False
        )
        return run.final_state

    copies = (memory(solve, parameters) - memory(jax.grad(loss), parameters)) / (4 * size)
    assert 4 < copies < 12
    text = jax.jit(solve).lower(parameters).as_text()
    shapes = re.findall(r"tensor<((?:\d+x)*\d+)xf32>", text)
    largest = max(np.prod(list(map(int, shape.split("x")))) for shape in shapes)
    assert largest < 2 * size + 128 * max(SIZES)


def test_gradient_flow_of_a_loss_with_data_in_large_dimension():
    loss = jax.tree_util.Partial(
        lambda scale, x: 0.5 * jnp.sum(scale * x**2), jnp.ones(3000)
    )
    run = ds.simulate(ds.GradientFlow(loss), jnp.ones(3000), t1=1.0, times=2, rtol=1e-7)
    np.testing.assert_allclose(run.x[-1], np.exp(-1.0), rtol=1e-5)


@pytest.mark.slow
def test_large_states_get_it_and_keep_their_precision():
    parameters, loss = network()
    assert count(parameters) > LARGE
    run = ds.simulate(ds.GDIN(loss, 0.5, 0.1), parameters, t1=3.0, times=3)
    assert run.stats.solver == "LowStorageRK4"
    assert {leaf.dtype for leaf in jax.tree.leaves(run.x)} == {jnp.dtype(jnp.float32)}
    assert np.all(np.diff(run.objective) < 0)
    wide, loss = network(jnp.float64)
    exact = ds.simulate(
        ds.GDIN(loss, 0.5, 0.1), wide, t1=3.0, times=3, rtol=1e-9, atol=1e-11
    )
    for ours, theirs in zip(jax.tree.leaves(run.x), jax.tree.leaves(exact.x), strict=True):
        size = np.sqrt(np.mean(np.square(theirs[-1]))) + 0.1
        np.testing.assert_allclose(ours[-1], theirs[-1], atol=5e-3 * size)


def test_errors_of_large_states_are_measured_array_by_array():
    # A weight at 0 among others of size 1 needs no accuracy of its own.
    curvature = jnp.linspace(1.0, 2.0, LARGE)
    f = lambda x: 0.5 * jnp.sum(curvature * x**2)
    steps = {}
    for name, x0 in (("ones", jnp.ones(LARGE)), ("one zero", jnp.ones(LARGE).at[7].set(0))):
        run = ds.simulate(ds.GDIN(f, 1.0, 0.1), x0, t1=3.0, times=2, rtol=1e-6, atol=1e-14)
        steps[name] = int(run.stats.steps)
        assert run.result.ok
    assert steps["ones"] == pytest.approx(steps["one zero"], abs=1)


def test_arrays_without_entries_have_no_say():
    loss = lambda p: jnp.sum(jnp.cosh(p["w"])) + jnp.sum(p["e"] ** 2)
    start = {"w": jnp.ones(LARGE + 1), "e": jnp.zeros(0)}
    run = ds.simulate(ds.GradientFlow(loss), start, t1=1.0, times=2)
    # The slope of cosh is sinh, and tanh(x / 2) decays like exp(-t).
    exact = 2 * np.arctanh(np.tanh(0.5) * np.exp(-1.0))
    np.testing.assert_allclose(run.x["w"][-1], exact, rtol=1e-4)


@pytest.mark.slow
def test_reverse_mode_goes_through_it():
    x0 = jnp.ones(LARGE)
    f = lambda x: 0.5 * jnp.sum(jnp.linspace(1.0, 3.0, LARGE) * x**2)
    quantity = lambda a: ds.simulate(
        ds.DIN(f, a, 0.1), x0, t1=1.0, times=2, max_steps=64, rtol=1e-8
    ).x[-1, 5]
    h = 1e-4
    difference = (quantity(1.0 + h) - quantity(1.0 - h)) / (2 * h)
    np.testing.assert_allclose(jax.grad(quantity)(1.0), difference, rtol=1e-5)

"""Kinks of a loss: what is found, and what is not taken for one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.nonsmooth import NotPiecewiseSmooth, kinks
from dynsys.nonsmooth.finder.find_pieces import is_smooth
from dynsys.nonsmooth.flat_program.loss_program import program_of

W = np.random.default_rng(1).normal(size=(4, 3))
X = jnp.array([0.3, -1.2, 2.0])


def scanned(x):
    return jax.lax.scan(lambda c, a: (c + jnp.abs(a), None), 0.0, x)[0]


def pooled(x):
    return jnp.sum(jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (2,), (1,), "VALID"))


@jax.custom_jvp
def hinge(x):
    return jnp.maximum(x, 0)


hinge.defjvp(lambda x, v: (hinge(x[0]), jnp.where(x[0] > 0, v[0], 0.0)))

KINKED = {
    "abs": (lambda x: jnp.sum(jnp.abs(x)), 3),
    "maximum": (lambda x: jnp.sum(jnp.maximum(x, 0.5 * x + 0.9)), 3),
    "minimum": (lambda x: jnp.sum(jnp.minimum(x, x**2)), 3),
    "relu": (lambda x: jnp.sum(jax.nn.relu(x)), 3),
    "relu6": (lambda x: jnp.sum(jax.nn.relu6(x)), 6),
    "leaky_relu": (lambda x: jnp.sum(jax.nn.leaky_relu(x)), 3),
    "hard_tanh": (lambda x: jnp.sum(jax.nn.hard_tanh(x)), 6),
    "clip": (lambda x: jnp.sum(jnp.clip(x, -1, 1)), 6),
    "where": (lambda x: jnp.sum(jnp.where(x > 0, x, -2 * x)), 3),
    "max": (jnp.max, 2),
    "min of a matrix": (lambda x: jnp.sum(jnp.min(jnp.outer(x, x) + W[:3], axis=0)), 6),
    "sign times its argument": (lambda x: jnp.sum(jnp.sign(x) * x), 3),
    "1-norm": (lambda x: jnp.linalg.norm(x, 1), 3),
    "inf-norm": (lambda x: jnp.linalg.norm(x, jnp.inf), 5),
    "abs of abs": (lambda x: jnp.abs(jnp.abs(x[0]) - x[1]), 2),
    # Two rows of W are positive, so two units of the second layer never switch.
    "two layers": (lambda x: jnp.sum(jax.nn.relu(W @ jax.nn.relu(W.T @ (W @ x)))), 5),
    "jit": (jax.jit(lambda x: jnp.sum(jnp.abs(x))), 3),
    "vmap": (lambda x: jnp.sum(jax.vmap(jax.nn.relu)(x)), 3),
    "scan": (scanned, 3),
    "max-pooling": (pooled, 2),
    "custom derivative": (lambda x: jnp.sum(hinge(x)), 3),
    "twice the same": (lambda x: jnp.sum(jnp.abs(x) + jax.nn.relu(-3 * x)), 3),
    "checkpoint": (jax.checkpoint(lambda x: jnp.sum(jnp.abs(x))), 3),
}

SMOOTH = {
    "softplus": lambda x: jnp.sum(jax.nn.softplus(x)),
    "logaddexp": lambda x: jnp.logaddexp(x[0], x[1]),
    "logsumexp": jax.nn.logsumexp,
    "softmax": lambda x: jax.nn.softmax(x)[0],
    "cross-entropy": lambda x: -jax.nn.log_softmax(x)[1],
    "log cosh": lambda x: jnp.sum(jnp.logaddexp(x, -x)),
    "variance": jnp.var,
    "negative index": lambda x: x[-1] ** 2,
    "norm away from 0": lambda x: jnp.sqrt(1 + x @ x),
    "abs of what is positive": lambda x: jnp.sum(jnp.abs(jnp.exp(x))),
    "stopped": lambda x: jnp.sum(x**2) + jax.lax.stop_gradient(jnp.sum(jnp.abs(x))),
    "unused": lambda x: (jnp.abs(x), jnp.sum(x**2))[1],
    "cancels": lambda x: jnp.abs(x[0]) - jnp.abs(-2 * x[0]) / 2 + x[1],
    "relu(t) - relu(-t)": lambda x: jnp.sum(jax.nn.relu(x) - jax.nn.relu(-x)),
    "a linear system": lambda x: x @ jnp.linalg.solve(jnp.diag(1 + x**2) + W[:3], x),
    "a determinant": lambda x: jnp.linalg.det(jnp.diag(1 + x**2)) + jnp.sum(x**2),
    "gelu": lambda x: jnp.sum(jax.nn.gelu(x)),
    "silu": lambda x: jnp.sum(jax.nn.silu(x)),
}


@pytest.mark.parametrize("name", KINKED)
def test_kinks_are_found(name):
    loss, number = KINKED[name]
    found = kinks(loss, X)
    assert len(found.values) == number
    assert not found.smooth
    piece = lambda x: found.pieces.piece(x, found.signature)
    np.testing.assert_allclose(piece(X), loss(X), rtol=1e-12)
    np.testing.assert_allclose(jax.grad(piece)(X), jax.grad(loss)(X), rtol=1e-12)


@pytest.mark.parametrize("name", SMOOTH)
def test_what_is_smooth_has_none(name):
    found = kinks(SMOOTH[name], X)
    assert found.smooth
    assert len(found.values) == 0


@pytest.mark.parametrize("name", ["huber", "elu"])
def test_a_joint_of_the_gradient_is_no_kink_of_it(name):
    huber = lambda x: jnp.sum(jnp.where(jnp.abs(x) < 1, 0.5 * x**2, jnp.abs(x) - 0.5))
    found = kinks({"huber": huber, "elu": lambda x: jnp.sum(jax.nn.elu(x))}[name], X)
    assert found.smooth
    assert all(found.joints)
    assert len(found.joints)


def test_pieces_go_on_beyond_their_kink():
    found = kinks(lambda x: jnp.abs(x) * jnp.exp(x), 1.0)
    at = jnp.array(-2.0)
    np.testing.assert_allclose(found.pieces.piece(at, jnp.array([1.0])), -2 * np.exp(-2))
    np.testing.assert_allclose(found.pieces.switching(at, jnp.array([1.0])), [-2.0])


def test_infinite_sides_do_not_spoil_the_chosen_one():
    loss = lambda x: jnp.sum(jnp.maximum(x, jnp.array([-jnp.inf, 0.0, -jnp.inf])))
    found = kinks(loss, X)
    piece = lambda x: found.pieces.piece(x, found.signature)
    assert np.isfinite(piece(X))
    np.testing.assert_allclose(jax.grad(piece)(X), [1.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("loss", "word"),
    [
        (lambda x: jnp.sum(jnp.where(x > 0.3, 1.0, 0.0) + x**2), "`gt` at .*test_kinks"),
        (lambda x: jnp.sum(jnp.sign(x) + x**2), "`sign` at .*test_kinks"),
        (lambda x: jnp.sum(jnp.floor(x) + x**2), "`floor` at .*test_kinks"),
        (lambda x: jnp.sort(x)[0], "`sort` at .*test_kinks"),
        (
            lambda x: jax.lax.while_loop(lambda y: y[0] < 9, lambda y: jnp.abs(y) + 1, x)[
                0
            ],
            "`while` at .*test_kinks",
        ),
    ],
)
def test_what_is_no_kink_and_not_smooth_is_refused_by_name(loss, word):
    with pytest.raises(NotPiecewiseSmooth, match=word):
        kinks(loss, X)


class Data(eqx.Module):
    data: jax.Array

    def __call__(self, x):
        return jnp.sum(jnp.abs(self.data * x - 1)) + jnp.logaddexp(x[0], x[1])


def test_data_that_is_traced_is_stood_for_by_random_numbers():
    def value(data):
        found = kinks(Data(data), X)
        assert len(found.values) == 3
        return found.pieces.piece(X, found.signature)

    data = jnp.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(jax.jit(value)(data), Data(data)(X), rtol=1e-12)
    slope = jax.jit(jax.grad(value))(data)
    np.testing.assert_allclose(slope, jax.grad(lambda d: Data(d)(X))(data), rtol=1e-12)


def test_positions_may_be_pytrees():
    loss = lambda p: jnp.sum(jnp.abs(p["a"])) + jax.nn.relu(p["b"])
    found = kinks(loss, {"a": jnp.ones(2), "b": jnp.array(-1.0)})
    np.testing.assert_array_equal(found.signature, [1, 1, -1])


def test_the_places_name_operations():
    found = kinks(lambda x: jnp.abs(x[0]) + jnp.max(x) + jnp.clip(x[1], 0, 3), X)
    names = [place.split("`")[1] for place in found.places]
    assert names == ["abs", "max", "max", "max", "min"]
    assert all("test_kinks" in place for place in found.places)


def test_a_network_of_one_hidden_layer():
    samples = np.random.default_rng(2).normal(size=(10, 2))

    def loss(p):
        hidden = jax.nn.relu(samples @ p["w"] + p["b"][None])
        return jnp.mean((hidden @ p["a"] - 1) ** 2)

    random = np.random.default_rng(3)
    point = {"w": random.normal(size=(2, 20)), "b": random.normal(size=20)}
    point |= {"a": random.normal(size=20)}
    found = kinks(loss, point)
    assert len(found.values) == 200
    point = jax.tree.map(jnp.asarray, point)
    piece = lambda x: found.pieces.piece(x, found.signature)
    gradients = [jax.tree.leaves(jax.grad(f)(point)) for f in (piece, loss)]
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


def test_objectives_of_the_library():
    assert len(kinks(ds.objectives.NonsmoothRosenbrock(), [-1.0, 1.5]).values) == 2
    assert kinks(ds.objectives.Rosenbrock(), [-1.0, 1.5]).smooth


@pytest.mark.parametrize(
    "loss",
    [
        jnp.linalg.norm,
        lambda x: jnp.sum(x**2) + jnp.linalg.norm(x[:2]),
        lambda x: jnp.sqrt(jnp.abs(x[0])),
        lambda x: jnp.sum(jnp.abs(x)) + jnp.sqrt(x @ x),
    ],
)
def test_a_cone_is_refused_by_name(loss):
    with pytest.raises(NotPiecewiseSmooth, match=r"has a cone: `sqrt` "):
        kinks(loss, X)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: jnp.linalg.norm(x) ** 2,
        lambda x: jnp.sqrt(1 + jnp.sum(x**2)),
        lambda x: jnp.sqrt(jnp.sum(x**2) + 1e-6),
        lambda x: jnp.cos(jnp.linalg.norm(x)),
        lambda x: jnp.sqrt(jnp.exp(x[0])) + jnp.sqrt(jnp.maximum(x[1], 0.1) + x[0] ** 2),
        lambda x: jnp.std(x) ** 2,
    ],
)
def test_a_square_root_that_is_smooth_is_not_refused(loss):
    assert len(kinks(loss, X).values) <= 1


SAMPLES = np.random.default_rng(0).normal(size=(600, 5))
MANY = {
    "logaddexp": (lambda x: jnp.mean(jnp.logaddexp(0.0, SAMPLES @ x)), True),
    "softplus": (lambda x: jnp.mean(jax.nn.softplus(SAMPLES @ x)), True),
    "steep": (lambda x: jnp.mean(jax.nn.softplus(1e4 * (SAMPLES @ x))), True),
    "relu": (lambda x: jnp.mean(jax.nn.relu(SAMPLES @ x)), False),
    "one relu": (
        lambda x: jnp.mean(jax.nn.softplus(SAMPLES @ x)) + 1e-3 * jax.nn.relu(x[0]),
        False,
    ),
    "far away": (
        lambda x: jnp.mean(jax.nn.softplus(SAMPLES @ x)) + jax.nn.relu(x[0] - 1e6),
        False,
    ),
}


@pytest.mark.parametrize("name", MANY)
def test_many_switches_are_smooth_if_none_is_a_kink(name):
    loss, expected = MANY[name]
    program, consts = program_of(loss, jnp.zeros(5))
    assert program.size >= 600
    assert is_smooth(program, consts, jnp.zeros(5)) is expected


def test_a_smooth_loss_of_many_samples_keeps_the_full_order():
    run = ds.simulate(ds.DIN(MANY["softplus"][0], 1.0, 0.1), np.ones(5), t1=1.0, times=2)
    assert run.stats.first_order is None
    assert run.stats.solver == "Tsit5"


@pytest.mark.slow
def test_kinks_of_many_terms_that_cancel_are_not_lost_to_the_d_operator():
    # The mean is smooth, but D at 0 is not a point: as before, steps of first order.
    halves = [lambda x: jnp.sum(jax.nn.relu(x)), lambda x: -jnp.sum(jax.nn.relu(-x))]
    system = ds.GradientFlow(ds.objectives.Mean(halves))
    options = {"t1": 0.1, "times": 2, "max_steps": 64, "throw": False}
    run = ds.simulate(system, np.ones(1200), inclusion="d_operator", **options)
    assert "2400 places" in run.stats.reason
    plain = ds.simulate(system, np.ones(1200), **options)
    assert "places" not in plain.stats.reason
    np.testing.assert_allclose(plain.x[-1], 0.95, rtol=1e-6)

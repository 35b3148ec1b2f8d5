"""Losses that jump are refused wherever they do; those that do not are not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from dynsys.nonsmooth import NotPiecewiseSmooth
from dynsys.nonsmooth.finder.find_pieces import find_pieces
from dynsys.nonsmooth.finder.jumps import LOOKED_AT

X = jnp.array([0.3, -1.2, 2.0])
SCALES = [1e-9, 1e-3, 1.0, 1e3, 1e9]
where = jnp.where

JUMPS = {
    "step": lambda x, s: where(x[0] > s, 1.0, 0.0),
    "slope": lambda x, s: where(x[0] > s, x[0], 0.4 * x[0]) / s,
    "beside an offset": lambda x, s: 1e6 + where(x[0] > s, x[0] / s, 0.4 * x[0] / s),
    "another entry": lambda x, s: where(x[0] > s, x[1] / s, 0.0),
    "reversed": lambda x, s: jnp.sum(where(x > 0, x[::-1] / s, 0.0)),
    "sign": lambda x, s: jnp.sum(jnp.sign(x - s)),
    "predicate": lambda x, s: jnp.sum((x > s).astype(x.dtype) * (x / s + 1)),
    "and": lambda x, s: where((x[0] > -s) & (x[0] < s), 1.0, 0.0),
    "a disc": lambda x, s: where(x @ x < s**2, x @ x, 4 * s**2) / s**2,
    "a quotient by abs": lambda x, s: jnp.sum((x - s) / jnp.abs(x - s)),
    "a negative power of abs": lambda x, s: (x[0] - s) * jnp.abs(x[0] - s) ** -1,
    "a quotient by max": lambda x, s: jax.nn.relu(x[0]) / jnp.maximum(x[0], -x[0]),
    "a singular factor": lambda x, s: where(x[0] > 0, x[0] * (s / x[0]), 0.0) / s,
}
MEET = {
    "hinge": lambda x, s: jnp.sum(where(x > s, 3 * (x - s), 0.0)),
    "pieces": lambda x, s: where(x[0] < 0.75 * s, s - x[0], 3 * x[0] - 2 * s),
    "and": lambda x, s: where((x[0] > -s) & (x[0] < s), 0.0, 2 * (jnp.abs(x[0]) - s)),
    "sign": lambda x, s: jnp.sum(jnp.sign(x - s) * (x - s)),
    "predicate": lambda x, s: jnp.sum((x > s).astype(x.dtype) * (x - s)),
    "elu": lambda x, s: jnp.sum(jax.nn.elu(x / s)),
    "a quotient by 1 + abs": lambda x, s: jnp.sum(1 / (1 + jnp.abs(x / s))),
    "a quotient by what is cut": lambda x, s: jnp.sum(
        x / jnp.maximum(jnp.abs(x), 1e-3 * s)
    ),
    "log1p of abs": lambda x, s: jnp.sum(jnp.log1p(jnp.abs(x / s))),
    "log of 1 + relu": lambda x, s: jnp.sum(jnp.log(1 + jax.nn.relu(x / s))),
    "a barrier": lambda x, s: jnp.sum(s / jnp.abs(x) + x / s),
    "two entries": lambda x, s: where(x[0] > x[1], x[0], x[1]) / s,
    "of a square": lambda x, s: where(x @ x < s**2, s**2, x @ x),
    "steep": lambda x, s: 1e11 * jnp.sum(where(x > s, x - s, s - x)),
}
PROVED = [name for name in MEET if name not in ("of a square", "a barrier")]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", JUMPS)
def test_a_jump_is_refused_with_its_place(name, scale):
    with pytest.raises(NotPiecewiseSmooth, match=r"jumps: `\w+` at test_jumps.py"):
        find_pieces(lambda x: JUMPS[name](x, scale) + jnp.sum(x) / scale, X)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", MEET)
def test_pieces_that_meet_are_followed(name, scale):
    pieces = find_pieces(lambda x: MEET[name](x, scale), X)
    assert pieces.number > 0


@pytest.mark.parametrize("name", PROVED)
def test_that_they_meet_is_proved_where_it_is_an_identity(name):
    # At a scale of 1 their data are exact.
    pieces = find_pieces(lambda x: MEET[name](x, 1.0), X)
    assert not any(pieces.unproved)


def test_a_side_that_never_meets_a_kink_need_not_match_there():
    # Left of `lower` there is max(lower, 1), so it matters on which side of 1 that is.
    lower = jnp.array([0.0, 2.0, 3.0, -1.0, 0.5, 4.0])
    right = lambda x: where(x > 1, x, 1.0)
    loss = lambda x: jnp.sum(where(x > lower, right(x), jnp.maximum(lower, 1.0)))
    assert not any(find_pieces(loss, jnp.zeros(6)).unproved)


@pytest.mark.parametrize("name", ["pieces", "step"])
def test_nothing_is_said_of_data_that_are_traced(name):
    found = []

    def run(s):
        loss = lambda s, x: {**JUMPS, **MEET}[name](x, s)
        found.append(find_pieces(Partial(loss, s), X))
        return s

    jax.jit(run)(jnp.array(2.0))
    (pieces,) = found
    assert pieces.unproved == ((name == "step"),) * pieces.number
    assert not any(pieces.joint)


def test_a_position_that_is_traced_says_nothing_about_where_a_jump_is():
    def run(x):
        find_pieces(lambda x: where(x > 80.0, 0.4 * x, x), x)
        return x

    with pytest.raises(NotPiecewiseSmooth, match="differ by 48"):
        jax.jit(run)(1.0)


def test_an_approximation_in_pieces_does_not_jump():
    # The pieces of `log_ndtr` differ by 4e-9.
    assert find_pieces(lambda x: jnp.sum(jax.scipy.stats.norm.logcdf(x)), X).number > 0


@pytest.mark.parametrize("scale", SCALES)
def test_a_relative_jump_of_1e_7_is_that_of_an_approximation(scale):
    loss = lambda gap: lambda x: where(x > scale, (1 + gap) * x, x)
    assert find_pieces(loss(1e-8), jnp.array(1.0)).unproved == (True,)
    with pytest.raises(NotPiecewiseSmooth, match="jumps"):
        find_pieces(loss(1e-6), jnp.array(1.0))


def test_rounding_is_no_jump():
    assert find_pieces(lambda x: where(x > 0.3, x * x, 0.09), jnp.array(1.0)).number == 1
    loss = lambda x: where(x > 8.0, -jnp.exp(-x), jnp.log(1 - jnp.exp(-x)))
    with pytest.raises(NotPiecewiseSmooth):
        find_pieces(lambda x: loss(x - 6), jnp.array(1.0))
    far = lambda x: where(x > 36.7, -jnp.exp(-x), jnp.log(1 - jnp.exp(-x)))
    assert find_pieces(far, jnp.array(1.0)).number == 1


JOINTS = {
    "huber": lambda x: jnp.sum(where(jnp.abs(x) < 1.5, x**2 / 2, 1.5 * jnp.abs(x) - 1.125)),
    "elu": lambda x: jnp.sum(jax.nn.elu(x)),
    "celu": lambda x: jnp.sum(jax.nn.celu(x, 2.0)),
    "squared hinge": lambda x: jnp.sum(jax.nn.relu(1 - x) ** 2),
    "signed square": lambda x: jnp.sum(jnp.sign(x) * x**2),
    "smoothstep": lambda x: jnp.sum((lambda t: t * t * (3 - 2 * t))(jnp.clip(x, 0, 1))),
    "of a softplus": lambda x: jnp.sum(jax.nn.relu(jax.nn.softplus(x) - 1) ** 2),
    "apart": lambda x: where(x[0] > x[1], (x[0] - x[1]) ** 2, 0.0),
}
KINKS = {
    "huber, wrong": lambda x: jnp.sum(
        where(jnp.abs(x) < 1.5, x**2, 3.2 * jnp.abs(x) - 2.55)
    ),
    "selu": lambda x: jnp.sum(jax.nn.selu(x)),
    "hinge": lambda x: jnp.sum(jax.nn.relu(1 - x)),
    "a small kink": lambda x: jnp.sum(jax.nn.relu(x) ** 2 + 1e-3 * jax.nn.relu(x)),
    "leaky": lambda x: jnp.sum(jax.nn.leaky_relu(x)),
}


@pytest.mark.parametrize("name", JOINTS)
def test_gradients_that_meet_are_seen_to_do_so(name):
    pieces = find_pieces(JOINTS[name], X)
    assert pieces.number
    assert all(pieces.joint)


@pytest.mark.parametrize("name", KINKS)
def test_gradients_that_do_not_meet_are_kinks(name):
    pieces = find_pieces(KINKS[name], X)
    assert not np.array(pieces.joint)[-3:].any()


MEETING = {
    "Huber": lambda x, s: jnp.where(jnp.abs(x) < s, x**2 / 2, s * (jnp.abs(x) - s / 2)),
    "clip": lambda x, s: (x - jnp.clip(x, -s, s)) ** 2,
    "a formula near 0": lambda x, s: where(
        jnp.abs(x) < 1e-4 * s,
        1 + x / (2 * s) + (x / s) ** 2 / 6,
        jnp.expm1(x / s) / where(jnp.abs(x) < 1e-4 * s, 1.0, x / s),
    ),
    "a formula far away": lambda x, s: where(x > 20 * s, x / s, jnp.log1p(jnp.exp(x / s))),
    "small beside its rounding": lambda x, s: jax.scipy.stats.norm.logcdf(x / s),
}
BENDS = {
    "positive orthant": lambda x, s: where(jnp.all(x > s), jnp.prod(x / s - 1), 0.0),
    "within another": lambda x, s: where(
        x[1] > 5 * s, where(x[0] > s, x[0] / s - 1, 0.0) * (x[1] / s - 5), 0.0
    ),
    "small beside an offset": lambda x, s: where(
        x[0] > s, 1e6 + 1e-3 * (x[0] / s - 1), 1e6 - 1e-3 * (x[0] / s - 1)
    ),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", MEETING)
def test_slopes_that_meet_are_seen_to(name, scale):
    pieces = find_pieces(lambda x: jnp.sum(MEETING[name](x, scale)), X * scale)
    assert pieces.number
    assert all(pieces.joint)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", BENDS)
def test_what_is_hidden_from_most_points_is_no_joint(name, scale):
    pieces = find_pieces(lambda x: BENDS[name](x, scale), X * scale)
    assert pieces.number
    assert not any(pieces.joint)


@pytest.mark.slow
def test_kinks_that_are_not_looked_at_are_like_those_that_are():
    loss = lambda x: -jnp.sum(jax.scipy.stats.norm.logcdf(x))
    pieces = find_pieces(loss, jnp.zeros(LOOKED_AT + 4))
    assert pieces.number > LOOKED_AT
    assert all(pieces.joint)

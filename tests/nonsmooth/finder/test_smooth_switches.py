"""Across which switches a loss changes, for all signs of the others."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsys.nonsmooth.arithmetic.identities import Field
from dynsys.nonsmooth.arithmetic.normal_form import NormalForm
from dynsys.nonsmooth.finder.equal_kinks import Kinds
from dynsys.nonsmooth.finder.find_pieces import find_pieces, is_smooth
from dynsys.nonsmooth.finder.smooth_switches import differing, together
from dynsys.nonsmooth.finder.turned_signs import Base
from dynsys.nonsmooth.finder.turned_together import turn_all
from dynsys.nonsmooth.flat_program.loss_program import program_of

RANDOM = np.random.default_rng(0)
A, B = RANDOM.normal(size=(400, 3)), RANDOM.normal(size=400)
X = jnp.array([0.3, -1.2, 2.0])
MASK = jnp.array([True, False, True])


def by_hand(x):
    top = jnp.max(x)
    return top + jnp.log(jnp.sum(jnp.exp(x - top)))


def by_hand_stopped(x):
    top = jnp.max(x)
    c = jax.lax.stop_gradient(top)
    return top * c + c + jnp.log(jnp.sum(jnp.exp(x - c))) - c * jnp.max(x)


def predicates(x, either, both, times=1):
    """Nothing: one or the other is one and the other less both."""
    a, b = x > 1, x < x[::-1] - 1
    size = lambda w: jnp.sum(jnp.where(w, x**2, 0))
    return size(either(a, b)) + times * size(both(a, b)) - size(a) - size(b) + x[0]


def attention(x):
    q = A[:3] * x[None]
    scores = q @ q.T
    weights = jnp.exp(scores - jnp.max(scores, axis=1)[:, None])
    return jnp.sum(weights / jnp.sum(weights, axis=1)[:, None] @ q)


SMOOTH = {
    "logsumexp by hand": by_hand,
    "logsumexp by hand, stopped": by_hand_stopped,
    "softplus by hand": lambda x: jnp.sum(
        jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))
    ),
    "of softplus": lambda x: jnp.sum(
        jax.nn.softplus(A[:3] @ jax.nn.softplus(A[:3] @ jax.nn.softplus(x)))
    ),
    "log of a mean": lambda x: jnp.log(jnp.mean(jnp.exp(x - jnp.max(x)))) + jnp.max(x),
    "weighted": lambda x: jax.nn.logsumexp(x, b=jnp.array([1.0, 2.0, 3.0])),
    "masked": lambda x: jax.nn.logsumexp(jnp.where(MASK, x, -jnp.inf)),
    "masked softmax": lambda x: jnp.sum(jax.nn.softmax(jnp.where(MASK, x, -jnp.inf)) ** 2),
    "attention": attention,
    "square of abs": lambda x: jnp.sum(jnp.abs(x) ** 2),
    "cosine of abs": lambda x: jnp.sum(jnp.cos(jnp.abs(x))),
    "relu(t) - relu(-t)": lambda x: jnp.sum(jax.nn.relu(x) - jax.nn.relu(-x)),
    "or, and": lambda x: predicates(x, lambda a, b: a | b, lambda a, b: a & b),
    "xor, and": lambda x: predicates(x, lambda a, b: a ^ b, lambda a, b: a & b, 2),
    "not": lambda x: jnp.sum(jnp.where(x > 1, x, 0) + jnp.where(~(x > 1), x, 0)),
    "log cosh": lambda x: jnp.sum(jnp.abs(x) + jnp.log1p(jnp.exp(-2 * jnp.abs(x)))),
    "cross-entropy": lambda x: jnp.sum(
        jnp.maximum(x, 0) - x * B[:3] + jnp.log1p(jnp.exp(-jnp.abs(x)))
    ),
}
KINKED = {
    "relu6 hidden by its ends": (lambda x: jax.nn.relu6(x[0]), 2),
    "hidden by a product": (lambda x: jax.nn.relu(x[0]) * jax.nn.relu(x[1]), 2),
    "hidden by many": (lambda x: jnp.prod(jax.nn.relu(jnp.concatenate([x, x + 1]))), 6),
    "minus itself, stopped": (
        lambda x: jnp.sum(jnp.abs(x) - jax.lax.stop_gradient(jnp.abs(x))),
        3,
    ),
    "abs cubed": (lambda x: jnp.sum(jnp.abs(x) ** 3), 3),
    "logsumexp, wrong": (lambda x: jnp.max(x) + jnp.log(jnp.sum(jnp.exp(x - x[0]))), 2),
    "softplus, wrong": (
        lambda x: jnp.sum(jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-2 * jnp.abs(x)))),
        3,
    ),
    "one in 400": (lambda x: jnp.sum(jax.nn.softplus(A @ x)) + 1e-9 * jnp.abs(x[0]), 1),
    "beside 1e9": (lambda x: 1e9 * x[1] ** 2 + jnp.abs(x[0]), 1),
    "beside an offset": (lambda x: 3e15 + jnp.abs(x[0]), 1),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_what_is_smooth_has_no_kink(name):
    assert find_pieces(SMOOTH[name], X).number == 0


@pytest.mark.parametrize("name", KINKED)
def test_kinks_are_not_hidden_by_others(name):
    loss, number = KINKED[name]
    assert find_pieces(loss, X).number == number


def bases(loss, x):
    program, consts = program_of(loss, x)
    form = NormalForm(program, consts)
    groups, side = Kinds(form.levels, x).of(form)
    return [Base(form, Field([i], form.levels, 1), groups, side) for i in (0, 1)]


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
def test_many_at_once_and_one_by_one_agree(name):
    loss = SMOOTH.get(name) or KINKED[name][0]
    both = bases(loss, X)
    alone = np.zeros(both[0].number, bool)
    for base in both:
        alone |= base.differ(np.arange(base.number))
    settled = [together(base) for base in both]
    assert not (alone & settled[0] & settled[1]).any()
    assert not (differing(both) & ~alone).any()


def test_entries_that_two_kinks_meet_in_are_left_out():
    # One of each pair is 0 at both ends: were they turned together, it would be lost.
    loss = lambda x: jnp.sum(jax.nn.relu(x) * jax.nn.relu(x)[::-1])
    base, _ = bases(loss, X)
    found = turn_all(base, np.arange(base.number))
    assert found.meet
    assert found.differing() == {0, 1, 2}


@pytest.mark.parametrize(("rows", "answer"), [(1000, True), (30_000, True)])
def test_very_many_switches_of_a_smooth_loss_are_settled_at_once(rows, answer):
    data = np.random.default_rng(1).normal(size=(rows, 3))
    loss = lambda x: jnp.mean(jax.nn.softplus(data @ x))
    program, consts = program_of(loss, X)
    assert is_smooth(program, consts, X) is answer
    bent = lambda x: loss(x) + 1e-12 * jnp.abs(data[-1] @ x - 1)
    program, consts = program_of(bent, X)
    assert is_smooth(program, consts, X) is False


MANY = {
    "least absolute deviations": (lambda x: jnp.sum(jnp.abs(A @ x - B)), 400),
    "softplus": (lambda x: jnp.mean(jax.nn.softplus(A @ x - B)), 0),
    "elu": (lambda x: jnp.mean(jax.nn.elu(A @ x - B)), 400),
    "huber": (
        lambda x: jnp.mean(
            jnp.where(
                jnp.abs(A @ x - B) < 1, (A @ x - B) ** 2 / 2, jnp.abs(A @ x - B) - 0.5
            )
        ),
        800,
    ),
}


@pytest.mark.parametrize("name", MANY)
def test_hundreds_of_switches_take_no_more_than_seconds(name):
    loss, number = MANY[name]
    start = time.perf_counter()
    assert find_pieces(loss, X).number == number
    # Ten times what it takes on an idle machine.
    assert time.perf_counter() - start < 20

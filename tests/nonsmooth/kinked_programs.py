"""Kinked losses by their programs: loops, branches, derivatives, indices, data."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn
from jax.tree_util import Partial

from tests.nonsmooth.slopes import Spelling as S
from tests.nonsmooth.spelling_data import KNOTS, LEVELS, SLOPES, WHOLE, A, B, W

total = jnp.sum


def table(x):
    """A polygon, written as pieces between knots."""
    y = SLOPES[0] * x + LEVELS[0]
    for knot, slope, level in zip(KNOTS, SLOPES[1:], LEVELS[1:], strict=True):
        y = jnp.where(x > knot, slope * x + level, y)
    return y


def looked_up(x):
    i = jnp.searchsorted(KNOTS, jnp.asarray(B))
    return total(jnp.asarray(np.abs(SLOPES))[i] * jnp.abs(x - B))


def scanned(step):
    return lambda x: lax.scan(step, jnp.array(0.0), x)[0]


@jax.custom_jvp
def hinge(x):
    return jnp.maximum(x, 0)


hinge.defjvp(lambda x, v: (hinge(x[0]), jnp.where(x[0] > 0, v[0], 0.0)))


@jax.custom_vjp
def absolute(x):
    return jnp.abs(x)


absolute.defvjp(lambda x: (jnp.abs(x), jnp.sign(x)), lambda sign, g: (g * sign,))


class Line(eqx.Module):
    """A loss that carries its data."""

    rows: jax.Array
    labels: jax.Array

    def __call__(self, x):
        return total(jnp.abs(self.rows @ x - self.labels))


ALL = {
    "scan of abs": (scanned(lambda c, a: (c + jnp.abs(a), None)), 3),
    "scan of relu": (scanned(lambda c, a: (c + nn.relu(a - 0.5), None)), 3),
    "scan: nested": (scanned(lambda c, a: (nn.relu(c + a), None)), 3),
    "scan: reverse": (
        lambda x: lax.scan(
            lambda c, a: (c + jnp.abs(a), None), jnp.array(0.0), x, reverse=True
        )[0],
        3,
    ),
    "fori_loop": (lambda x: lax.fori_loop(0, 3, lambda i, c: c + jnp.abs(x[i]), 0.0), 3),
    "cond": (lambda x: lax.cond(x[0] > 0, lambda a: a, lambda a: -2 * a, x[0]), 1),
    "cond: closed over": (lambda x: lax.cond(x[0] > x[1], lambda: x[0], lambda: x[1]), 1),
    "cond: vmap": (
        lambda x: total(
            jax.vmap(lambda a: lax.cond(a > 0, lambda a: a, lambda a: -2 * a, a))(x)
        ),
        3,
    ),
    "cond: kinks inside": (
        lambda x: lax.cond(
            x[0] > 0, lambda x: x[0] + jnp.abs(x[1]), lambda x: jnp.abs(x[1]), x
        ),
        2,
    ),
    "cond on data": (
        lambda x: lax.cond(WHOLE[0] > 2, lambda x: total(jnp.abs(x)), jnp.sum, x),
        3,
    ),
    "switch": (
        lambda x: lax.switch((x[0] > 0).astype(int), [lambda a: -a, lambda a: 2 * a], x[0]),
        1,
    ),
    "switch: of two": (
        lambda x: lax.switch(
            (x[0] > 0).astype(int) + (x[0] > 1).astype(int),
            [lambda a: -a, lambda a: 2 * a, lambda a: 3 * a - 1],
            x[0],
        ),
        2,
    ),
    "switch on data": (
        lambda x: lax.switch(1, [jnp.sum, lambda x: total(jnp.abs(x))], x),
        3,
    ),
    "custom_jvp": (lambda x: total(hinge(x)), 3),
    "custom_vjp": (lambda x: total(absolute(x)), 3),
    "searchsorted of data": (lambda x: looked_up(x[0]) + x[1] ** 2, 12),
    "table": (lambda x: total(table(x)), 9),
    "predicates of two": (
        lambda x: jnp.where((x[0] > 0) & (x[1] > 0), x[0] * x[1], 0.0),
        2,
    ),
    "or of two": (lambda x: jnp.where((x[0] < 0) | (x[1] < 0), 0.0, x[0] * x[1]), 2),
    "where all": (lambda x: jnp.where(jnp.all(x > 0), jnp.prod(x), 0.0), 3),
    "positive parts": (lambda x: nn.relu(x[0]) * nn.relu(x[1]), 2),
    "argmax of data": (lambda x: jnp.abs(x[np.argmax(B[:3])]), 1),
    "index of data": (lambda x: total(jnp.abs(x[WHOLE % 3] - B[:5])), 5),
    "scatter": (
        lambda x: total(jnp.abs(jnp.zeros(4).at[np.array([0, 1, 0])].add(x) - 0.5)),
        2,
    ),
    "segment_sum": (
        lambda x: total(jnp.abs(jax.ops.segment_sum(x, np.array([0, 1, 0]), 2))),
        2,
    ),
    "segment_sum of abs": (
        lambda x: total(jax.ops.segment_sum(jnp.abs(x), np.array([0, 1, 0]), 2)),
        3,
    ),
    "cumsum": (lambda x: total(jnp.abs(jnp.cumsum(x) - 1)), 3),
    "linear solve": (lambda x: total(jnp.abs(jnp.linalg.solve(W[:3], x))), 3),
    "Fourier": (lambda x: total(jnp.abs(jnp.real(jnp.fft.fft(x)))), None),
    "Partial": (
        Partial(lambda d, x: total(jnp.abs(x * d - 1)), jnp.array([2.0, 3.0, 5.0])),
        3,
    ),
    "partial": (
        functools.partial(lambda d, x: total(jnp.abs(x - d)), jnp.array([2.0, 3.0, 5.0])),
        3,
    ),
    "Module": (Line(jnp.asarray(A), jnp.asarray(B)), 12),
    "data under a logarithm": (
        Partial(lambda d, x: total(jnp.log(d) * jnp.abs(x)), jnp.array([2.0, 3.0, 5.0])),
        3,
    ),
    "integer data": (lambda x: total(jnp.abs(x[0] - WHOLE.astype(float))) + x[1] ** 2, 4),
    "float32 data": (
        lambda x: total(jnp.abs(x - jnp.asarray(np.float32([0.1, 0.7, 1e-3]), float))),
        3,
    ),
}


NESTED = frozenset(
    {
        "scan: nested",
        "cond: kinks inside",
        "predicates of two",
        "or of two",
        "where all",
        "positive parts",
        "segment_sum",
    }
)
"""Kinks that a line crosses twice, or that are behind others."""


KINKED_PROGRAMS = {
    name: S(loss, number=number, once=name not in NESTED and number is not None)
    for name, (loss, number) in ALL.items()
}

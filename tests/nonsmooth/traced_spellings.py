"""Losses of data that are traced, the data, and the number of their kinks."""

import jax.numpy as jnp
import optax
from jax import lax, nn

from tests.nonsmooth.spelling_data import SIGNS, YEARS, A, W

total = jnp.sum


TRACED = {
    "abs": (lambda d, x: total(jnp.abs(x * d - 1)), jnp.array([1.0, 2.0, 3.0]), 3),
    "LAD": (lambda d, x: total(jnp.abs(d @ x)), jnp.asarray(A), 12),
    "labels": (lambda d, x: total(jnp.abs(x[0] - d)), jnp.asarray(YEARS), 5),
    "weights": (lambda d, x: total(d * jnp.abs(x)), jnp.array([1.0, -2.0, 3.0]), 3),
    "a logarithm": (
        lambda d, x: total(jnp.log(d) * jnp.abs(x)),
        jnp.array([2.0, 3.0, 5.0]),
        3,
    ),
    "hinge": (lambda d, x: nn.relu(d - total(x)), jnp.array(1.0), 1),
    "knot": (lambda d, x: jnp.maximum(x[0], d) + jnp.abs(x[0] - d), jnp.array(1.0), 1),
    "a slope": (lambda d, x: jnp.abs(d * x[0]) + jnp.abs(x[0]), jnp.array(2.0), 2),
    "pieces": (
        lambda d, x: jnp.where(x[0] < d, d - x[0], 3 * (x[0] - d)),
        jnp.array(0.75),
        1,
    ),
    "clip": (lambda d, x: total(jnp.clip(x, -d, d)), jnp.array(1.0), 6),
    "network": (lambda d, x: total(nn.relu(d @ x)), jnp.asarray(W), 4),
    "scan": (
        lambda d, x: lax.scan(lambda c, r: (c + jnp.abs(r @ x), None), jnp.array(0.0), d)[
            0
        ],
        jnp.asarray(A),
        12,
    ),
    "softplus": (lambda d, x: total(nn.softplus(d * x)), jnp.array([1.0, 2.0, 3.0]), 0),
    "logsumexp": (lambda d, x: nn.logsumexp(d * x), jnp.array([1.0, 2.0, 3.0]), 0),
    "BCE": (
        lambda d, x: jnp.mean(optax.sigmoid_binary_cross_entropy(jnp.asarray(A) @ x, d)),
        jnp.asarray(SIGNS),
        0,
    ),
    "sort of data": (
        lambda d, x: total(jnp.abs(x - jnp.sort(d))),
        jnp.array([1.0, 2.0, 3.0]),
        3,
    ),
    "abs of data": (lambda d, x: jnp.abs(d) @ x**2, jnp.array([1.0, -2.0, 3.0]), 0),
    "where on data": (
        lambda d, x: total(jnp.where(d > 0, jnp.abs(x), x**2)),
        jnp.array([1.0, -2.0, 3.0]),
        3,
    ),
}

"""What is recommended in place of a loss that is not looked into is looked into."""

import jax
import jax.numpy as jnp
import pytest

from dynsys.nonsmooth import NotPiecewiseSmooth, kinks

X = jnp.array([1.0, 2.0])
matrix = lambda x: jnp.diag(x) + 1.0
LOSSES = {
    r"Use `jnp.max\(x\)` for the largest": (lambda x: x[jnp.argmax(x)], jnp.max),
    r"`jnp.min\(x\)` for the smallest": (lambda x: jnp.sort(x)[0], jnp.min),
    "Pieces that meet can be written with `jnp.where`": (
        lambda x: x[0] - jnp.floor(x[0]),
        lambda x: jnp.where(x[0] > 0, x[0], 2 * x[0]),
    ),
    "Use `jnp.abs` and `jnp.sign`": (
        lambda x: jnp.copysign(x[0], x[1]),
        lambda x: jnp.abs(x[0] * x[1]) * jnp.sign(x[0] * x[1]),
    ),
    r"as in `jnp.arctan2\(y, jnp.exp\(s\)\)`": (
        lambda x: jnp.arctan2(x[0], x[1]),
        lambda x: jnp.arctan2(x[0], jnp.exp(x[1])),
    ),
    "or the cosine of the angle": (
        lambda x: jnp.arctan2(x[0], x[1]),
        lambda x: x[0] / jnp.sqrt(x[0] ** 2 + x[1] ** 2 + 1e-9),
    ),
    "such as a trace": (
        lambda x: jnp.linalg.eigvalsh(matrix(x))[0],
        lambda x: jnp.trace(matrix(x)) + jnp.sum(matrix(x) ** 2),
    ),
    "`jnp.linalg.slogdet`": (
        lambda x: jnp.sum(jnp.linalg.svd(matrix(x), compute_uv=False)),
        lambda x: jnp.linalg.slogdet(matrix(x))[1],
    ),
    "or `jax.lax.fori_loop` with a number": (
        lambda x: jax.lax.while_loop(lambda v: v < 1, lambda v: 2 * v, x[0]),
        lambda x: jax.lax.fori_loop(0, 3, lambda i, v: 2 * v, x[0]),
    ),
    r"Use `x \* \(x\*\*2 \+ 1e-9\)": (
        lambda x: jnp.cbrt(x[0]),
        lambda x: x[0] * (x[0] ** 2 + 1e-9) ** (-1 / 3),
    ),
    "Use the 1-norm or the largest entry": (
        jnp.linalg.norm,
        lambda x: jnp.sum(jnp.abs(x)) + jnp.max(jnp.abs(x)),
    ),
    r"as in `jnp.sqrt\(s \+ 1e-6\)`": (
        lambda x: jnp.sqrt(jnp.sum(x**2)),
        lambda x: jnp.sqrt(jnp.sum(x**2) + 1e-6),
    ),
    "use the exact penalty": (
        lambda x: jnp.sum(x**2) + jnp.where(x[0] > 1, jnp.inf, 0.0),
        lambda x: jnp.sum(x**2) + 3 * jnp.sum(jax.nn.relu(x[0] - 1)),
    ),
    "make the pieces meet": (
        lambda x: jnp.where(x[0] > 0, x[0] + 1, 0.0),
        lambda x: jnp.where(x[0] > 0, x[0], 0.0),
    ),
}
"""By a part of the message: a loss that is not looked into, and what to write instead."""


@pytest.mark.parametrize("message", LOSSES)
def test_what_a_loss_is_recommended_instead_is_looked_into(message):
    refused, instead = LOSSES[message]
    with pytest.raises(NotPiecewiseSmooth, match=message):
        kinks(refused, X)
    kinks(instead, X)

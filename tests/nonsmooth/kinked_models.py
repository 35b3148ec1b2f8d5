"""Kinked losses of models: norms, total variation, regression, networks, penalties."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax, nn
from jax.scipy import stats

from tests.nonsmooth.slopes import Spelling as S
from tests.nonsmooth.spelling_data import ROWS, SIGNS, A, B, W

total = jnp.sum


def scanned(step):
    return lambda x: lax.scan(step, jnp.array(0.0), x)[0]


def rolled(x):
    """A recurrent network with relu, of two passes, none of whose units is dead."""
    step = lambda h, b: (nn.relu(W[:3] @ h + b), None)
    return total(lax.scan(step, x, A[:2] * jnp.array([[-1.0, 1.0, 1.0]]))[0])


def pooled(x, size=2, padding="VALID"):
    return total(lax.reduce_window(x, -jnp.inf, lax.max, (size,), (1,), padding))


ALL = {
    "1-norm": (lambda x: jnp.linalg.norm(x, 1), 3),
    "max-norm": (lambda x: jnp.linalg.norm(x, jnp.inf), 5),
    "max": (jnp.max, 2),
    "max: maximum": (lambda x: jnp.maximum(jnp.maximum(x[0], x[1]), x[2]), 2),
    "max: reduce": (lambda x: functools.reduce(jnp.maximum, x), 2),
    "max: scan": (scanned(lambda c, a: (jnp.maximum(c, a), None)), 3),
    "max: initial": (lambda x: jnp.max(x, initial=0.5), 3),
    "max: where": (
        lambda x: jnp.max(x, where=np.array([True, False, True]), initial=-jnp.inf),
        1,
    ),
    "max: where, initial": (
        lambda x: jnp.max(x, where=np.array([True, False, True]), initial=0.0),
        2,
    ),
    "max: -inf": (
        lambda x: jnp.max(jnp.where(np.array([True, False, True]), x, -jnp.inf)),
        1,
    ),
    "max: amax": (lambda x: jnp.amax(W @ x), 3),
    "min": (jnp.min, 2),
    "ptp": (jnp.ptp, 3),
    "max of rows": (lambda x: total(jnp.max(W * x[None], axis=1)), 8),
    "max-affine": (lambda x: jnp.max(W @ x + B[:4]), 3),
    "min of distances": (lambda x: jnp.min(total((x[None] - W) ** 2, axis=1)), 3),
    "max of -x and data": (
        lambda x: jnp.max(jnp.concatenate([x, np.array([0.5, 0.2])])),
        None,
    ),
    "group of maxes": (lambda x: jnp.max(x[:2]) + jnp.max(x[1:]), 2),
    "max-pooling": (pooled, 2),
    "max-pooling: padded": (lambda x: pooled(x, 3, "SAME"), 3),
    "max-pooling: reshape": (lambda x: total(jnp.max((W @ x).reshape(2, 2), axis=1)), 2),
    "maxout": (lambda x: total(jnp.max((A @ x).reshape(4, 3), axis=1)), 8),
    "total variation": (lambda x: total(jnp.abs(jnp.diff(x))), 2),
    "total variation: slices": (lambda x: total(jnp.abs(x[1:] - x[:-1])), 2),
    "total variation: roll": (lambda x: total(jnp.abs(x - jnp.roll(x, 1))), 3),
    "total variation: convolve": (
        lambda x: total(jnp.abs(jnp.convolve(x, np.array([1.0, -1.0]), mode="valid"))),
        2,
    ),
    "fused lasso": (lambda x: total(jnp.abs(x)) + 2 * total(jnp.abs(jnp.diff(x))), 5),
    "trend filter": (lambda x: total(jnp.abs(jnp.diff(x, 2))) + x[0] ** 2, 1),
    "lasso": (lambda x: total((A @ x - B) ** 2) + 0.3 * total(jnp.abs(x)), 3),
    "elastic net": (lambda x: total(x**2) + 0.3 * jnp.linalg.norm(x, 1), 3),
    "LAD": (lambda x: total(jnp.abs(A @ x - B)), 12),
    "LAD: mean": (lambda x: jnp.mean(jnp.abs(B - A @ x)), 12),
    "LAD: vmap": (lambda x: total(jax.vmap(lambda a, b: jnp.abs(a @ x - b))(A, B)), 12),
    "LAD: scan": (
        lambda x: lax.scan(
            lambda c, r: (c + jnp.abs(r[0] @ x - r[1]), None),
            jnp.array(0.0),
            (jnp.asarray(A), jnp.asarray(B)),
        )[0],
        12,
    ),
    "LAD: duplicate rows": (lambda x: total(jnp.abs(ROWS @ x)), 3),
    "LAD: doubled rows": (lambda x: total(jnp.abs(jnp.concatenate([A, -2 * A]) @ x)), 12),
    "LAD: norm": (lambda x: jnp.linalg.norm(A @ x - B, 1), 12),
    "Chebyshev": (lambda x: jnp.max(jnp.abs(A[:3] @ x - B[:3])), 5),
    "quantile regression": (
        lambda x: total(jnp.maximum(0.9 * (B - A @ x), -0.1 * (B - A @ x))),
        12,
    ),
    "support vectors": (lambda x: total(nn.relu(1 - SIGNS * (A @ x))) + 0.1 * x @ x, 12),
    "support vectors: optax": (
        lambda x: total(optax.hinge_loss(A @ x, jnp.asarray(SIGNS))),
        12,
    ),
    "perceptron": (lambda x: total(nn.relu(-SIGNS * (A @ x))), 12),
    "tube regression": (lambda x: total(nn.relu(jnp.abs(A[:4] @ x - B[:4]) - 0.1)), None),
    "multiclass hinge": (lambda x: nn.relu(1 + jnp.maximum(x[0], x[1]) - x[2]), 2),
    "triplet": (lambda x: nn.relu(total((x - 1) ** 2) - total((x + 1) ** 2) + 0.5), 1),
    "Laplace likelihood": (
        lambda x: -total(stats.laplace.logpdf(B, x[0], jnp.exp(x[1]))) + x[2] ** 2,
        12,
    ),
    "one hidden layer": (lambda x: nn.relu(W @ x) @ B[:4], 4),
    "one hidden layer, squared": (lambda x: total((nn.relu(A @ x) @ A - 1) ** 2), 12),
    "two hidden layers": (
        lambda x: total(nn.relu(W.T @ nn.relu(W @ x + B[:4]) + B[:3])),
        7,
    ),
    "leaky layers": (lambda x: total(nn.leaky_relu(W.T @ nn.leaky_relu(W @ x + B[:4]))), 7),
    "residual layer": (lambda x: total(x + W.T @ nn.relu(W @ x)), 4),
    "recurrent relu": (rolled, 6),
    "abs of abs": (lambda x: jnp.abs(jnp.abs(x[0]) - x[1]), 2),
    "abs of a sum of abs": (lambda x: jnp.abs(jnp.abs(x[0]) + jnp.abs(x[1]) - 1), 3),
    "abs of a product": (lambda x: jnp.abs(x[0] * x[1]) + x[2], 1),
    "abs of a bilinear form": (lambda x: jnp.abs(x @ W[:3] @ x), 1),
    "abs of a trace": (lambda x: jnp.abs(jnp.trace(jnp.outer(x, x) @ W[:3])), 1),
    "relu of a sphere": (lambda x: nn.relu(x @ x - 1), 1),
    "relu of a norm": (lambda x: nn.relu(jnp.sqrt(x @ x + 1e-3) - 1), 1),
    "distance to a ball, squared": (lambda x: total(x**2) + nn.relu(total(x**2) - 1), 1),
    "max(a, b) - min(a, b)": (
        lambda x: jnp.maximum(x[0], x[1]) - jnp.minimum(x[0], x[1]),
        1,
    ),
    "max and abs of the same": (
        lambda x: jnp.maximum(x[0], x[1]) + jnp.abs(x[1] - x[0]),
        1,
    ),
    "NonsmoothRosenbrock": (lambda x: 10 * jnp.abs(x[0] ** 2 - x[1]) + (1 - x[0]) ** 2, 1),
    "exact penalty": (lambda x: x @ x + 10 * nn.relu(1 - x[0] - x[1]), 1),
    "exact penalty: equality": (lambda x: x @ x + 10 * jnp.abs(total(x) - 1), 1),
    "softmax and l1": (lambda x: nn.logsumexp(x) + 0.1 * total(jnp.abs(x)), 3),
    "softplus of abs": (lambda x: total(nn.softplus(jnp.abs(x) - 1)), 3),
    "log of abs": (lambda x: total(jnp.log(1e-2 + jnp.abs(x))), 3),
    "sum and abs": (lambda x: 0.5 * total(x) + total(jnp.abs(x - 1e-3)), 3),
    "small beside large": (lambda x: 2e9 * x[0] ** 2 + jnp.abs(x[1]), 1),
    "large offset": (lambda x: 3e8 + 2 * total(jnp.abs(x)), 3),
    "steep": (lambda x: 3e11 * total(jnp.abs(x)), 3),
}

NESTED = frozenset(
    {
        "max: scan",
        "min of distances",
        "max of -x and data",
        "Chebyshev",
        "max-norm",
        "max",
        "max: maximum",
        "max: reduce",
        "max: initial",
        "max: amax",
        "min",
        "ptp",
        "max of rows",
        "max-affine",
        "maxout",
        "group of maxes",
        "max-pooling: padded",
        "tube regression",
        "multiclass hinge",
        "triplet",
        "one hidden layer, squared",
        "two hidden layers",
        "leaky layers",
        "recurrent relu",
        "abs of abs",
        "abs of a sum of abs",
        "abs of a product",
        "abs of a bilinear form",
        "abs of a trace",
        "relu of a sphere",
        "relu of a norm",
        "distance to a ball, squared",
        "NonsmoothRosenbrock",
        "softplus of abs",
        "small beside large",
        "Laplace likelihood",
        "softmax and l1",
    }
)
"""Kinks that a line crosses twice, or that are behind others."""


KINKED_MODELS = {
    name: S(loss, number=number, once=name not in NESTED and number is not None)
    for name, (loss, number) in ALL.items()
}

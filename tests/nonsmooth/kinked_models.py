"""Kinked losses of models and data: norms, regression, networks, loops, branches, scales."""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax, nn
from jax.scipy import stats
from jax.tree_util import Partial

from tests.nonsmooth.slopes import Spelling as S

random = np.random.default_rng(10)
W = random.normal(size=(4, 3))
A = random.normal(size=(12, 3))
B = random.normal(size=12)
SIGNS = np.sign(B)
YEARS = np.array([1990.0, 1991.0, 1992.0, 1993.0, 1994.0])
KELVIN = np.array([293.15, 293.2, 293.25])
TIED = np.array([1.0, 2.0, 2.0, 2.0, 5.0, 5.0])
WHOLE = np.array([3, 1, 4, 1, 5])
KNOTS = np.array([-1.0, 0.0, 1.0])
SLOPES = np.array([-2.0, -0.5, 1.0, 3.0])
LEVELS = np.array([-2.0, -0.5, -0.5, -2.5])
ROWS = A[np.array([0, 1, 2, 0, 1, 0])]
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


def rolled(x):
    """A recurrent network with relu, of two passes."""
    step = lambda h, b: (nn.relu(W[:3] @ h + b), None)
    return total(lax.scan(step, x, jnp.asarray(A[:2]))[0])


def pooled(x, size=2, padding="VALID"):
    return total(lax.reduce_window(x, -jnp.inf, lax.max, (size,), (1,), padding))


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


class Pair(NamedTuple):
    a: jax.Array
    b: jax.Array


ALL = {
    "1-norm": (lambda x: jnp.linalg.norm(x, 1), 3),
    "max-norm": (lambda x: jnp.linalg.norm(x, jnp.inf), 5),
    "max": (jnp.max, 2),
    "max: maximum": (lambda x: jnp.maximum(jnp.maximum(x[0], x[1]), x[2]), 2),
    "max: reduce": (lambda x: functools.reduce(jnp.maximum, x), 2),
    "max: scan": (scanned(lambda c, a: (jnp.maximum(c, a), None)), 3),
    "max: initial": (lambda x: jnp.max(x, initial=0.5), 3),
    "max: where": (lambda x: jnp.max(x, where=np.array([True, False, True]), initial=-jnp.inf), 1),
    "max: -inf": (lambda x: jnp.max(jnp.where(np.array([True, False, True]), x, -jnp.inf)), 1),
    "max: amax": (lambda x: jnp.amax(W @ x), 3),
    "min": (jnp.min, 2),
    "ptp": (jnp.ptp, 3),
    "max of rows": (lambda x: total(jnp.max(W * x[None], axis=1)), 8),
    "max-affine": (lambda x: jnp.max(W @ x + B[:4]), 3),
    "min of distances": (lambda x: jnp.min(total((x[None] - W) ** 2, axis=1)), 3),
    "max of -x and data": (lambda x: jnp.max(jnp.concatenate([x, np.array([0.5, 0.2])])), None),
    "group of maxes": (lambda x: jnp.max(x[:2]) + jnp.max(x[1:]), 2),
    "max-pooling": (pooled, 2),
    "max-pooling: padded": (lambda x: pooled(x, 3, "SAME"), 3),
    "max-pooling: reshape": (lambda x: total(jnp.max((W @ x).reshape(2, 2), axis=1)), 2),
    "maxout": (lambda x: total(jnp.max((A @ x).reshape(4, 3), axis=1)), 8),
    "total variation": (lambda x: total(jnp.abs(jnp.diff(x))), 2),
    "total variation: slices": (lambda x: total(jnp.abs(x[1:] - x[:-1])), 2),
    "total variation: roll": (lambda x: total(jnp.abs(x - jnp.roll(x, 1))), 3),
    "total variation: convolve": (lambda x: total(jnp.abs(jnp.convolve(x, np.array([1.0, -1.0]), mode="valid"))), 2),
    "fused lasso": (lambda x: total(jnp.abs(x)) + 2 * total(jnp.abs(jnp.diff(x))), 5),
    "trend filter": (lambda x: total(jnp.abs(jnp.diff(x, 2))) + x[0] ** 2, 1),
    "lasso": (lambda x: total((A @ x - B) ** 2) + 0.3 * total(jnp.abs(x)), 3),
    "elastic net": (lambda x: total(x**2) + 0.3 * jnp.linalg.norm(x, 1), 3),
    "LAD": (lambda x: total(jnp.abs(A @ x - B)), 12),
    "LAD: mean": (lambda x: jnp.mean(jnp.abs(B - A @ x)), 12),
    "LAD: vmap": (lambda x: total(jax.vmap(lambda a, b: jnp.abs(a @ x - b))(A, B)), 12),
    "LAD: scan": (lambda x: lax.scan(lambda c, r: (c + jnp.abs(r[0] @ x - r[1]), None), jnp.array(0.0), (jnp.asarray(A), jnp.asarray(B)))[0], 12),
    "LAD: duplicate rows": (lambda x: total(jnp.abs(ROWS @ x)), 3),
    "LAD: doubled rows": (lambda x: total(jnp.abs(jnp.concatenate([A, -2 * A]) @ x)), 12),
    "LAD: norm": (lambda x: jnp.linalg.norm(A @ x - B, 1), 12),
    "Chebyshev": (lambda x: jnp.max(jnp.abs(A[:3] @ x - B[:3])), 5),
    "quantile regression": (lambda x: total(jnp.maximum(0.9 * (B - A @ x), -0.1 * (B - A @ x))), 12),
    "support vectors": (lambda x: total(nn.relu(1 - SIGNS * (A @ x))) + 0.1 * x @ x, 12),
    "support vectors: optax": (lambda x: total(optax.hinge_loss(A @ x, jnp.asarray(SIGNS))), 12),
    "perceptron": (lambda x: total(nn.relu(-SIGNS * (A @ x))), 12),
    "tube regression": (lambda x: total(nn.relu(jnp.abs(A[:4] @ x - B[:4]) - 0.1)), None),
    "multiclass hinge": (lambda x: nn.relu(1 + jnp.maximum(x[0], x[1]) - x[2]), 2),
    "triplet": (lambda x: nn.relu(total((x - 1) ** 2) - total((x + 1) ** 2) + 0.5), 1),
    "Laplace likelihood": (lambda x: -total(stats.laplace.logpdf(B, x[0], jnp.exp(x[1]))) + x[2] ** 2, 12),
    "one hidden layer": (lambda x: nn.relu(W @ x) @ B[:4], 4),
    "one hidden layer, squared": (lambda x: total((nn.relu(A @ x) @ A - 1) ** 2), 12),
    "two hidden layers": (lambda x: total(nn.relu(W.T @ nn.relu(W @ x + B[:4]) + B[:3])), 7),
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
    "max(a, b) - min(a, b)": (lambda x: jnp.maximum(x[0], x[1]) - jnp.minimum(x[0], x[1]), 1),
    "max and abs of the same": (lambda x: jnp.maximum(x[0], x[1]) + jnp.abs(x[1] - x[0]), 1),
    "NonsmoothRosenbrock": (lambda x: 10 * jnp.abs(x[0] ** 2 - x[1]) + (1 - x[0]) ** 2, 1),
    "exact penalty": (lambda x: x @ x + 10 * nn.relu(1 - x[0] - x[1]), 1),
    "exact penalty: equality": (lambda x: x @ x + 10 * jnp.abs(total(x) - 1), 1),
    "softmax and l1": (lambda x: nn.logsumexp(x) + 0.1 * total(jnp.abs(x)), 3),
    "softplus of abs": (lambda x: total(nn.softplus(jnp.abs(x) - 1)), 3),
    "log of abs": (lambda x: total(jnp.log(1e-2 + jnp.abs(x))), 3),
    "sum and abs": (lambda x: total(x) + total(jnp.abs(x - 1e-3)), 3),
    "small beside large": (lambda x: 2e9 * x[0] ** 2 + jnp.abs(x[1]), 1),
    "large offset": (lambda x: 3e8 + 2 * total(jnp.abs(x)), 3),
    "steep": (lambda x: 3e11 * total(jnp.abs(x)), 3),
    "scan of abs": (scanned(lambda c, a: (c + jnp.abs(a), None)), 3),
    "scan of relu": (scanned(lambda c, a: (c + nn.relu(a - 0.5), None)), 3),
    "scan: nested": (scanned(lambda c, a: (nn.relu(c + a), None)), 3),
    "scan: reverse": (lambda x: lax.scan(lambda c, a: (c + jnp.abs(a), None), jnp.array(0.0), x, reverse=True)[0], 3),
    "fori_loop": (lambda x: lax.fori_loop(0, 3, lambda i, c: c + jnp.abs(x[i]), 0.0), 3),
    "cond": (lambda x: lax.cond(x[0] > 0, lambda a: a, lambda a: -2 * a, x[0]), 1),
    "cond: closed over": (lambda x: lax.cond(x[0] > x[1], lambda: x[0], lambda: x[1]), 1),
    "cond: vmap": (lambda x: total(jax.vmap(lambda a: lax.cond(a > 0, lambda a: a, lambda a: -2 * a, a))(x)), 3),
    "cond: kinks inside": (lambda x: lax.cond(x[0] > 0, lambda x: x[0] + jnp.abs(x[1]), lambda x: jnp.abs(x[1]), x), 2),
    "cond on data": (lambda x: lax.cond(WHOLE[0] > 2, lambda x: total(jnp.abs(x)), jnp.sum, x), 3),
    "switch": (lambda x: lax.switch((x[0] > 0).astype(int), [lambda a: -a, lambda a: 2 * a], x[0]), 1),
    "switch: of two": (lambda x: lax.switch((x[0] > 0).astype(int) + (x[0] > 1).astype(int), [lambda a: -a, lambda a: 2 * a, lambda a: 3 * a - 1], x[0]), 2),
    "switch on data": (lambda x: lax.switch(1, [jnp.sum, lambda x: total(jnp.abs(x))], x), 3),
    "custom_jvp": (lambda x: total(hinge(x)), 3),
    "custom_vjp": (lambda x: total(absolute(x)), 3),
    "searchsorted of data": (lambda x: looked_up(x[0]) + x[1] ** 2, 12),
    "table": (lambda x: total(table(x)), 9),
    "predicates of two": (lambda x: jnp.where((x[0] > 0) & (x[1] > 0), x[0] * x[1], 0.0), 2),
    "or of two": (lambda x: jnp.where((x[0] < 0) | (x[1] < 0), 0.0, x[0] * x[1]), 2),
    "where all": (lambda x: jnp.where(jnp.all(x > 0), jnp.prod(x), 0.0), 3),
    "positive parts": (lambda x: nn.relu(x[0]) * nn.relu(x[1]), 2),
    "argmax of data": (lambda x: jnp.abs(x[np.argmax(B[:3])]), 1),
    "index of data": (lambda x: total(jnp.abs(x[WHOLE % 3] - B[:5])), 5),
    "scatter": (lambda x: total(jnp.abs(jnp.zeros(4).at[np.array([0, 1, 0])].add(x) - 0.5)), 2),
    "segment_sum": (lambda x: total(jnp.abs(jax.ops.segment_sum(x, np.array([0, 1, 0]), 2))), 2),
    "segment_sum of abs": (lambda x: total(jax.ops.segment_sum(jnp.abs(x), np.array([0, 1, 0]), 2)), 3),
    "cumsum": (lambda x: total(jnp.abs(jnp.cumsum(x) - 1)), 3),
    "linear solve": (lambda x: total(jnp.abs(jnp.linalg.solve(W[:3], x))), 3),
    "Fourier": (lambda x: total(jnp.abs(jnp.real(jnp.fft.fft(x)))), 2),
    "Partial": (Partial(lambda d, x: total(jnp.abs(x * d - 1)), jnp.array([2.0, 3.0, 5.0])), 3),
    "partial": (functools.partial(lambda d, x: total(jnp.abs(x - d)), jnp.array([2.0, 3.0, 5.0])), 3),
    "Module": (Line(jnp.asarray(A), jnp.asarray(B)), 12),
    "data under a logarithm": (Partial(lambda d, x: total(jnp.log(d) * jnp.abs(x)), jnp.array([2.0, 3.0, 5.0])), 3),
    "integer data": (lambda x: total(jnp.abs(x[0] - WHOLE.astype(float))) + x[1] ** 2, 4),
    "float32 data": (lambda x: total(jnp.abs(x - jnp.asarray(np.float32([0.1, 0.7, 1e-3]), float))), 3),
}  # fmt: skip

CURVED = frozenset(
    {
        "max: scan", "min of distances", "max of -x and data", "Chebyshev", "max-norm", "max", "max: maximum",
        "max: reduce", "max: initial", "max: amax", "min", "ptp", "max of rows",
        "max-affine", "maxout", "group of maxes", "max-pooling: padded", "tube regression",
        "multiclass hinge", "triplet", "one hidden layer, squared", "two hidden layers",
        "leaky layers", "recurrent relu", "abs of abs", "abs of a sum of abs",
        "abs of a product", "abs of a bilinear form", "abs of a trace",
        "relu of a sphere", "relu of a norm", "distance to a ball, squared",
        "NonsmoothRosenbrock", "scan: nested", "cond: kinks inside", "predicates of two",
        "or of two", "where all", "positive parts", "softplus of abs",
        "small beside large", "Laplace likelihood", "softmax and l1", "segment_sum",
    }
)  # fmt: skip
"""Kinks that a line crosses twice, or behind others."""

SCALES = {
    "years": S(lambda x: total(jnp.abs(x - YEARS)), 1992.4, 5, 3.0),
    "years: integers": S(lambda x: total(jnp.abs(x - np.arange(1990, 1995).astype(float))), 1992.4, 5, 3.0),
    "kelvin": S(lambda x: total(jnp.abs(x - KELVIN)), 293.0, 3, 0.2),
    "kelvin: pinball": S(lambda x: total(jnp.maximum(0.7 * (KELVIN - x), 0.3 * (x - KELVIN))), 293.0, 3, 0.2),
    "ties": S(lambda x: total(jnp.abs(x - TIED)), 2.0, 3),
    "ties that cancel": S(lambda x: total(np.array([1, 1, 1, -0.9, -0.9]) * jnp.abs(x)) + x, 1.0, 1),
    "1e-9": S(lambda x: total(jnp.abs(x - 1e-9 * TIED)), 2e-9, 3, 1e-9),
    "1e-9: clip": S(lambda x: total(jnp.clip(x, -1e-9, 1e-9)), [2e-9, 0.0], 4, 1e-9),
    "nanometres": S(lambda x: jnp.abs(x) / 2 + jnp.abs(x - 2e-9), 6e-9, 2, 1e-9),
    "1e9": S(lambda x: total(jnp.abs(x - 1e9 * TIED)), 2e9, 3, 1e9),
    "1e9: relu": S(lambda x: total(nn.relu(1e9 - x)), [1e9, 2e9], 2, 1e9),
    "offset of 1e8": S(lambda x: total(jnp.abs(x - (1e8 + TIED))), 1e8 + 3, 3, 2.0),
    "offset of 1e8, hinge": S(lambda x: total(nn.relu(1e8 + TIED - x)), 1e8 + 3, 3, 2.0),
    "far away": S(lambda x: nn.softplus(x) + 1e-3 * nn.relu(x - 1e6), 1e6, 1, 1.0),
    "close": S(lambda x: jnp.abs(x - 1) + jnp.abs(x - 1.0001), 1.0, 2, 1.0),
    "mixed scales": S(lambda x: jnp.abs(x[0] - 1e6) + 1e9 * jnp.abs(x[1] - 1e-6), [1e6, 1e-6], 2, 1.0),
    "barrier": S(lambda x: -2 * total(jnp.log(x)) + 5 * total(jnp.abs(x - 0.7)), [0.7, 0.6], 2, 0.04, False),
    "entropy": S(lambda x: total(x * jnp.log(x)) + total(jnp.abs(x - 3)), [3.1, 2.9], 2, 0.1, False),
    "domain above 5": S(lambda x: total(jnp.sqrt(x - 5)) + total(jnp.abs(x - 7)), [7.1, 6.9], 2, 0.1, False),
    "sphere of the norm": S(lambda x: optax.cosine_distance(x, jnp.ones(3), epsilon=1e-3), [0.03, 0.0, 0.01], 1, 0.03, False),
    "variance guard": S(lambda x: jnp.sqrt(jnp.maximum(jnp.var(x), 0.01)), [0.1, 0.2, -0.1], 1, 0.1, False),
    "branch not taken": S(lambda x: jnp.where(x < 4, 0.25 * x**2, 3 * jnp.sqrt(x) - 2), 4.1, 1, 0.3, False),
    "float32": S(lambda x: total(jnp.abs(x)), np.float32([1, -2, 3]), 3),
    "float32: relu6": S(lambda x: total(nn.relu6(x)), np.float32([1, -2]), 4),
    "float32: hinge": S(lambda x: total(nn.relu(1 - x * np.float32([1, 3]))), np.float32([1, -2]), 2),
    "float32: years": S(lambda x: total(jnp.abs(x - YEARS.astype(np.float32))), np.float32(1992), 5, 3.0, False),
    "float32: where": S(lambda x: total(jnp.where(x > 0.1, x, 0.2 - x)), np.float32([1, -2]), 2),
    "a dict": S(lambda p: total(jnp.abs(p["a"])) + nn.relu(p["b"]), {"a": np.ones(2), "b": np.array(-1.0)}, 3),
    "a dict: network": S(lambda p: total(nn.relu(A @ p["w"] + p["b"])), {"w": np.ones(3), "b": np.array(-1.0)}, 12),
    "a matrix": S(lambda X: total(jnp.abs(X)) + jnp.trace(X) ** 2, np.eye(2) + 1, 4),
    "a matrix: max of rows": S(lambda X: total(jnp.max(X, axis=1)), np.eye(2) + 1, 2),
    "a matrix: factorisation": S(lambda X: total(jnp.abs(X @ X.T - np.eye(2))), np.eye(2) + 1, 3, 1.0, False),
    "a matrix: trace of the square": S(lambda X: jnp.abs(jnp.trace(X @ X)), np.eye(2) - 0.5, 1, 1.0, False),
    "a scalar": S(lambda x: jnp.abs(x) + nn.relu(x - 1), 0.3, 2),
    "a scalar: three": S(lambda x: jnp.maximum(jnp.maximum(-x, 0.0), x - 1), 0.3, 2, 1.0),
    "one entry": S(lambda x: jnp.abs(x[0]), [0.3], 1),
}  # fmt: skip

KINKED_MODELS = {
    name: S(loss, number=number, once=name not in CURVED and number is not None)
    for name, (loss, number) in ALL.items()
} | SCALES

TRACED = {
    "abs": (lambda d, x: total(jnp.abs(x * d - 1)), jnp.array([1.0, 2.0, 3.0]), 3),
    "LAD": (lambda d, x: total(jnp.abs(d @ x)), jnp.asarray(A), 12),
    "labels": (lambda d, x: total(jnp.abs(x[0] - d)), jnp.asarray(YEARS), 5),
    "weights": (lambda d, x: total(d * jnp.abs(x)), jnp.array([1.0, -2.0, 3.0]), 3),
    "a logarithm": (lambda d, x: total(jnp.log(d) * jnp.abs(x)), jnp.array([2.0, 3.0, 5.0]), 3),
    "hinge": (lambda d, x: nn.relu(d - total(x)), jnp.array(1.0), 1),
    "knot": (lambda d, x: jnp.maximum(x[0], d) + jnp.abs(x[0] - d), jnp.array(1.0), 1),
    "a slope": (lambda d, x: jnp.abs(d * x[0]) + jnp.abs(x[0]), jnp.array(2.0), 2),
    "pieces": (lambda d, x: jnp.where(x[0] < d, d - x[0], 3 * (x[0] - d)), jnp.array(0.75), 1),
    "clip": (lambda d, x: total(jnp.clip(x, -d, d)), jnp.array(1.0), 6),
    "network": (lambda d, x: total(nn.relu(d @ x)), jnp.asarray(W), 4),
    "scan": (lambda d, x: lax.scan(lambda c, r: (c + jnp.abs(r @ x), None), jnp.array(0.0), d)[0], jnp.asarray(A), 12),
    "softplus": (lambda d, x: total(nn.softplus(d * x)), jnp.array([1.0, 2.0, 3.0]), 0),
    "logsumexp": (lambda d, x: nn.logsumexp(d * x), jnp.array([1.0, 2.0, 3.0]), 0),
    "BCE": (lambda d, x: jnp.mean(optax.sigmoid_binary_cross_entropy(jnp.asarray(A) @ x, d)), jnp.asarray(SIGNS), 0),
    "sort of data": (lambda d, x: total(jnp.abs(x - jnp.sort(d))), jnp.array([1.0, 2.0, 3.0]), 3),
    "abs of data": (lambda d, x: jnp.abs(d) @ x**2, jnp.array([1.0, -2.0, 3.0]), 0),
    "where on data": (lambda d, x: total(jnp.where(d > 0, jnp.abs(x), x**2)), jnp.array([1.0, -2.0, 3.0]), 3),
}  # fmt: skip

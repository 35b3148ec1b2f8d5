"""Losses that are continuously differentiable, as people write them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax, nn
from jax.scipy import special

from tests.nonsmooth.slopes import Spelling as S
from tests.nonsmooth.smooth_models import SMOOTH_MODELS

random = np.random.default_rng(5)
W = random.normal(size=(4, 3))
A = random.normal(size=(12, 3))
B = random.normal(size=12)
LABELS = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0])
COUNTS = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])
YEARS = np.array([1990.0, 1991.0, 1994.0])
total = jnp.sum


def stable(x):
    """Logsumexp with the maximum that the textbook has, differentiated too."""
    top = jnp.max(x)
    return top + jnp.log(jnp.sum(jnp.exp(x - top)))


def stopped(x):
    top = lax.stop_gradient(jnp.max(x))
    return top + jnp.log(jnp.sum(jnp.exp(x - top)))


def softmax_by_hand(x):
    e = jnp.exp(x - jnp.max(x))
    return e / jnp.sum(e)


def bce(logits, labels):
    """Binary cross-entropy, as in the documentation of TensorFlow."""
    return nn.relu(logits) - logits * labels + jnp.log1p(jnp.exp(-jnp.abs(logits)))


def log_cosh(x):
    return jnp.abs(x) + jnp.log1p(jnp.exp(-2 * jnp.abs(x))) - jnp.log(2.0)


SOFTPLUS = {
    "softplus": lambda x: nn.softplus(x),
    "softplus: log1p(exp)": lambda x: jnp.log1p(jnp.exp(x)),
    "softplus: log(1 + exp)": lambda x: jnp.log(1 + jnp.exp(x)),
    "softplus: logaddexp(x, 0)": lambda x: jnp.logaddexp(x, 0),
    "softplus: logaddexp(0, x)": lambda x: jnp.logaddexp(0, x),
    "softplus: relu": lambda x: nn.relu(x) + jnp.log1p(jnp.exp(-jnp.abs(x))),
    "softplus: maximum": lambda x: jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x))),
    "softplus: maximum(0, x)": lambda x: (
        jnp.maximum(0, x) + jnp.log1p(jnp.exp(-jnp.abs(x)))
    ),
    "softplus: log": lambda x: jnp.maximum(x, 0) + jnp.log(1 + jnp.exp(-jnp.abs(x))),
    "softplus: where": lambda x: jnp.where(
        x > 0, x + jnp.log1p(jnp.exp(-x)), jnp.log1p(jnp.exp(x))
    ),
    "softplus: half of the sum": lambda x: (
        0.5 * (x + jnp.abs(x)) + jnp.log1p(jnp.exp(-jnp.abs(x)))
    ),
    "softplus: clip": lambda x: jnp.clip(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x))),
    "softplus: min": lambda x: jnp.log1p(jnp.exp(jnp.minimum(x, -x))) - jnp.minimum(-x, 0),
    "softplus: log_sigmoid": lambda x: -nn.log_sigmoid(-x),
    "softplus: log of sigmoid": lambda x: -jnp.log(nn.sigmoid(-x)),
    "softplus: cosh": lambda x: 0.5 * x + jnp.log(2 * jnp.cosh(0.5 * x)),
    "softplus: steep": lambda x: jnp.logaddexp(1e4 * x, 0) / 1e4,
    "softplus: vmap": lambda x: jax.vmap(nn.softplus)(x),
    "softplus: jit": jax.jit(lambda x: nn.softplus(x)),
    "softplus: checkpoint": jax.checkpoint(lambda x: nn.softplus(x)),
    "log cosh": lambda x: jnp.log(jnp.cosh(x)),
    "log cosh: logaddexp": lambda x: jnp.logaddexp(x, -x),
    "log cosh: abs": log_cosh,
    "log cosh: softplus": lambda x: x + nn.softplus(-2 * x) - jnp.log(2.0),
    "log cosh: optax": lambda x: optax.log_cosh(x),
}

ACTIVATIONS = {
    "gelu": lambda x: nn.gelu(x),
    "gelu: erf": lambda x: nn.gelu(x, approximate=False),
    "gelu: by hand": lambda x: 0.5 * x * (1 + special.erf(x / np.sqrt(2))),
    "silu": lambda x: nn.silu(x),
    "silu: by hand": lambda x: x / (1 + jnp.exp(-x)),
    "silu: sigmoid": lambda x: x * nn.sigmoid(1.702 * x),
    "mish": lambda x: nn.mish(x),
    "mish: by hand": lambda x: x * jnp.tanh(jnp.logaddexp(x, 0)),
    "tanh": lambda x: nn.tanh(x),
    "log_sigmoid": lambda x: nn.log_sigmoid(x),
    "squareplus": lambda x: nn.squareplus(x),
    "sigmoid: where": lambda x: jnp.where(
        x >= 0, 1 / (1 + jnp.exp(-x)), jnp.exp(x) / (1 + jnp.exp(x))
    ),
    "sigmoid: abs": lambda x: jnp.exp(jnp.minimum(x, 0)) / (1 + jnp.exp(-jnp.abs(x))),
    "pseudo-Huber": lambda x: jnp.sqrt(1 + x**2) - 1,
    "pseudo-Huber: scaled": lambda x: 0.01 * (jnp.sqrt(1 + (x / 0.1) ** 2) - 1),
    "Cauchy loss": lambda x: jnp.log1p(x**2),
    "Welsch": lambda x: 1 - jnp.exp(-0.5 * x**2),
    "Geman-McClure": lambda x: x**2 / (1 + x**2),
    "smooth abs": lambda x: x * special.erf(x) + jnp.exp(-(x**2)) / np.sqrt(np.pi),
    "smooth quantile": lambda x: 0.3 * x + 0.1 * nn.softplus(-x / 0.1),
    "l2_loss": lambda x: optax.l2_loss(x, jnp.ones(3)),
    "squared_error": lambda x: optax.squared_error(x, jnp.ones(3)),
}

SUMS = {
    "logsumexp": nn.logsumexp,
    "logsumexp: scipy": lambda x: special.logsumexp(x, b=np.array([1.0, 2.0, 0.5])),
    "logsumexp: by hand": stable,
    "logsumexp: by hand, stopped": stopped,
    "logsumexp: log of sum": lambda x: jnp.log(jnp.sum(jnp.exp(x))),
    "logsumexp: reduce": lambda x: jnp.logaddexp(jnp.logaddexp(x[0], x[1]), x[2]),
    "logsumexp: cold": lambda x: 1e-3 * nn.logsumexp(x / 1e-3),
    "logsumexp: rows": lambda x: total(nn.logsumexp(A * x[None], axis=1)),
    "logsumexp: by hand, rows": lambda x: total(jax.vmap(stable)(W * x[None])),
    "logsumexp: cumulative": lambda x: total(lax.cumlogsumexp(x)),
    "logsumexp: minimum": lambda x: -nn.logsumexp(-x),
    "log_softmax": lambda x: -nn.log_softmax(x)[1],
    "log_softmax: by hand": lambda x: stable(x) - x[1],
    "softmax": lambda x: nn.softmax(x)[0],
    "softmax: by hand": lambda x: softmax_by_hand(x)[0],
    "softmax: times": lambda x: softmax_by_hand(x) @ x,
    "cross-entropy: optax": lambda x: optax.softmax_cross_entropy(
        x, jnp.array([0.2, 0.5, 0.3])
    ),
    "cross-entropy: integer": lambda x: optax.softmax_cross_entropy_with_integer_labels(
        x, jnp.array(2)
    ),
    "cross-entropy: rows": lambda x: total(
        optax.softmax_cross_entropy(A * x[None], jnp.full((12, 3), 1 / 3))
    ),
    "cross-entropy: one-hot": lambda x: -total(nn.one_hot(1, 3) * nn.log_softmax(x)),
    "KL": lambda x: optax.kl_divergence(nn.log_softmax(x), jnp.array([0.2, 0.5, 0.3])),
    "KL: rel_entr": lambda x: total(
        special.rel_entr(nn.softmax(x), jnp.array([0.2, 0.5, 0.3]))
    ),
    "entropy": lambda x: total(special.entr(nn.softmax(x))),
    "entropy: xlogy": lambda x: -total(special.xlogy(nn.softmax(x), nn.softmax(x))),
    "entropy: guarded": lambda x: (
        -total(jnp.where(nn.softmax(x) > 0, nn.softmax(x) * nn.log_softmax(x), 0.0))
    ),
    "BCE": lambda x: jnp.mean(bce(A @ x, LABELS)),
    "BCE: optax": lambda x: jnp.mean(optax.sigmoid_binary_cross_entropy(A @ x, LABELS)),
    "BCE: log_sigmoid": lambda x: (
        -jnp.mean(LABELS * nn.log_sigmoid(A @ x) + (1 - LABELS) * nn.log_sigmoid(-(A @ x)))
    ),
    "BCE: signs": lambda x: jnp.mean(jnp.logaddexp(0, (1 - 2 * LABELS) * (A @ x))),
    "focal": lambda x: jnp.mean(optax.sigmoid_focal_loss(A @ x, LABELS)),
    "focal: by hand": lambda x: jnp.mean(nn.sigmoid(-(A @ x)) ** 2 * bce(A @ x, LABELS)),
    "masked softmax: -inf": lambda x: (
        nn.softmax(jnp.where(np.array([True, False, True]), x, -jnp.inf)) @ x
    ),
    "masked softmax: -1e30": lambda x: (
        nn.softmax(jnp.where(np.array([True, False, True]), x, -1e30)) @ x
    ),
    "masked softmax: where": lambda x: nn.softmax(x, where=np.array([True, False, True]))[
        0
    ],
    "masked logsumexp": lambda x: nn.logsumexp(x, where=np.array([True, False, True])),
}

IDENTITIES = {
    "|x|^2": lambda x: jnp.abs(x) ** 2,
    "|x|^4": lambda x: jnp.abs(x) ** 4,
    "|x| |x|": lambda x: jnp.abs(x) * jnp.abs(x),
    "relu(x) - relu(-x)": lambda x: nn.relu(x) - nn.relu(-x),
    "max + min": lambda x: jnp.maximum(x, 0) + jnp.minimum(x, 0),
    "max(a, b) + min(a, b)": lambda x: jnp.maximum(x[0], x[1]) + jnp.minimum(x[1], x[0]),
    "max(a, b) min(a, b)": lambda x: jnp.maximum(x[0], x[1]) * jnp.minimum(x[0], x[1]),
    "(max - min)^2": lambda x: (jnp.maximum(x[0], x[1]) - jnp.minimum(x[0], x[1])) ** 2,
    "relu(x) relu(-x)": lambda x: nn.relu(x) * nn.relu(-x) + x,
    "relu(x)^2 + relu(-x)^2": lambda x: nn.relu(x) ** 2 + nn.relu(-x) ** 2,
    "relu(x) + relu(-x) - |x|": lambda x: nn.relu(x) + nn.relu(-x) - jnp.abs(x) + x**2,
    "sign(x) |x|": lambda x: jnp.sign(x) * jnp.abs(x),
    "sign(x)^2 x^2": lambda x: jnp.sign(x) ** 2 * x**2,
    "|x| - |-2 x| / 2": lambda x: jnp.abs(x) - jnp.abs(-2 * x) / 2 + x,
    "|1990 - x| - |x - 1990|": lambda x: jnp.abs(1990 - x) - jnp.abs(x - 1990) + x,
    "where of the same": lambda x: jnp.where(x > 0, x**2, (-x) ** 2),
    "cosh of |x|": lambda x: jnp.cosh(jnp.abs(x)),
    "cos of |x|": lambda x: jnp.cos(jnp.abs(x)),
    "|sin x|^2": lambda x: jnp.abs(jnp.sin(x)) ** 2,
    "abs of exp": lambda x: jnp.abs(jnp.exp(x)),
    "abs of a sum of squares": lambda x: jnp.abs(x @ x),
    "maximum(exp, 0)": lambda x: jnp.maximum(jnp.exp(x), 0),
    "maximum(x^2, -1)": lambda x: jnp.maximum(x**2, -1),
    "minimum(-x^2, 0)": lambda x: jnp.minimum(-(x**2), 0),
    "relu of x^2": lambda x: nn.relu(x**2),
    "clip of sigmoid": lambda x: jnp.clip(nn.sigmoid(x), 0, 1),
    "clip of tanh": lambda x: jnp.clip(jnp.tanh(x), -1, 1),
    "clip of cos": lambda x: jnp.clip(jnp.cos(x), -2, 2),
    "sign of exp": lambda x: jnp.sign(jnp.exp(x)) * x,
    "where(x^2 >= 0)": lambda x: jnp.where(x**2 >= 0, x**2, x),
    "where(exp > 0)": lambda x: jnp.where(jnp.exp(x) > 0, x, 0.0),
    "where(isnan)": lambda x: jnp.where(jnp.isnan(x), 0.0, x**2),
    "nan_to_num": lambda x: jnp.nan_to_num(x**2),
    "where(isfinite)": lambda x: jnp.where(jnp.isfinite(x), x**2, 0.0),
    "stopped abs": lambda x: x**2 + lax.stop_gradient(jnp.abs(x)),
    "unused abs": lambda x: (jnp.abs(x), x**2)[1],
    "multiplied by 0": lambda x: 0 * jnp.abs(x) + x**2,
}


def S3(losses):
    """Spellings of functions of each entry, or of all."""
    return {name: S(lambda x, f=f: jnp.sum(f(x))) for name, f in losses.items()}


SMOOTH = SMOOTH_MODELS | S3(SOFTPLUS) | S3(ACTIVATIONS) | S3(SUMS) | S3(IDENTITIES)

"""Losses whose gradient is continuous and whose Hessian jumps, as people write them."""

import jax.numpy as jnp
import numpy as np
import optax
from jax import nn
from jax.scipy import stats

from tests.nonsmooth.slopes import Spelling as S

random = np.random.default_rng(8)
A = random.normal(size=(12, 3))
B = random.normal(size=12)
total = jnp.sum


def spline(x):
    """The cubic B-spline, in pieces."""
    r = jnp.abs(x)
    inner = 2 / 3 - r**2 + r**3 / 2
    return jnp.where(r < 1, inner, jnp.where(r < 2, (2 - r) ** 3 / 6, 0.0))


def table(x):
    """Cubic Hermite pieces between knots, summed over those left of x."""
    knots = np.array([-1.0, 0.0, 1.0, 2.0])
    jumps = np.array([1.0, -2.0, 0.5, 1.0])
    return total(jumps * nn.relu(x - knots) ** 3)


def quadratic_table(x):
    y = jnp.where(x < 0, x**2, 2 * x**2)
    return jnp.where(x < 1, y, 3 * (x - 1) ** 2 + 4 * x - 2)


def tukey(x):
    return jnp.where(jnp.abs(x) <= 2, 1 - (1 - (x / 2) ** 2) ** 3, 1.0)


def huber_by_min(x):
    bounded = jnp.minimum(jnp.abs(x), 1.0)
    return 0.5 * bounded**2 + jnp.abs(x) - bounded


def huber_by_clip(x):
    inside = jnp.clip(x, -1, 1)
    return 0.5 * inside**2 + (x - inside) * inside


JOINT = {
    "Huber: where": lambda x: jnp.where(jnp.abs(x) < 1, 0.5 * x**2, jnp.abs(x) - 0.5),
    "Huber: where, signs": lambda x: jnp.where(
        x > 1, x - 0.5, jnp.where(x < -1, -x - 0.5, 0.5 * x**2)
    ),
    "Huber: min": huber_by_min,
    "Huber: clip": huber_by_clip,
    "Huber: optax": lambda x: optax.huber_loss(x),
    "Huber: optax, targets": lambda x: optax.huber_loss(A @ x, B, delta=0.5),
    "Huber: relu": lambda x: 0.5 * x**2 - 0.5 * nn.relu(jnp.abs(x) - 1) ** 2,
    "Huber: two relus": lambda x: (
        0.5 * x**2 - 0.5 * nn.relu(x - 1) ** 2 - 0.5 * nn.relu(-x - 1) ** 2
    ),
    "smooth L1": lambda x: jnp.where(jnp.abs(x) < 0.1, 0.5 * x**2 / 0.1, jnp.abs(x) - 0.05),
    "elu": lambda x: nn.elu(x),
    "elu: where": lambda x: jnp.where(x > 0, x, jnp.expm1(x)),
    "elu: guarded": lambda x: jnp.where(x > 0, x, jnp.expm1(jnp.where(x > 0, 0.0, x))),
    "celu": lambda x: nn.celu(x, 2.0),
    "celu: by hand": lambda x: jnp.where(x > 0, x, 2 * jnp.expm1(x / 2)),
    "relu squared": lambda x: nn.relu(x) ** 2,
    "relu squared: where": lambda x: jnp.where(x > 0, x**2, 0.0),
    "relu squared: x relu": lambda x: x * nn.relu(x),
    "relu cubed": lambda x: nn.relu(x) ** 3,
    "squared hinge": lambda x: nn.relu(1 - B * (A @ x)) ** 2,
    "modified Huber": lambda x: jnp.where(x < -1, -4 * x, nn.relu(1 - x) ** 2),
    "x |x|": lambda x: x * jnp.abs(x),
    "sign(x) x^2": lambda x: jnp.sign(x) * x**2,
    "|x|^3": lambda x: jnp.abs(x) ** 3,
    "|x|^3: products": lambda x: x**2 * jnp.abs(x),
    "soft_sign": lambda x: nn.soft_sign(x),
    "x^2 / (1 + |x|)": lambda x: x**2 / (1 + jnp.abs(x)),
    "|x| - log1p(|x|)": lambda x: jnp.abs(x) - jnp.log1p(jnp.abs(x)),
    "sparse_plus": lambda x: nn.sparse_plus(x),
    "distance squared to a box": lambda x: (x - jnp.clip(x, -1, 1)) ** 2,
    "projection: energy": lambda x: jnp.clip(x, -1, 1) * (2 * x - jnp.clip(x, -1, 1)),
    "Tukey": tukey,
    "cubic B-spline": spline,
    "truncated powers": lambda x: table(x[0]) + x[1] ** 2 + x[2] ** 2,
    "quadratic spline": quadratic_table,
    "expectile": lambda x: jnp.where(x > 0, 0.7, 0.3) * x**2,
    "asymmetric squares": lambda x: 0.7 * nn.relu(x) ** 2 + 0.3 * nn.relu(-x) ** 2,
}

JOINTS = {name: S(lambda x, f=f: jnp.sum(f(x))) for name, f in JOINT.items()} | {
    "Huber of years": S(
        lambda x: total(optax.huber_loss(x - np.array([1990.0, 1991.0, 1994.0]))),
        1991.0,
        reach=3.0,
    ),
    "Huber, 1e-9": S(lambda x: total(optax.huber_loss(x, delta=1e-9)), [1e-9], reach=1e-9),
    "Huber, 1e9": S(lambda x: total(optax.huber_loss(x, delta=1e9)), [1e9], reach=1e9),
    "elu of float32": S(lambda x: total(nn.elu(x)), np.float32([1, -2])),
    "elu of a pytree": S(lambda p: total(nn.elu(p["a"])), {"a": np.ones(2)}),
}


# Smooth to rounding or to the error of an approximation: two formulas meet where they are
# equally good. The gap is far below 1e-7 of the value and of the slope.
GAPS = {
    "norm.cdf": S(lambda x: total(stats.norm.cdf(x))),
    "norm.logcdf": S(lambda x: total(stats.norm.logcdf(x))),
    "norm.logcdf in the tail": S(stats.norm.logcdf, -20.5, reach=1.0),
    "norm.logsf": S(lambda x: total(stats.norm.logsf(x))),
    "probit": S(lambda x: -total(stats.norm.logcdf(np.sign(B) * (A @ x)))),
    "softplus with a threshold": S(
        lambda x: jnp.where(x > 20, x, jnp.log1p(jnp.exp(jnp.minimum(x, 20)))), 19.5
    ),
    "sinc by Taylor": S(
        lambda x: jnp.where(
            jnp.abs(x) < 1e-3, 1 - x**2 / 6, jnp.sin(x) / jnp.where(x == 0, 1.0, x)
        ),
        2e-3,
        reach=1e-3,
    ),
    "expm1(x) / x by Taylor": S(
        lambda x: jnp.where(
            jnp.abs(x) < 1e-4,
            1 + x / 2 + x**2 / 6,
            jnp.expm1(x) / jnp.where(jnp.abs(x) < 1e-4, 1.0, x),
        ),
        2e-4,
        reach=1e-4,
    ),
}


def moreau(x):
    """The Moreau envelope of |x| at its proximal point."""
    proximal = jnp.sign(x) * nn.relu(jnp.abs(x) - 1)
    return jnp.abs(proximal) + 0.5 * (x - proximal) ** 2


def clipped(x):
    """The identity, as a clip and what it cuts off."""
    return jnp.clip(x, -1, 1) + nn.relu(x - 1) - nn.relu(-x - 1)


# Smooth, but by more than identities of a ring: signs and sizes that decide others.
DOUBTFUL = {
    "Moreau": S(lambda x: total(moreau(x))),
    "|x|^1.5": S(lambda x: total(jnp.abs(x) ** 1.5)),
    "clip of softmax": S(lambda x: jnp.clip(nn.softmax(x), 0, 1)[0]),
    "elu: max": S(lambda x: total(jnp.maximum(x, 0) + jnp.minimum(jnp.expm1(x), 0))),
    "|x| |y| - |x y|": S(lambda x: jnp.abs(x[0]) * jnp.abs(x[1]) - jnp.abs(x[0] * x[1])),
    "clip and the rest": S(lambda x: total(clipped(x))),
    "var by moments": S(lambda x: jnp.maximum(jnp.mean(x**2) - jnp.mean(x) ** 2, 0)),
    "standardize": S(lambda x: nn.standardize(x, epsilon=1e-3) @ np.arange(3.0)),
    "max of max": S(lambda x: jnp.maximum(nn.relu(x[0]), x[0]) - nn.relu(x[0])),
    "relu of relu": S(lambda x: nn.relu(nn.relu(x[0])) - nn.relu(x[0]) + x[1] ** 2),
    "max - max, other order": S(lambda x: jnp.max(x) - jnp.max(x[::-1]) + x[0]),
    "|tanh x| / tanh x": S(lambda x: total(jnp.abs(x) - jnp.sign(jnp.tanh(x)) * x)),
    "rounded multiples": S(
        lambda x: x**2 + 10 * jnp.abs(0.1 * x - 0.3) - jnp.abs(x - 3), 2.0
    ),
}

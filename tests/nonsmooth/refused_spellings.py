"""Losses that jump, or have points that are neither smooth nor kinks, and what is named."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn
from jax.scipy import linalg, special, stats

from tests.nonsmooth.slopes import Spelling as S

random = np.random.default_rng(12)
W = random.normal(size=(3, 3))
B = random.normal(size=12)
COMPARED = "gt|ge|lt|le|eq|ne|select_n|convert_element_type"
total = jnp.sum


def symmetric(x):
    return jnp.outer(x, jnp.ones(3)) + jnp.outer(jnp.ones(3), x) + W + W.T


def traceless(x):
    return jnp.array([[x[0], x[1]], [x[1], -x[0]]])


def rectangular(x):
    return jnp.outer(x, x[:2]) + W[:, :2]


def called_back(x):
    return jax.pure_callback(lambda x: np.abs(x), jax.ShapeDtypeStruct((3,), float), x)


@jax.custom_vjp
def straight_through(x):
    return jnp.round(x)


straight_through.defvjp(lambda x: (jnp.round(x), None), lambda _, g: (g,))


def doubled_until(x):
    return lax.while_loop(lambda y: y[0] < 9, lambda y: jnp.abs(y) + 1, x)


JUMPS = {
    "where": (lambda x: jnp.where(x > 0, 0.4 * x, x + 1), COMPARED),
    "where, far away": (lambda x: jnp.where(x > 80.0, 0.4 * x, x), COMPARED),
    "where, very far away": (lambda x: jnp.where(x > 1e5, x + 1.0, x), COMPARED),
    "where, one of many": (
        lambda x: total(jnp.abs(x)) + jnp.where(x[1] < 0.3, 1.0, 0.0),
        COMPARED,
    ),
    "where of both": (lambda x: jnp.where((x[0] > 0) & (x[1] > 0), 1.0, 0.0), COMPARED),
    "a comparison as a value": (lambda x: (x > 0.1).astype(float), COMPARED),
    "a count": (lambda x: total(x > 0).astype(float), COMPARED + "|reduce_sum"),
    "sign": (jnp.sign, "sign"),
    "sign times another": (lambda x: jnp.sign(x[0]) * x[1], "sign"),
    "heaviside": (lambda x: jnp.heaviside(x, 0.5), COMPARED),
    "floor": (jnp.floor, "floor"),
    "ceil": (jnp.ceil, "ceil"),
    "round": (jnp.round, "round"),
    "round: straight through": (straight_through, "round"),
    "rint": (jnp.rint, "round|rint"),
    "trunc": (jnp.trunc, f"floor|ceil|trunc|{COMPARED}"),
    "floor_divide": (lambda x: x // 2, f"floor|sign|rem|round|{COMPARED}"),
    "mod": (lambda x: x % 1.0, f"rem|{COMPARED}"),
    "integers": (lambda x: x.astype(int).astype(float), "convert_element_type"),
    "quantised": (lambda x: jnp.floor(8 * x) / 8 + x**2, "floor"),
    "indicator": (
        lambda x: jnp.where(jnp.all(x >= 0), 0.0, jnp.inf) + x**2,
        f"reduce_and|{COMPARED}",
    ),
    "indicator of a half-space": (
        lambda x: jnp.where(x[0] < -1, jnp.inf, x[0] ** 2),
        COMPARED,
    ),
    "indicator of a ball": (lambda x: jnp.where(x @ x > 4, jnp.inf, x @ x), COMPARED),
    "cond": (lambda x: lax.cond(x[0] > 0, lambda: 1.0, lambda: 0.0), f"cond|{COMPARED}"),
    "select": (lambda x: jnp.select([x < -1, x > 1], [x, -x], 0 * x), f"argmax|{COMPARED}"),
    "piecewise": (
        lambda x: jnp.piecewise(x, [x > 0], [lambda x: x + 1, lambda x: x]),
        f"argmax|{COMPARED}",
    ),
    "atan of an inverse": (lambda x: jnp.arctan(1 / x), "atan"),
    "atan of a quotient": (lambda x: jnp.arctan(x[1] / x[0]), "atan"),
    "erf of a quotient": (lambda x: stats.norm.cdf((x[1] + 3) / x[0]), "erf"),
    "tanh of a power": (lambda x: jnp.tanh(x**-3), "tanh"),
    "exp of a quotient": (lambda x: jnp.exp((x[1] + 3) / x[0]), "exp"),
    "logistic of a sum": (lambda x: nn.sigmoid(total(x) + 1 / x[0]), "logistic"),
    "atan of tan": (lambda x: jnp.arctan(jnp.tan(2 * x)), "atan"),
    "atan2": (lambda x: jnp.arctan2(x[0], x[1]), "atan2"),
    "angle": (lambda x: jnp.angle(lax.complex(x[0], x[1])), "atan2|angle"),
    "copysign": (lambda x: jnp.copysign(jnp.ones(3), x), "sign|.*bit.*|and|or|lt|select_n"),
    "bits": (
        lambda x: lax.bitcast_convert_type(x, jnp.int64).astype(float),
        "bitcast_convert_type",
    ),
    "upper factor": (lambda x: linalg.lu(symmetric(x))[2], "lu|argmax|.*permut.*"),
    "triangular factor": (
        lambda x: jnp.linalg.qr(rectangular(x))[1],
        "qr|geqrf|householder_product",
    ),
    "median of absolutes": (lambda x: jnp.median(jnp.abs(x)), "sort"),
}

ORDERS = {
    "argmax": (lambda x: x[jnp.argmax(x)], "argmax|gather|dynamic_slice"),
    "argmin": (lambda x: x[jnp.argmin(x)] + x @ x, "argmin|gather|dynamic_slice"),
    "one-hot of argmax": (lambda x: nn.one_hot(jnp.argmax(x), 3) @ x, "argmax|eq"),
    "take": (lambda x: jnp.take(x, jnp.argmax(x)), "argmax|gather|dynamic_slice"),
    "sort": (lambda x: jnp.sort(x)[0], "sort"),
    "argsort": (lambda x: x[jnp.argsort(x)[0]], "sort"),
    "top_k": (lambda x: lax.top_k(x, 2)[0], "top_k"),
    "median": (jnp.median, "sort"),
    "quantile": (lambda x: jnp.quantile(x, 0.3), "sort"),
    "sort of rows": (lambda x: jnp.sort(W * x[None], axis=1)[:, 0], "sort"),
    "cummax": (lambda x: lax.cummax(x), "cummax"),
    "cummin": (lambda x: lax.cummin(x), "cummin"),
    "digitize": (
        lambda x: jnp.asarray(B)[jnp.digitize(x, np.array([-1.0, 0.0]))],
        f"scan|le_to|lt_to|gather|argmax|{COMPARED}",
    ),
    "searchsorted": (
        lambda x: jnp.asarray(B)[jnp.searchsorted(np.array([-1.0, 0.0]), x)],
        f"scan|le_to|lt_to|gather|{COMPARED}",
    ),
    "an index": (
        lambda x: jnp.asarray(B)[x[0].astype(int)] * x[1],
        "convert_element_type|gather.*",
    ),
    "while_loop": (doubled_until, "while"),
    "pure_callback": (called_back, "pure_callback"),
    "nuclear norm": (lambda x: jnp.linalg.norm(symmetric(x), "nuc"), "svd"),
    "spectral norm": (lambda x: jnp.linalg.norm(symmetric(x), 2), "svd"),
}

CONES = {
    "norm": (jnp.linalg.norm, "sqrt"),
    "norm of a residual": (lambda x: jnp.linalg.norm(W @ (x - 1)), "sqrt"),
    "norm beside another": (lambda x: x @ x + jnp.linalg.norm(x[:2]), "sqrt"),
    "group lasso": (lambda x: jnp.linalg.norm(W * x[None], axis=0), "sqrt"),
    "root of a product": (lambda x: jnp.sqrt(x @ x), "sqrt"),
    "root of a sum of squares": (lambda x: jnp.sqrt(total(x**2)), "sqrt"),
    "root of a square": (lambda x: jnp.sqrt(x**2), "sqrt"),
    "power of a square": (lambda x: (x**2) ** 0.5, "pow|sqrt"),
    "power of a product": (lambda x: (x @ x) ** 0.5, "pow|sqrt"),
    "power of a shifted square": (lambda x: ((x - 1990) ** 2) ** 0.5, "pow|sqrt"),
    "hypot": (lambda x: jnp.hypot(x[0], x[1]), "sqrt|div|max|eq|select_n|hypot"),
    "guarded root": (
        lambda x: jnp.where(x @ x > 0, jnp.sqrt(jnp.where(x @ x > 0, x @ x, 1.0)), 0.0),
        f"sqrt|{COMPARED}",
    ),
    "complex abs": (lambda x: jnp.abs(lax.complex(x[0], x[1])), "abs"),
    "abs of a transform": (lambda x: jnp.abs(jnp.fft.fft(x)), "abs"),
    "std": (jnp.std, "sqrt"),
    "eigvalsh": (lambda x: jnp.linalg.eigvalsh(traceless(x))[0], "eigh"),
    "largest eigenvalue": (lambda x: jnp.linalg.eigvalsh(traceless(x))[-1], "eigh"),
    "root of abs": (lambda x: jnp.sqrt(jnp.abs(x)), "sqrt"),
    "root of relu": (lambda x: jnp.sqrt(nn.relu(x)), "sqrt"),
    "power of abs": (lambda x: jnp.abs(x) ** 0.3, "pow"),
    "cbrt": (jnp.cbrt, "cbrt"),
    "arccos of a clip": (lambda x: jnp.arccos(jnp.clip(x, -1, 1)), "acos|a?cos"),
    "arcsin of a clip": (lambda x: jnp.arcsin(jnp.clip(x, -1, 1)), "asin"),
    "arccosh of a guard": (lambda x: jnp.arccosh(jnp.maximum(x, 1)), "acosh"),
    "root of a factor": (lambda x: jnp.sqrt(x[0] ** 2 * (x[1] + 9)), "sqrt"),
    "root of a factor twice": (lambda x: jnp.sqrt(x[0] * (x[1] + 9) * x[0]), "sqrt"),
    "incomplete gamma function": (lambda x: special.gammainc(0.5, x**2), "igamma"),
    "its complement": (lambda x: special.gammaincc(0.5, x**2), "igammac"),
    "chi2.cdf": (lambda x: stats.chi2.cdf(x**2, 1), "igamma"),
    "incomplete beta function": (
        lambda x: special.betainc(0.5, 2.0, x**2 / (1 + x**2)),
        "regularized_incomplete_beta",
    ),
    "incomplete beta function, upper end": (
        lambda x: special.betainc(2.0, 0.5, 1 / (1 + x**2)),
        "regularized_incomplete_beta",
    ),
    "root by exp and log": (lambda x: jnp.exp(0.5 * jnp.log(x**2)), "exp"),
    "root by exp and log1p": (lambda x: jnp.exp(0.5 * jnp.log1p(x**2 - 1)), "exp"),
    "logistic of a log": (lambda x: nn.sigmoid(0.25 * jnp.log(x**2)), "logistic"),
    "x tanh(1/x)": (lambda x: x * jnp.tanh(1 / x), "tanh"),
    "scaled Bessel function": (special.i0e, "bessel_i0e"),
}


REACHES = {"where, far away": 100.0, "where, very far away": 1e5}
TIPS = {
    "arccos of a clip": 1.0,
    "arccosh of a guard": 1.0,
    "arcsin of a clip": 1.0,
    "norm of a residual": 1.0,
    "power of a shifted square": 1990.0,
}
"""Points where the losses of `CONES` are not differentiable, if not the origin."""

REFUSED = {
    name: (S(lambda x, f=f: total(f(x)), reach=REACHES.get(name, 1.0)), primitive)
    for name, (f, primitive) in (JUMPS | ORDERS | CONES).items()
}
UNSEEN = (
    "exp of a quotient",
    "indicator",
    "pure_callback",
    "tanh of a power",
    "while_loop",
)
"""What is infinite on one side, or steep, or has no gradient by reverse mode."""

SEEN = [name for name in JUMPS | ORDERS if name not in UNSEEN]
"""What jumps, or has kinks, along lines."""

SIMILAR = {
    "norm squared": lambda x: jnp.linalg.norm(x) ** 2,
    "norm to the fourth": lambda x: jnp.linalg.norm(x) ** 4,
    "cos of the norm": lambda x: jnp.cos(jnp.linalg.norm(x)),
    "norm away from 0": lambda x: jnp.sqrt(1 + x @ x),
    "root with epsilon": lambda x: jnp.sqrt(x**2 + 1e-6),
    "std squared": lambda x: jnp.std(x) ** 2,
    "a power above 1/2": lambda x: (x @ x) ** 1.5,
    "a power just above 1/2": lambda x: (x**2) ** 0.75,
    "root of exp": lambda x: jnp.sqrt(jnp.exp(x)),
    "root of a guard": lambda x: jnp.sqrt(jnp.maximum(jnp.exp(x), 0)),
    "cbrt of exp": lambda x: jnp.cbrt(jnp.exp(x)),
    "arccos inside": lambda x: jnp.arccos(0.5 * jnp.tanh(x)),
    "arctan": jnp.arctan,
    "arctan of a quotient": lambda x: jnp.arctan(x / (1 + x**2)),
    "arctan over a cosh": lambda x: jnp.arctan(x / jnp.cosh(x)),
    "tanh of what is normalised": lambda x: jnp.tanh(x / jnp.sqrt(jnp.var(x) + 1e-5)),
    "tanh over a softplus": lambda x: jnp.tanh(x / nn.softplus(1 + x**2)),
    "logistic over exp": lambda x: nn.sigmoid(x / jnp.exp(x[::-1])),
    "exp of minus an inverse": lambda x: jnp.exp(-1 / (1 + x**2)),
    "exp of an inverse": lambda x: jnp.exp(-1 / (x - 293)),
    "a flat function": lambda x: jnp.exp(-1 / x**2),
    "a Gaussian of any width": lambda x: jnp.log(
        1e-3 + jnp.exp(-(x[0] ** 2 + 1) / x[1] ** 2)
    ),
    "tanh over data": lambda x: jnp.tanh(x / (1 + B[:3] ** 2)),
    "a root that ends": lambda x: jnp.sqrt((x[0] + 9) * (x[1] ** 2 + 1)),
    "gammainc above 1/2": lambda x: special.gammainc(2.0, x**2),
    "betainc inside": lambda x: special.betainc(0.5, 0.5, nn.sigmoid(x)),
    "betainc above 1/2": lambda x: special.betainc(1.5, 1.5, x**2 / (1 + x**2)),
    "sort of data": lambda x: jnp.sort(B)[:3] * x,
    "argmax of data": lambda x: x[jnp.argmax(B[:3])] ** 2,
    "top_k of data": lambda x: lax.top_k(jnp.asarray(B), 3)[0] * x,
    "floor of data": lambda x: jnp.floor(B)[:3] * x,
    "eigvalsh of data": lambda x: jnp.linalg.eigvalsh(W + W.T) * x,
    "svd of data": lambda x: jnp.linalg.svd(W)[1] * x,
    "copysign of data": lambda x: jnp.copysign(1.0, B[:3]) * x,
    "hypot of data": lambda x: jnp.hypot(B[:3], B[3:6]) * x,
    "norm of data": lambda x: x / jnp.linalg.norm(B),
    "cbrt of data": lambda x: jnp.cbrt(B[:3]) * x,
    "complex, squared": lambda x: jnp.real(jnp.fft.fft(x) * jnp.conj(jnp.fft.fft(x))),
    "floor, stopped": lambda x: x**2 + lax.stop_gradient(0 * jnp.floor(x)),
    "floor, unused": lambda x: (jnp.floor(x), x**2)[1],
}

ACCEPTED = {name: S(lambda x, f=f: jnp.sum(f(x))) for name, f in SIMILAR.items()}

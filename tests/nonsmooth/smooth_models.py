"""Smooth losses of models and data: linear algebra, statistics, loops, tables, scales."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax, nn
from jax.scipy import linalg, special, stats
from jax.tree_util import Partial

from tests.nonsmooth.slopes import Spelling as S

random = np.random.default_rng(6)
W = random.normal(size=(3, 3))
A = random.normal(size=(12, 3))
B = random.normal(size=12)
SIGNS = np.sign(B)
COUNTS = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])
REAL_COUNTS = COUNTS.astype(float)
YEARS = np.array([1990.0, 1991.0, 1994.0])
total = jnp.sum


def spd(x):
    """A matrix that is symmetric and positive definite for each x."""
    return jnp.diag(1 + x**2) + 0.1 * jnp.outer(x, x)


def regular(x):
    return jnp.diag(3 + x**2) + 0.1 * W


ALGEBRA = {
    "solve": lambda x: x @ jnp.linalg.solve(regular(x), x),
    "solve: positive definite": lambda x: x @ linalg.solve(spd(x), x, assume_a="pos"),
    "inv": lambda x: jnp.linalg.inv(regular(x)),
    "det": lambda x: jnp.linalg.det(regular(x)),
    "slogdet": lambda x: jnp.linalg.slogdet(regular(x))[1],
    "cholesky": lambda x: jnp.log(jnp.diag(jnp.linalg.cholesky(spd(x)))),
    "cho_solve": lambda x: x @ linalg.cho_solve(linalg.cho_factor(spd(x)), x),
    "solve_triangular": lambda x: linalg.solve_triangular(jnp.tril(regular(x)), x),
    "matrix_power": lambda x: jnp.linalg.matrix_power(regular(x), 3),
    "pinv of data": lambda x: jnp.linalg.pinv(A) @ jnp.tanh(A @ x),
    "lstsq of data": lambda x: (jnp.linalg.lstsq(A, B)[0] - x) ** 2,
    "eigh of data": lambda x: jnp.linalg.eigh(W + W.T)[1] @ x**2,
    "svd of data": lambda x: jnp.linalg.svd(W)[1] * x**2,
    "norm squared": lambda x: jnp.linalg.norm(x) ** 2,
    "norm to the fourth": lambda x: jnp.linalg.norm(x) ** 4,
    "norm away from 0": lambda x: jnp.sqrt(1 + x @ x),
    "norm with epsilon": lambda x: jnp.sqrt(total(x**2) + 1e-6),
    "norm of more": lambda x: jnp.linalg.norm(jnp.concatenate([x, jnp.ones(1)])),
    "cos of the norm": lambda x: jnp.cos(jnp.linalg.norm(x)),
    "Frobenius": lambda x: jnp.linalg.norm(jnp.outer(x, x) - W) ** 2,
    "trace": lambda x: jnp.trace(jnp.outer(x, x) @ W),
    "kron": lambda x: jnp.kron(x, x) @ np.arange(9.0),
    "fft": lambda x: jnp.real(jnp.fft.fft(x)) ** 2 + jnp.imag(jnp.fft.fft(x)) ** 2,
    "einsum": lambda x: jnp.einsum("ij,i,j", W, x, x),
    "cosine: by hand": lambda x: total(x) / (jnp.sqrt(x @ x + 1e-3) * np.sqrt(3.0)),
}

STATISTICS = {
    "var": jnp.var,
    "var: ddof": lambda x: jnp.var(x, ddof=1),
    "var: axis": lambda x: jnp.var(W * x[None], axis=0),
    "std squared": lambda x: jnp.std(x) ** 2,
    "std with epsilon": lambda x: jnp.sqrt(jnp.var(x) + 1e-6),
    "variance guard": lambda x: jnp.maximum(jnp.var(x), 0),
    "variance guard: root": lambda x: jnp.sqrt(jnp.maximum(jnp.var(x), 0) + 1e-6),
    "variance guard: clip": lambda x: jnp.log(jnp.clip(jnp.var(x), 0) + 1e-3),
    "variance guard: abs": lambda x: jnp.sqrt(jnp.abs(jnp.var(x)) + 1e-6),
    "z-scores": lambda x: ((x - jnp.mean(x)) / jnp.sqrt(jnp.var(x) + 1e-3))[0],
    "layer norm": lambda x: (
        jnp.tanh((x - jnp.mean(x)) * lax.rsqrt(jnp.var(x) + 1e-3)) @ np.arange(3.0)
    ),
    "RMS norm": lambda x: (x * lax.rsqrt(jnp.mean(x**2) + 1e-3)) @ np.arange(3.0),
    "batch norm": lambda x: jnp.tanh(
        (A * x[None] - jnp.mean(A * x[None], axis=0, keepdims=True))
        / jnp.sqrt(jnp.var(A * x[None], axis=0, keepdims=True) + 1e-3)
    ),
    "norm.logpdf": lambda x: stats.norm.logpdf(B, x[0], jnp.exp(x[1])),
    "multivariate_normal": lambda x: stats.multivariate_normal.logpdf(
        np.ones(3), x, spd(x)
    ),
    "t.logpdf": lambda x: stats.t.logpdf(B, 3.0, x[0], jnp.exp(x[1])),
    "cauchy.logpdf": lambda x: stats.cauchy.logpdf(B, x[0], jnp.exp(x[1])),
    "logistic.logpdf": lambda x: stats.logistic.logpdf(B, x[0]),
    "gamma.logpdf": lambda x: stats.gamma.logpdf(B**2, jnp.exp(x[0]), 0.0, jnp.exp(x[1])),
    "poisson.logpmf": lambda x: stats.poisson.logpmf(REAL_COUNTS, jnp.exp(A @ x)),
    "expon.logpdf": lambda x: stats.expon.logpdf(B**2, 0.0, jnp.exp(x[0])),
    "gammaln": lambda x: special.gammaln(jnp.exp(x)),
    "digamma": lambda x: special.digamma(jnp.exp(x)),
    "erf": lambda x: x * special.erf(x),
    "sinc": lambda x: jnp.sinc(x),
    "logit": lambda x: special.logit(nn.sigmoid(x)) ** 2,
}

CAUSAL = np.tril(np.ones((4, 4), bool))
TOKENS = random.normal(size=(4, 3))


def attention(x):
    q, k, v = TOKENS * x[None], TOKENS @ W, TOKENS + x[None]
    scores = jnp.where(CAUSAL, q @ k.T / np.sqrt(3.0), -jnp.inf)
    return nn.softmax(scores, axis=-1) @ v


def kalman(x):
    """Negative log-likelihood of a local level; variances are exponentials."""
    q, r = jnp.exp(x[0]), jnp.exp(x[1])

    def step(carry, y):
        mean, variance = carry
        variance = variance + q
        gain = variance / (variance + r)
        score = jnp.log(variance + r) + (y - mean) ** 2 / (variance + r)
        return (mean + gain * (y - mean), (1 - gain) * variance), score

    return 0.5 * total(lax.scan(step, (x[2], jnp.array(1.0)), jnp.asarray(B))[1])


def process(x):
    """Marginal likelihood of a Gaussian process."""
    t = np.linspace(0.0, 1.0, 6)
    gap = (t[:, None] - t[None]) ** 2
    factor = jnp.linalg.cholesky(jnp.exp(x[0] - gap * jnp.exp(x[1])) + 0.1 * np.eye(6))
    white = linalg.solve_triangular(factor, jnp.asarray(B[:6]), lower=True)
    return 0.5 * white @ white + total(jnp.log(jnp.diag(factor)))


def recurrent(x):
    step = lambda h, b: (jnp.tanh(x * h + b), None)
    return lax.scan(step, x, jnp.asarray(A))[0]


@jax.custom_jvp
def own_softplus(x):
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


own_softplus.defjvp(lambda x, v: (own_softplus(x[0]), nn.sigmoid(x[0]) * v[0]))


@jax.custom_vjp
def own_square(x):
    return jnp.abs(x) ** 2


own_square.defvjp(lambda x: (own_square(x), x), lambda x, g: (2 * x * g,))


def logged(x, i):
    return jnp.where(i % 2 == 0, jnp.log1p(x**2), x**2)


MODELS = {
    "attention": attention,
    "Kalman": kalman,
    "Gaussian process": process,
    "recurrent network": recurrent,
    "network of tanh": lambda x: (jnp.tanh(jnp.tanh(A @ x) @ A) - 1) ** 2,
    "network of gelu": lambda x: nn.gelu(A @ x) @ B,
    "network of softplus": lambda x: (nn.softplus(A @ x) @ A - 1) ** 2,
    "logistic regression": lambda x: jnp.mean(jnp.log1p(jnp.exp(-SIGNS * (A @ x)))),
    "Poisson regression": lambda x: jnp.exp(A @ x) - REAL_COUNTS * (A @ x),
    "ridge": lambda x: jnp.mean((A @ x - B) ** 2) + 0.1 * total(x**2),
    "matrix factorisation": lambda x: (jnp.outer(x, x) - W) ** 2,
    "Rosenbrock": lambda x: 100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2,
    "Rastrigin": lambda x: x**2 - 10 * jnp.cos(2 * np.pi * x),
    "sinkhorn step": lambda x: nn.logsumexp(x[None] - W**2, axis=1),
    "InfoNCE": lambda x: (
        -nn.log_softmax((A * x[None]) @ (A * x[None]).T)[np.arange(12), np.arange(12)]
    ),
    "scan": lambda x: lax.scan(lambda c, a: (c + a**2, None), jnp.array(0.0), x)[0],
    "scan of softplus": lambda x: lax.scan(
        lambda c, a: (jnp.logaddexp(c, a), None), jnp.array(0.0), x
    )[0],
    "fori_loop": lambda x: lax.fori_loop(0, 3, lambda i, y: jnp.sin(y) + x, x),
    "fori_loop: softplus": lambda x: lax.fori_loop(0, 3, lambda i, y: nn.softplus(y), x),
    "map": lambda x: lax.map(lambda a: nn.softplus(a), x),
    "associative_scan": lambda x: lax.associative_scan(jnp.logaddexp, x),
    "cond on data": lambda x: lax.cond(COUNTS[0] > 2, jnp.square, jnp.abs, x),
    "switch on data": lambda x: lax.switch(1, [jnp.sin, jnp.cos, jnp.tanh], x),
    "where on data": lambda x: jnp.where(A @ np.ones(3) > 0, A @ x, (A @ x) ** 2),
    "where on an index": lambda x: jax.vmap(logged)(x, jnp.arange(3)),
    "sort of data": lambda x: jnp.sort(B) * (A @ x),
    "median of data": lambda x: (x - jnp.median(B)) ** 2,
    "argmax of data": lambda x: x[jnp.argmax(W[0])] ** 2,
    "clamp of data": lambda x: jnp.clip(B, -0.5, 0.5) * (A @ x),
    "round of data": lambda x: jnp.round(B) * (A @ x),
    "abs of data": lambda x: jnp.abs(B) * (A @ x) ** 2,
    "searchsorted of data": lambda x: (x[jnp.searchsorted(np.arange(2.0), B)] - B) ** 2,
    "digitize of data": lambda x: (x[jnp.digitize(B, np.array([-0.5, 0.5]))] - B) ** 2,
    "interp of data": lambda x: (jnp.interp(B, np.array([-1.0, 0.0, 1.0]), x) - B) ** 2,
    "negative index": lambda x: x[-1] ** 2,
    "index of data": lambda x: (x[COUNTS % 3] - B) ** 2,
    "roll": lambda x: (x - jnp.roll(x, 1)) ** 2,
    "diff": lambda x: jnp.diff(x) ** 2,
    "scatter": lambda x: jnp.zeros(4).at[np.array([0, 1, 0])].add(x) ** 2,
    "set": lambda x: jnp.zeros(4).at[np.array([0, 2, 3])].set(x) ** 2,
    "segment_sum": lambda x: jax.ops.segment_sum(x, np.array([0, 1, 0]), 2) ** 2,
    "dynamic_slice": lambda x: lax.dynamic_slice(x, (1,), (2,)) ** 2,
    "pad": lambda x: jnp.pad(x, 1, mode="edge") ** 2,
    "custom_jvp": lambda x: own_softplus(x),
    "custom_vjp": lambda x: own_square(x),
    "checkpoint": jax.checkpoint(lambda x: jnp.logaddexp(x, 0)),
    "jit of jit": jax.jit(lambda x: jax.jit(own_softplus)(x)),
    "Partial": Partial(lambda b, x: jnp.logaddexp(A @ x, 0) * b, B),
    "partial": functools.partial(lambda b, x: jnp.logaddexp(A @ x, b), B),
    "grad": jax.grad(lambda x: total(nn.softplus(x) ** 2)),
    "jvp": lambda x: jax.jvp(jnp.tanh, (x,), (x,))[1],
}

SCALES = {
    "softplus, 1e-9": S(
        lambda x: total(1e-9 * nn.softplus(x / 1e-9)), [1e-9, -2e-9], 0, 1e-9
    ),
    "softplus, 1e9": S(lambda x: total(1e9 * nn.softplus(x / 1e9)), [1e9, -2e9], 0, 1e9),
    "softplus of years": S(lambda x: total(nn.softplus(x - YEARS)), 1991.0, 0, 3.0),
    "logsumexp of years": S(lambda x: nn.logsumexp(x - YEARS), 1991.0, 0, 3.0),
    "log cosh of years": S(lambda x: total(jnp.logaddexp(x - YEARS, YEARS - x)), 1991.0, 0),
    "softplus at 1e8": S(
        lambda x: total(nn.softplus(x - (1e8 + YEARS))), 1e8 + 1990, 0, 5.0
    ),
    "offset of 1e9": S(lambda x: 1e9 + total(nn.softplus(x)), (0.3, -1.2, 2.0), 0),
    "nanometres": S(
        lambda x: total((x - 2e-9) ** 2) + nn.logsumexp(x), [1e-9, 3e-9], 0, 1e-9
    ),
    "barrier": S(lambda x: -2 * total(jnp.log(x)) + total(x), [4.0, 5.0], 0, 0.2),
    "barrier of a box": S(lambda x: -total(jnp.log(1 - x**2)), [0.1, -0.2], 0, 0.1),
    "kelvin": S(lambda x: total(jnp.exp(-1e3 / x)) / x[0], [293.15, 300.0], 0, 2.0),
    "a pytree": S(
        lambda p: total(nn.softplus(p["a"])) + jnp.logaddexp(p["b"], 0.0),
        {"a": np.ones(2), "b": np.array(-1.0)},
        0,
    ),
    "a matrix": S(lambda X: total(nn.softplus(X @ W)) + jnp.trace(X @ X), np.eye(3), 0),
    "float32": S(lambda x: total(nn.softplus(x)), np.float32([1, -2]), 0),
    "float32: logsumexp": S(lambda x: nn.logsumexp(x), np.float32([1, -2]), 0),
    "float32: BCE": S(
        lambda x: total(optax.sigmoid_binary_cross_entropy(x, jnp.float32([0, 1]))),
        np.float32([1, -2]),
        0,
    ),
    "float32 data": S(
        lambda x: nn.logsumexp(x * np.float32([0.1, 0.3]).astype(float)), [1.0, -2.0], 0
    ),
    "integer data": S(lambda x: total(jnp.logaddexp(x * REAL_COUNTS[:3], 0.0)), number=0),
}


def summed(losses):
    return {name: S(lambda x, f=f: jnp.sum(f(x))) for name, f in losses.items()}


SMOOTH_MODELS = summed(ALGEBRA) | summed(STATISTICS) | summed(MODELS) | SCALES

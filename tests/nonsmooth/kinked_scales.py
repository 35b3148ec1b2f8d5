"""Kinked losses at scales, with offsets and ties, in domains, of all kinds of positions."""

import jax.numpy as jnp
import numpy as np
import optax
from jax import nn

from tests.nonsmooth.slopes import Spelling as S
from tests.nonsmooth.spelling_data import KELVIN, TIED, YEARS, A

total = jnp.sum


KINKED_SCALES = {
    "years": S(lambda x: total(jnp.abs(x - YEARS)), 1992.4, 5, 3.0),
    "years: integers": S(
        lambda x: total(jnp.abs(x - np.arange(1990, 1995).astype(float))), 1992.4, 5, 3.0
    ),
    "kelvin": S(lambda x: total(jnp.abs(x - KELVIN)), 293.0, 3, 0.2),
    "kelvin: pinball": S(
        lambda x: total(jnp.maximum(0.7 * (KELVIN - x), 0.3 * (x - KELVIN))), 293.0, 3, 0.2
    ),
    "ties": S(lambda x: total(jnp.abs(x - TIED)), 2.0, 3),
    "ties that cancel": S(
        lambda x: total(np.array([1, 1, 1, -0.9, -0.9]) * jnp.abs(x)) + x, 1.0, 1
    ),
    "1e-9": S(lambda x: total(jnp.abs(x - 1e-9 * TIED)), 2e-9, 3, 1e-9),
    "1e-9: clip": S(lambda x: total(jnp.clip(x, -1e-9, 1e-9)), [2e-9, 0.0], 4, 1e-9),
    "nanometres": S(lambda x: jnp.abs(x) / 2 + jnp.abs(x - 2e-9), 6e-9, 2, 1e-9),
    "1e9": S(lambda x: total(jnp.abs(x - 1e9 * TIED)), 2e9, 3, 1e9),
    "1e9: relu": S(lambda x: total(nn.relu(1e9 - x)), [1e9, 2e9], 2, 1e9),
    "offset of 1e8": S(lambda x: total(jnp.abs(x - (1e8 + TIED))), 1e8 + 3, 3, 2.0),
    "offset of 1e8, hinge": S(lambda x: total(nn.relu(1e8 + TIED - x)), 1e8 + 3, 3, 2.0),
    "far away": S(lambda x: nn.softplus(x) + 1e-3 * nn.relu(x - 1e6), 1e6, 1, 1.0),
    "close": S(lambda x: jnp.abs(x - 1) + jnp.abs(x - 1.0001), 1.0, 2, 1.0),
    "mixed scales": S(
        lambda x: jnp.abs(x[0] - 1e6) + 1e9 * jnp.abs(x[1] - 1e-6), [1e6, 1e-6], 2, 1.0
    ),
    "barrier": S(
        lambda x: -2 * total(jnp.log(x)) + 5 * total(jnp.abs(x - 0.7)),
        [0.7, 0.6],
        2,
        0.04,
        False,
    ),
    "entropy": S(
        lambda x: total(x * jnp.log(x)) + total(jnp.abs(x - 3)), [3.1, 2.9], 2, 0.1, False
    ),
    "domain above 5": S(
        lambda x: total(jnp.sqrt(x - 5)) + total(jnp.abs(x - 7)), [7.1, 6.9], 2, 0.1, False
    ),
    "sphere of the norm": S(
        lambda x: optax.cosine_distance(x, jnp.ones(3), epsilon=1e-3),
        [0.03, 0.0, 0.01],
        1,
        0.03,
        False,
    ),
    "variance guard": S(
        lambda x: jnp.sqrt(jnp.maximum(jnp.var(x), 0.01)), [0.1, 0.2, -0.1], 1, 0.1, False
    ),
    "branch not taken": S(
        lambda x: jnp.where(x < 4, 0.25 * x**2, 3 * jnp.sqrt(x) - 2), 4.1, 1, 0.3, False
    ),
    "float32": S(lambda x: total(jnp.abs(x)), np.float32([1, -2, 3]), 3),
    "float32: relu6": S(lambda x: total(nn.relu6(x)), np.float32([1, -2]), 4),
    "float32: hinge": S(
        lambda x: total(nn.relu(1 - x * np.float32([1, 3]))), np.float32([1, -2]), 2
    ),
    "float32: years": S(
        lambda x: total(jnp.abs(x - YEARS.astype(np.float32))),
        np.float32(1992),
        5,
        3.0,
        False,
    ),
    "float32: where": S(
        lambda x: total(jnp.where(x > 0.1, x, 0.2 - x)), np.float32([1, -2]), 2
    ),
    "a dict": S(
        lambda p: total(jnp.abs(p["a"])) + nn.relu(p["b"]),
        {"a": np.ones(2), "b": np.array(-1.0)},
        3,
    ),
    "a dict: network": S(
        lambda p: total(nn.relu(A @ p["w"] + p["b"])),
        {"w": np.ones(3), "b": np.array(-1.0)},
        12,
    ),
    "a matrix": S(lambda X: total(jnp.abs(X)) + jnp.trace(X) ** 2, np.eye(2) + 1, 4),
    "a matrix: max of rows": S(lambda X: total(jnp.max(X, axis=1)), np.eye(2) + 1, 2),
    "a matrix: factorisation": S(
        lambda X: total(jnp.abs(X @ X.T - np.eye(2))), np.eye(2) + 1, 3, 1.0, False
    ),
    "a matrix: trace of the square": S(
        lambda X: jnp.abs(jnp.trace(X @ X)), np.eye(2) - 0.5, 1, 1.0, False
    ),
    "a scalar": S(lambda x: jnp.abs(x) + nn.relu(x - 1), 0.3, 2),
    "a scalar: three": S(lambda x: jnp.maximum(jnp.maximum(-x, 0.0), x - 1), 0.3, 2, 1.0),
    "one entry": S(lambda x: jnp.abs(x[0]), [0.3], 1),
}

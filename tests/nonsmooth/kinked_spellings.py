"""Losses with kinks, as people write them: functions of each entry, and of several.

The number is that of switching functions that no identity makes multiples of each other.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn

from tests.nonsmooth.kinked_models import KINKED_MODELS
from tests.nonsmooth.kinked_programs import KINKED_PROGRAMS
from tests.nonsmooth.kinked_scales import KINKED_SCALES
from tests.nonsmooth.slopes import Spelling as S

random = np.random.default_rng(9)
W = random.normal(size=(4, 3))
total = jnp.sum

ONE = {
    "abs": jnp.abs,
    "abs: where": lambda x: jnp.where(x > 0, x, -x),
    "abs: where, >=": lambda x: jnp.where(x >= 0, x, -x),
    "abs: where, <": lambda x: jnp.where(x < 0, -x, x),
    "abs: maximum": lambda x: jnp.maximum(x, -x),
    "abs: minimum": lambda x: -jnp.minimum(x, -x),
    "abs: relu": lambda x: nn.relu(x) + nn.relu(-x),
    "abs: sign": lambda x: jnp.sign(x) * x,
    "abs: fabs": jnp.fabs,
    "abs: select": lambda x: lax.select(x > 0, x, -x),
    "abs: clip": lambda x: jnp.clip(x, 0, None) - jnp.clip(x, None, 0),
    "abs: 2 relu - x": lambda x: 2 * nn.relu(x) - x,
    "abs: vmap": lambda x: jax.vmap(jnp.abs)(x),
    "abs: vmap of where": lambda x: jax.vmap(lambda a: jnp.where(a > 0, a, -a))(x),
    "abs: jit": jax.jit(jnp.abs),
    "abs: jit of jit": jax.jit(lambda x: jax.jit(jnp.abs)(x)),
    "abs: checkpoint": jax.checkpoint(jnp.abs),
    "abs: map": lambda x: lax.map(jnp.abs, x),
    "abs: a stack": lambda x: jnp.max(jnp.stack([x, -x]), axis=0),
    "abs: booleans": lambda x: (x > 0).astype(float) * x - (x < 0).astype(float) * x,
    "abs: astype": lambda x: (2 * (x > 0).astype(x.dtype) - 1) * x,
    "abs: not": lambda x: jnp.where(~(x > 0), -x, x),
    "abs: both zeros": lambda x: jnp.where(x == 0, 0.0, jnp.abs(x)),
    "abs: guarded": lambda x: jnp.where(jnp.isfinite(x), jnp.abs(x), 0.0),
    "abs: nan_to_num": lambda x: jnp.nan_to_num(jnp.abs(x)),
    "abs: in a power": lambda x: (1 + jnp.abs(x)) ** 1.5,
    "abs: under a root": lambda x: jnp.sqrt(1 + jnp.abs(x)),
    "abs: log": lambda x: jnp.log1p(jnp.abs(x)),
    "abs: exp": lambda x: jnp.abs(x) * jnp.exp(x),
    "abs: Laplace": lambda x: jnp.exp(-jnp.abs(x)),
    "abs: reciprocal": lambda x: 1 / (1 + jnp.abs(x)),
    "abs: tanh": lambda x: jnp.tanh(jnp.abs(x)),
    "abs of tanh": lambda x: jnp.abs(jnp.tanh(x)),
    "abs of expm1": lambda x: jnp.abs(jnp.expm1(x)),
    "abs of a cube": lambda x: jnp.abs(x**3 + x),
    "|x| + 2 |-3 x|": lambda x: jnp.abs(x) + 2 * jnp.abs(-3 * x),
    "|x| - 2 relu(x / 8)": lambda x: jnp.abs(x) - 2 * nn.relu(x / 8),
    "relu": nn.relu,
    "relu: maximum": lambda x: jnp.maximum(x, 0),
    "relu: maximum(0, x)": lambda x: jnp.maximum(0, x),
    "relu: where": lambda x: jnp.where(x > 0, x, 0),
    "relu: product": lambda x: x * (x > 0).astype(float),
    "relu: clip": lambda x: jnp.clip(x, 0),
    "relu: half of the sum": lambda x: 0.5 * (x + jnp.abs(x)),
    "relu: min": lambda x: x - jnp.minimum(x, 0),
    "relu: heaviside": lambda x: jnp.heaviside(x, 0.5) * x,
    "negative relu": lambda x: -nn.relu(-x),
    "relu(x) - relu(-x) + |x|": lambda x: nn.relu(x) - nn.relu(-x) + jnp.abs(x),
    "relu: -inf": lambda x: jnp.maximum(jnp.maximum(x, -jnp.inf), 0),
    "leaky_relu": nn.leaky_relu,
    "leaky_relu: maximum": lambda x: jnp.maximum(x, 0.1 * x),
    "leaky_relu: where": lambda x: jnp.where(x > 0, x, 0.1 * x),
    "PReLU": lambda x: jnp.maximum(0, x) + 0.25 * jnp.minimum(0, x),
    "selu": nn.selu,
    "elu with another slope": lambda x: nn.elu(x, 0.5),
    "shifted": lambda x: jnp.abs(x - 0.5),
    "shifted: where": lambda x: jnp.where(x > 0.5, x - 0.5, 0.5 - x),
    "shifted: pieces": lambda x: jnp.where(x < 0.75, 1 - x, 3 * x - 2),
    "hinge": lambda x: nn.relu(1 - x),
    "hinge: maximum": lambda x: jnp.maximum(0, 1 - x),
    "pinball": lambda x: jnp.maximum(0.7 * x, -0.3 * x),
    "pinball: where": lambda x: jnp.where(x >= 0, 0.7 * x, -0.3 * x),
    "pinball: indicator": lambda x: x * (0.7 - (x < 0).astype(float)),
    "pinball: abs": lambda x: 0.5 * jnp.abs(x) + 0.2 * x,
    "min of a line and a parabola": lambda x: jnp.minimum(x, 0.25 * x**2 + 2 * x),
    "where of cos": lambda x: jnp.where(x < 0, jnp.cos(x), 1 + x),
    "where of a root": lambda x: jnp.where(x < 4, 0.25 * x**2, 3 * jnp.sqrt(x) - 2),
    "where: guarded root": lambda x: jnp.where(
        x > 1, jnp.sqrt(jnp.where(x > 1, x, 1.0)), x**2
    ),
}
"""One kink for each entry, which a line crosses once."""

BENT = frozenset({"abs: both zeros", "min of a line and a parabola"})
"""What is flat on one side far away, or has a kink that a line crosses twice."""

TWO = {
    "where of a logarithm": lambda x: jnp.where(
        x > 1, jnp.log(jnp.maximum(x, 0.5)), 2 * (x - 1)
    ),
    "relu6": nn.relu6,
    "relu6: clip": lambda x: jnp.clip(x, 0, 6),
    "clip": lambda x: jnp.clip(x, -1, 1),
    "clip: min of max": lambda x: jnp.minimum(jnp.maximum(x, -1), 1),
    "clip: max of min": lambda x: jnp.maximum(jnp.minimum(x, 1), -1),
    "clip: lax.clamp": lambda x: lax.clamp(-1.0, x, 1.0),
    "clip: where": lambda x: jnp.where(x > 1, 1.0, jnp.where(x < -1, -1.0, x)),
    "clip: relu": lambda x: nn.relu(x + 1) - nn.relu(x - 1) - 1,
    "clip: abs": lambda x: 0.5 * (jnp.abs(x + 1) - jnp.abs(x - 1)),
    "clip: and": lambda x: jnp.where((x > -1) & (x < 1), x, jnp.sign(x) * 1.0 + 0 * x),
    "hard_tanh": nn.hard_tanh,
    "hard_sigmoid": nn.hard_sigmoid,
    "hard_silu": nn.hard_silu,
    "hard_swish": nn.hard_swish,
    "hard_swish: by hand": lambda x: x * nn.relu6(x + 3) / 6,
    "sparse_sigmoid": nn.sparse_sigmoid,
    "epsilon-insensitive": lambda x: nn.relu(jnp.abs(x) - 0.5),
    "epsilon-insensitive: two": lambda x: nn.relu(x - 0.5) + nn.relu(-x - 0.5),
    "epsilon-insensitive: maximum": lambda x: jnp.maximum(
        0, jnp.maximum(x - 0.5, -x - 0.5)
    ),
    "epsilon-insensitive: and": lambda x: jnp.where(
        (x > -0.5) & (x < 0.5), 0.0, jnp.abs(x) - 0.5
    ),
    "epsilon-insensitive: or": lambda x: jnp.where(
        (x < -0.5) | (x > 0.5), jnp.abs(x) - 0.5, 0.0
    ),
    "epsilon-insensitive: abs": lambda x: jnp.where(
        jnp.abs(x) > 0.5, jnp.abs(x) - 0.5, 0.0
    ),
    "soft threshold": lambda x: jnp.sign(x) * nn.relu(jnp.abs(x) - 0.5),
    "soft threshold: difference": lambda x: x - jnp.clip(x, -0.5, 0.5),
    "soft threshold: where": lambda x: jnp.where(
        x > 0.5, x - 0.5, jnp.where(x < -0.5, x + 0.5, 0.0)
    ),
    "soft threshold: squared": lambda x: (
        0.5 * x**2 + jnp.sign(x) * nn.relu(jnp.abs(x) - 0.5)
    ),
    "dead zone": lambda x: jnp.maximum(jnp.abs(x), 0.5),
    "capped l1": lambda x: jnp.minimum(jnp.abs(x), 1.0),
    "ramp": lambda x: nn.relu(1 - x) - nn.relu(-1 - x),
    "tent": lambda x: nn.relu(1 - jnp.abs(x)),
    "two valleys": lambda x: jnp.abs(jnp.abs(x) - 1),
    "min of quadratics": lambda x: jnp.minimum((x - 1) ** 2, (x + 1) ** 2),
    "nested where": lambda x: jnp.where(
        x > 0, jnp.where(x > 1, 2 * x - 1, x), jnp.where(x < -1, -3 * x - 2, -x)
    ),
    "nested where: ands": lambda x: jnp.where(
        (x > 0) & (x > 1), 2 * x - 1, jnp.where(x > 0, x, -x)
    ),
    "select": lambda x: jnp.select([x < -1, x > 1], [-2 * x - 1, 2 * x - 1], 1 + 0 * x),
    "piecewise": lambda x: jnp.piecewise(
        x, [x < -1, x > 1], [lambda x: -x, lambda x: x, lambda x: 1 + 0 * x]
    ),
    "hat by knots": lambda x: jnp.maximum(jnp.minimum(x + 1, 1 - x), 0),
    "bands": lambda x: jnp.where(
        x < 0, -x, jnp.where(x < 1, x, jnp.where(x < 2, 2 * x - 1, 3 * x - 3))
    ),
    "tax": lambda x: 0.1 * x + 0.2 * nn.relu(x - 1) + 0.3 * nn.relu(x - 2),
    "SCAD, first part": lambda x: jnp.where(jnp.abs(x) <= 1, jnp.abs(x), 0.5 + 0.5 * x**2),
    "MCP": lambda x: jnp.where(jnp.abs(x) <= 2, jnp.abs(x) - x**2 / 4, 1.0),
    "log of a clip": lambda x: -jnp.log(jnp.clip(nn.sigmoid(x), 1e-2, 1 - 1e-2)),
    "clip of a square": lambda x: jnp.clip(x**2, 0.25, 4.0),
    "root of a guard": lambda x: jnp.sqrt(jnp.maximum(x**2, 0.25)),
    "xor": lambda x: jnp.where((x > -1) ^ (x > 1), x**2, 1.0),
    "not and": lambda x: jnp.where(~((x > -1) & (x < 1)), 1.0, x**2),
    "Barron, slope 1": lambda x: jnp.where(x > 1, x, jnp.where(x < -1, -x, 1.0)),
    "logical functions": lambda x: jnp.where(
        jnp.logical_and(x > -1, jnp.logical_not(x > 1)), 1.0, jnp.abs(x)
    ),
}
"""Two kinks or three for each entry."""

COUNTED = {
    "bands": 9,
    "clip": 6,
    "clip: abs": 6,
    "clip: lax.clamp": 6,
    "clip: max of min": 6,
    "clip: min of max": 6,
    "clip: relu": 6,
    "clip: where": 6,
    "epsilon-insensitive: two": 6,
    "hard_sigmoid": 6,
    "hard_silu": 6,
    "hard_swish": 6,
    "hard_swish: by hand": 6,
    "hard_tanh": 6,
    "Barron, slope 1": 6,
    "nested where": 9,
    "nested where: ands": 6,
    "not and": 6,
    "piecewise": 6,
    "ramp": 6,
    "relu6": 6,
    "relu6: clip": 6,
    "select": 6,
    "soft threshold: difference": 6,
    "soft threshold: where": 6,
    "sparse_sigmoid": 6,
    "tax": 6,
    "xor": 6,
}
"""Where each kink is a point of its own."""

NESTED = {
    "capped l1": 6,
    "clip of a square": 6,
    "hat by knots": 6,
    "log of a clip": 6,
    "min of quadratics": 3,
    "root of a guard": 3,
    "tent": 6,
    "two valleys": 6,
}
"""Where one function is 0 in several points. Of the rest, the number depends on what is
proved: $|x|$ in `maximum(|x|, 0.5)` is a kink that nothing is seen of."""


def by_entry(losses):
    return {name: S(lambda x, f=f: total(f(x))) for name, f in losses.items()}


SINGLE = {
    name: spelling._replace(number=3, once=name not in BENT)
    for name, spelling in by_entry(ONE).items()
}
DOUBLE = {
    name: spelling._replace(number=(COUNTED | NESTED).get(name), once=name in COUNTED)
    for name, spelling in by_entry(TWO).items()
}

KINKED = SINGLE | DOUBLE | KINKED_MODELS | KINKED_PROGRAMS | KINKED_SCALES

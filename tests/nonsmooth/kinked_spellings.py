"""Losses with kinks, as people write them."""

import jax.numpy as jnp
from jax import nn

from tests.nonsmooth.slopes import Spelling as S

KINKED = {
    "abs": S(lambda x: jnp.sum(jnp.abs(x)), number=3),
    "relu6": S(lambda x: jnp.sum(nn.relu6(x)), number=6),
}
TRACED = {}

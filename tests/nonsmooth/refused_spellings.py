"""Losses that jump, or have points that are neither smooth nor kinks."""

import jax.numpy as jnp

from tests.nonsmooth.slopes import Spelling as S

REFUSED = {"floor": (S(lambda x: jnp.sum(jnp.floor(x))), "floor")}
ACCEPTED = {}

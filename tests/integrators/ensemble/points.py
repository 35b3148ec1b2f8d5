"""Ensembles that the tests share: each needs a program of its own, so there are few."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import dynsys as ds

WIDTH = 8


def valley(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def damped(x0, alpha):
    return ds.GDIN(valley, alpha, 0.1), x0


def ends(trajectory):
    return trajectory.final_state.theta, trajectory.stats.steps


STARTS = np.random.default_rng(0).uniform(-1.5, 1.5, (40, 2))
DAMPINGS = np.linspace(0.5, 3.0, 40)

in_valley = functools.partial(
    ds.simulate_ensemble, damped, t1=6.0, reduce=ends, width=WIDTH, atol=1e-6
)
"""Short runs of which only the ends are kept."""


def digest(tree):
    """All bits of a result."""
    return "".join(np.asarray(leaf).tobytes().hex() for leaf in jax.tree.leaves(tree))


def kinked(x0):
    f = ds.objectives.NonsmoothRosenbrock()
    return ds.GDIN(f, jnp.asarray(1.0), jnp.asarray(1.0)), x0

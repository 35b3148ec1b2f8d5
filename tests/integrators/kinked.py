"""Functions with kinks, and how the tests read a ledger of events."""

import jax.numpy as jnp
import numpy as np

TIGHT = {"rtol": 1e-9, "atol": 1e-12}
CROSS, SLIDE, LEAVE = 0, 1, 2


def absolute(x):
    return jnp.sum(jnp.abs(x))


def ledger(trajectory):
    """Times, kinks and kinds of the events that happened."""
    events, count = trajectory.events, int(trajectory.events.count)
    return [np.asarray(a)[:count] for a in (events.t, events.kink, events.kind)]


def talk(theta):
    return 100 * (theta[1] - jnp.abs(theta[0])) ** 2 + jnp.abs(1 - theta[0])

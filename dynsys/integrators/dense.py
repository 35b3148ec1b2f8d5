"""The solution at any time, from the steps of the solver."""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.integrators.start import Departure
from dynsys.systems.system import State
from dynsys.trajectory import AbstractDenseOutput

Time = Float[Array, ""]


class DenseOutput(AbstractDenseOutput):
    """The piecewise polynomials of the solver."""

    t0: Time
    t1: Time
    interpolation: diffrax.DenseInterpolation

    def state(self, t: Time) -> State:
        return self.interpolation.evaluate(t)

    def slope(self, t: Time) -> State:
        return self.interpolation.derivative(t)


class DepartureThenDense(AbstractDenseOutput):
    """A series at $t = 0$, and the polynomials of the solver after it."""

    t0: Time
    t1: Time
    departure: Departure
    rest: DenseOutput

    def state(self, t: Time) -> State:
        return self._choose(t, self.departure.state, self.rest.state)

    def slope(self, t: Time) -> State:
        derivative = lambda time: jax.jvp(
            self.departure.state, (time,), (jnp.ones_like(time),)
        )[1]
        return self._choose(t, derivative, self.rest.slope)

    def _choose(self, t: Time, early: Any, late: Any) -> State:
        switch = self.departure.until
        first, second = early(jnp.minimum(t, switch)), late(jnp.maximum(t, switch))
        return jax.tree.map(lambda a, b: jnp.where(t < switch, a, b), first, second)

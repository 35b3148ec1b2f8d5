"""The solution at any time, from the steps of the solver."""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.systems.system import State
from dynsys.systems.vanishing_damping import AbstractVanishingDamping, StartSeries
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


class SeriesThenDense(AbstractDenseOutput):
    """A series at $t = 0$, and the polynomials of the solver from `switch` on."""

    t0: Time
    t1: Time
    switch: Time
    system: AbstractVanishingDamping
    series: StartSeries
    rest: DenseOutput

    def state(self, t: Time) -> State:
        return self._choose(t, self._series_state, self.rest.state)

    def slope(self, t: Time) -> State:
        derivative = lambda time: jax.jvp(
            self._series_state, (time,), (jnp.ones_like(time),)
        )[1]
        return self._choose(t, derivative, self.rest.slope)

    def _series_state(self, t: Time) -> State:
        return series_state(self.system, self.series, t)

    def _choose(self, t: Time, early: Any, late: Any) -> State:
        is_early = t < self.switch
        first = early(jnp.minimum(t, self.switch))
        second = late(jnp.maximum(t, self.switch))
        return jax.tree.map(lambda a, b: jnp.where(is_early, a, b), first, second)


def series_state(
    system: AbstractVanishingDamping, series: StartSeries, t: Time
) -> State:
    """The state that the series of the start gives at time `t`."""
    return system.initial_state(t, series.position(t), series.velocity(t))

"""The solution at any time, from the steps of the solver."""

from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dynsys.dense_output import AbstractDenseOutput
from dynsys.integrators.start import Departure
from dynsys.switches.window import in_window
from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import Like, Time


class DenseOutput(AbstractDenseOutput):
    """The piecewise polynomials of the solver.

    Args:
        t0: Start of the solution.
        t1: Its end.
        starts: Where each step that was kept starts.
        ends: Where it ends; infinite in the padding.
        kept: What is kept of each step, in one row a step: the arguments of its
            polynomial, and its mode.
        like: What a row of that holds.
        local: The solver's polynomial over one step.
        margin: How far inside of a step coefficients are looked at, if they switch.
    """

    t0: Time
    t1: Time
    starts: Float[Array, " rows"]
    ends: Float[Array, " rows"]
    kept: Float[Array, "rows size"]
    like: Like = eqx.field(static=True)
    local: Callable[..., diffrax.AbstractLocalInterpolation] = eqx.field(static=True)
    margin: Time | None = None

    @property
    def joints(self) -> Float[Array, " rows"]:
        return self.ends

    def state(self, t: Time) -> State:
        return self.state_and_slope(t)[0]

    def slope(self, t: Time) -> State:
        return self.state_and_slope(t)[1]

    def state_and_slope(self, t: Time) -> tuple[State, State]:
        """State at time `t` and its derivative."""
        return self.in_step(self.row(t), t)

    def in_step(self, row: Int[Array, ""], t: Time) -> tuple[State, State]:
        """State at a time inside a step, and its derivative."""
        ends = {"t0": self.starts[row], "t1": self.ends[row]}
        local = self.local(**ends, **self._kept(row)["polynomial"])
        return jax.jvp(local.evaluate, (t,), (jnp.ones_like(t),))

    def mode(self, row: Int[Array, ""]) -> Any:
        """The mode of a step."""
        return self._kept(row)["mode"]

    def _kept(self, row: Int[Array, ""]) -> Any:
        return self.like.unpack(self.kept[row])

    def between_switches(self, t: Time, system: AbstractSystem) -> AbstractSystem:
        if self.margin is None:
            return system
        row = self.row(t)
        return in_window(system, self.starts[row], self.ends[row], self.margin)

    def row(self, t: Time) -> Int[Array, ""]:
        """The step that a time lies in."""
        first_after = jnp.searchsorted(self.ends, t, method="scan")
        return jnp.minimum(first_after, len(self.ends) - 1)


class DepartureThenDense(AbstractDenseOutput):
    """A series at $t = 0$, and the polynomials of the solver after it."""

    t0: Time
    t1: Time
    departure: Departure
    rest: AbstractDenseOutput

    @property
    def joints(self) -> Float[Array, " rows"]:
        return jnp.append(self.rest.joints, self.departure.until)

    def state(self, t: Time) -> State:
        return self._choose(t, self.departure.state, self.rest.state)

    def slope(self, t: Time) -> State:
        derivative = lambda time: jax.jvp(
            self.departure.state, (time,), (jnp.ones_like(time),)
        )[1]
        return self._choose(t, derivative, self.rest.slope)

    def between_switches(self, t: Time, system: AbstractSystem) -> AbstractSystem:
        return self.rest.between_switches(jnp.maximum(t, self.departure.until), system)

    def system_at(self, t: Time, system: AbstractSystem) -> AbstractSystem:
        return self.rest.system_at(jnp.maximum(t, self.departure.until), system)

    def _choose(self, t: Time, early: Any, late: Any) -> State:
        switch = self.departure.until
        first, second = early(jnp.minimum(t, switch)), late(jnp.maximum(t, switch))
        return jax.tree.map(lambda a, b: jnp.where(t < switch, a, b), first, second)

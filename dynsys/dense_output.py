"""A solution at any time, and its positions and velocities."""

import abc
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.cached_call import cached_call
from dynsys.in_chunks import in_chunks
from dynsys.systems.system import AbstractSystem, State
from dynsys.systems.velocity import reconcile
from dynsys.trees import Position, Time


class AbstractDenseOutput(eqx.Module):
    """A solution that can be evaluated at any time of its interval."""

    t0: eqx.AbstractVar[Time]
    t1: eqx.AbstractVar[Time]

    @property
    @abc.abstractmethod
    def joints(self) -> Float[Array, " rows"]:
        """Ends of its smooth parts, the steps, infinite in the padding."""

    @abc.abstractmethod
    def state(self, t: Time) -> State:
        """The state at time `t`."""

    @abc.abstractmethod
    def slope(self, t: Time) -> State:
        """The time derivative of `state` at time `t`."""

    def between_switches(self, t: Time, system: AbstractSystem) -> AbstractSystem:
        """A system with its coefficients as they are in the step that a time lies in."""
        del t
        return system

    def system_at(self, t: Time, system: AbstractSystem) -> AbstractSystem:
        """The smooth system that the solution follows at time `t`."""
        return self.between_switches(t, system)


class Path(NamedTuple):
    """What positions and velocities at any time are computed from."""

    dense: AbstractDenseOutput
    system: AbstractSystem
    rtol: Float[Array, ""]
    atol: Float[Array, ""]


@cached_call
def positions(path: Path, times: Float[Array, " times"]) -> Position:
    """Positions at some times."""
    return in_chunks(lambda t: path.system.position(path.dense.state(t)), times)


@cached_call
def velocities(path: Path, times: Float[Array, " times"]) -> Position:
    """Velocities at some times."""

    def velocity(t: Time) -> Position:
        state, slope = path.dense.state(t), path.dense.slope(t)
        system = path.dense.system_at(t, path.system)
        found = reconcile(system, t, state, slope, path.rtol, path.atol)
        # There the state is given, not computed, and so is the velocity.
        given = system.velocity(t, state)
        is_start = t <= path.dense.t0
        return jax.tree.map(lambda a, b: jnp.where(is_start, a, b), given, found)

    return in_chunks(velocity, times)

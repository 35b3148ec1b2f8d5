r"""One step of INNA, and what it keeps."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from dynsys.algorithms.hyperparameters import Hyperparameter, at, checked, decayed
from dynsys.trees import Position, combine


class INNAState(NamedTuple):
    r"""State of INNA.

    It holds $\phi = \psi - \theta$, which obeys $\dot\phi = \beta v$, in place of $\psi$:
    so a step overwrites parameters and state in place, and the velocity is a difference of
    numbers that are smaller by $\alpha\beta$ than $\theta$ and $\psi$ are.

    Args:
        count: Number of steps taken, a scalar.
        psi_minus_theta: The difference $\phi$, like the parameters.
    """

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]
    psi_minus_theta: Position

    def psi(self, params: Position) -> Position:
        r"""The auxiliary variable $\psi = \theta + \phi$.

        Args:
            params: The parameters $\theta$ that belong to this state.
        """
        return jax.tree.map(jnp.add, params, self.psi_minus_theta)


class Options(NamedTuple):
    """Hyperparameters of INNA, each a number or a schedule."""

    gamma: Hyperparameter
    alpha: Hyperparameter
    beta: Hyperparameter
    weight_decay: Hyperparameter


def step_size(learning_rate: Any, power: Any) -> Hyperparameter:
    """The step size as a function of the count of steps, or as a number."""
    rate = checked("learning_rate", learning_rate, "at least 0")
    return decayed(rate, checked("decay_power", power, "at least 0"))


def inna_step(
    options: Options,
    speed: Hyperparameter | None,
    updates: Position,
    state: INNAState,
    params: Position,
) -> tuple[Position, INNAState]:
    r"""The direction $\alpha\theta + \phi/\beta + \beta v + w\theta$, and the next state.

    Args:
        options: Hyperparameters.
        speed: The speed against the gradient at the start; `None` if the first state has
            it already.
        updates: The gradient $v$.
        state: The state.
        params: The parameters $\theta$.
    """
    count = state.count
    gamma, alpha, beta, decay = (at(one, count) for one in options)
    theta = _widened(params)
    v, before = cast(updates, theta), cast(state.psi_minus_theta, theta)
    if speed is not None:
        first = jnp.where(count == 0, beta * (at(speed, count) - beta), 0)
        before = combine((1.0, before), (first, v))
    push = combine((beta, v))
    if not _is_zero(options.weight_decay):
        push = combine((1.0, push), (decay, theta))
    after = combine((1.0, before), (gamma, push))
    # From the next state, so that the program may write it over the one before.
    direction = combine((alpha, theta), (1 / beta, after), (1 - gamma / beta, push))
    after = cast(after, state.psi_minus_theta)
    return direction, INNAState(jnp.asarray(optax.safe_increment(count)), after)


def cast(tree: Position, like: Position) -> Position:
    """The leaves in the dtypes of another tree."""
    return jax.tree.map(lambda leaf, other: leaf.astype(other.dtype), tree, like)


def _widened(tree: Position) -> Position:
    """Leaves of fewer than 32 bits in 32, so that a step is rounded once."""
    return jax.tree.map(
        lambda leaf: leaf.astype(jnp.float32) if leaf.dtype.itemsize < 4 else leaf, tree
    )


def _is_zero(value: Hyperparameter) -> bool:
    """Whether a hyperparameter is the number 0, as a float of Python."""
    return isinstance(value, float) and value == 0

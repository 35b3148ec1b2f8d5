r"""One step of INNA, and what it keeps."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from dynsys.algorithms.hyperparameters import Hyperparameter, at, checked, decayed
from dynsys.algorithms.parameters import cast, scalar_type, widened
from dynsys.trees import Position, combine


class INNAState(NamedTuple):
    r"""State of INNA.

    It holds the momentum $p = (\frac1\beta - \alpha)\theta - \frac1\beta\psi$, which is
    $\dot\theta + \beta v$ along the flow, in place of $\psi$: it is 0 at rest, whatever
    $\theta$ is, so that neither rounding nor another change of the parameters disturbs it.

    Args:
        count: Number of steps taken, a scalar.
        momentum: The momentum $p$, like the parameters. Where the first gradient decides
            it, it is known after the first step.
        alpha: The viscous damping that $p$ belongs to, that of the last step.
        beta: The geometric damping that $p$ belongs to.
    """

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]
    momentum: Position
    alpha: Float[Array, ""]
    beta: Float[Array, ""]

    def psi(self, params: Position) -> Position:
        r"""The auxiliary variable $\psi = (1 - \alpha\beta)\theta - \beta p$.

        Args:
            params: The parameters $\theta$ that belong to this state.
        """
        theta, p = widened(params), widened(self.momentum)
        linear = 1 - self.alpha * self.beta
        return cast(combine((linear, theta), (-self.beta, p)), params)


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
    r"""The velocity $p - \beta v - w\theta$ of the parameters, and the next state.

    Args:
        options: Hyperparameters.
        speed: The speed against the gradient at the start; `None` if the first state has
            it already.
        updates: The gradient $v$.
        state: The state.
        params: The parameters $\theta$.
    """
    number = scalar_type(params)
    gamma, alpha, beta, decay = (at(one, state.count).astype(number) for one in options)
    theta = widened(params)
    v, p = cast(updates, theta), cast(state.momentum, theta)
    if not (isinstance(options.alpha, float) and isinstance(options.beta, float)):
        # What stays when the dampings change is psi, as in the equations of the papers.
        turned = (state.alpha * state.beta - alpha * beta) / beta
        p = combine((state.beta / beta, p), (turned, theta))
    if speed is not None:
        first = jnp.where(state.count == 0, beta - at(speed, state.count).astype(number), 0)
        p = combine((1.0, p), (first, v))
    velocity = combine((1.0, p), (-beta, v))
    after = combine((1 - gamma * alpha, p), (gamma * (alpha * beta - 1), v))
    if not (isinstance(options.weight_decay, float) and options.weight_decay == 0):
        velocity = combine((1.0, velocity), (-decay, theta))
        after = combine((1.0, after), (gamma * decay * (alpha - 1 / beta), theta))
    count = jnp.asarray(optax.safe_increment(state.count))
    return velocity, INNAState(count, cast(after, state.momentum), alpha, beta)

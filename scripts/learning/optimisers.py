r"""The optimisers by name, all with the step size $\gamma_0 (k + 1)^{-q}$."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import dynsys as ds


class Hyperparameters(NamedTuple):
    r"""What an optimiser may be told: numbers, or arrays with one entry a run.

    Args:
        rate: Step size $\gamma_0$ of the first step.
        decay_power: Exponent $q$ of the step size $\gamma_0 (k + 1)^{-q}$ of step k.
        alpha: Viscous damping of INNA.
        beta: Geometric damping of INNA.
        momentum: Factor of the momentum of SGD.
    """

    rate: Any
    decay_power: Any = 0.25
    alpha: Any = 0.5
    beta: Any = 0.1
    momentum: Any = 0.9

    def broadcast(self, runs: int) -> "Hyperparameters":
        """Single-precision arrays with one entry a run."""
        arrays = (np.broadcast_to(np.float32(one), (runs,)) for one in self)
        return Hyperparameters(*arrays)


class Optimiser(NamedTuple):
    """An optimiser of the comparison.

    Args:
        label: Its name in figures.
        build: The optax transformation, from `Hyperparameters`.
        usual_rate: A step size for a first try.
        uses: The hyperparameters that it has, besides the step size and its decay.
    """

    label: str
    build: Callable[[Hyperparameters], optax.GradientTransformation]
    usual_rate: float
    uses: tuple[str, ...] = ()


def step_size(hyper: Hyperparameters) -> Callable[[Any], jax.Array]:
    r"""The schedule $\gamma_0 (k + 1)^{-q}$."""
    rate, power = (jnp.asarray(one, jnp.float32) for one in hyper[:2])
    return lambda count: rate * jnp.asarray(count + 1, jnp.float32) ** -power


def _inna(hyper: Hyperparameters) -> optax.GradientTransformation:
    power = hyper.decay_power
    return ds.inna(hyper.rate, hyper.alpha, hyper.beta, decay_power=power)


def _adam(hyper: Hyperparameters) -> optax.GradientTransformation:
    adam = optax.adam(step_size(hyper))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        # It raises a float to the power of a whole number, which is strictly a promotion.
        with jax.numpy_dtype_promotion("standard"):
            return adam.update(updates, state, params)

    return optax.GradientTransformation(adam.init, update)


OPTIMISERS: dict[str, Optimiser] = {
    "inna": Optimiser("INNA", _inna, 0.5, ("alpha", "beta")),
    "sgd": Optimiser("SGD", lambda hyper: optax.sgd(step_size(hyper)), 0.5),
    "momentum": Optimiser(
        "SGD with momentum",
        lambda hyper: optax.sgd(step_size(hyper), momentum=hyper.momentum),
        0.2,
        ("momentum",),
    ),
    "adam": Optimiser("Adam", _adam, 0.01),
    "adagrad": Optimiser("Adagrad", lambda hyper: optax.adagrad(step_size(hyper)), 0.2),
}
"""One line an optimiser. What is not said here is as in optax."""

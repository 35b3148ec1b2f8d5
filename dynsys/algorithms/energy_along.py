r"""The energy of g-DIN along the iterates of INNA."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsys.algorithms.inna_path import INNAPath, require_path
from dynsys.analysis.energies.energy import Minimum, moment
from dynsys.analysis.energies.gdin import gdin
from dynsys.checks import as_number
from dynsys.systems.gdin import GDINState
from dynsys.trees import widest_dtype


class IteratesEnergy(NamedTuple):
    r"""The energy along the iterates of INNA.

    Args:
        t: The times $t_k$ of the iterates, of shape `(kept,)`.
        value: The energy $E(\theta_k, \psi_k)$.
        rate: Its derivative along the flow from there,
            $-\alpha\|\dot\theta\|^2 - \beta\|\nabla J\|^2$, with the gradient of the whole
            objective that JAX selects.
    """

    t: np.ndarray
    value: np.ndarray
    rate: np.ndarray

    @property
    def largest_increase(self) -> float:
        """The largest growth from an iterate to a later one, 0 if there is none."""
        return float((self.value - np.minimum.accumulate(self.value)).max())


def energy_along(path: INNAPath, lam: Any = None) -> IteratesEnergy:
    r"""The Lyapunov energy of g-DIN at the iterates of INNA.

    $$E(\theta, \psi) = (1 + \alpha\beta)J(\theta)
    + \tfrac12\big\|(\alpha - \tfrac1\beta)\theta + \tfrac1\beta\psi\big\|^2$$

    never increases along the flow. Along the iterates a step changes it by
    $\gamma_k\dot E + O(\gamma_k^2)$ where the objective is smooth, so that it may rise near
    a critical point, at kinks, and by the noise of mini-batches.

    Args:
        path: The path of the iterates.
        lam: The factor of $J$, see `dynsys.analysis.energies.gdin`; left out, the one
            above.

    Raises:
        TypeError: `path` is no `INNAPath`, or `lam` is not a number.
        ValueError: The path is traced, or `lam` is out of range.

    Example:
        >>> import dynsys as ds
        >>> from dynsys.algorithms import inna_path
        >>> system = ds.GDIN(ds.objectives.Quadratic([[1.0]]), 1.0, 0.5)
        >>> energy_along(inna_path(system, [1.0], 0.01, 500)).largest_increase
        0.0

    Source:
        The talk (Lyapunov function of the proof sketch 2/2).
    """
    require_path("energy_along", path)
    dtype = widest_dtype(path.theta)
    lam = None if lam is None else jnp.asarray(as_number("lam", lam), dtype)
    value, rate = _values(path, lam)
    return IteratesEnergy(np.asarray(path.t), np.asarray(value), np.asarray(rate))


@eqx.filter_jit
def _values(
    path: INNAPath, lam: Any
) -> tuple[Float[Array, " kept"], Float[Array, " kept"]]:
    dampings = lambda system: (system.alpha, system.beta)
    narrow = [x.astype(widest_dtype(path.theta)) for x in dampings(path.system)]
    system = eqx.tree_at(dampings, path.system, narrow)
    energy = gdin(system, lam)

    def at(t: Float[Array, ""], state: GDINState) -> tuple[Array, Array]:
        now = moment(system, Minimum(None, 0.0), t, state)
        return energy.value(now), energy.rate(now)

    return jax.vmap(at)(path.t, GDINState(path.theta, path.psi))

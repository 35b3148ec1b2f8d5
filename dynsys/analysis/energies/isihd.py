r"""The energy of implicit Hessian damping."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.analysis.energies.energy import Energy, Moment
from dynsys.systems.isihd import ISIHD
from dynsys.trees import Time, combine, dot


def isihd(system: ISIHD) -> Energy:
    r"""The energy of implicit Hessian damping, at the point where its gradient is taken.

    $$E = \delta\,(f(y) - f^\star) + \tfrac12\|(\alpha-1)(x - x^\star) + t\dot x\|^2, \qquad
    y = x + h\dot x, \quad h = \gamma + \tfrac\beta t$$
    $$\dot E = \dot\delta\,(f(y) - f^\star)
    - (\alpha-1)t\,\langle\nabla f(y), y - x^\star\rangle - \delta h\|\nabla f(y)\|^2$$

    with $\delta = t(t - (\alpha-1)h)/\kappa$ and $\kappa = 1 + \dot h - \alpha h/t$.

    Source:
        Derived here; the paper of the system, Alecsa, László, Pinţa, arXiv 1908.02574, has
        an energy of its own.
    """

    def value(at: Moment) -> Float[Array, ""]:
        alpha = system.alpha.astype(at.t.dtype)
        u = combine((alpha - 1, at.offset), (at.t, at.v))
        return weight(system, at.t) * _gap(system, at) + 0.5 * dot(u, u)

    def rate(at: Moment) -> Float[Array, ""]:
        alpha, reach = system.alpha.astype(at.t.dtype), system.reach(at.t)
        delta, growth = jax.jvp(
            lambda t: weight(system, t), (at.t,), (jnp.ones_like(at.t),)
        )
        offset = combine((1.0, at.offset), (reach, at.v))
        pull = (alpha - 1) * at.t * dot(at.g, offset)
        return growth * _gap(system, at) - pull - delta * reach * dot(at.g, at.g)

    return Energy(
        "ISIHD",
        value,
        rate,
        decreases="where f is convex, kappa > 0, delta and h >= 0, delta' <= (alpha - 1) t",
        source="derived here",
        needs_minimiser=True,
    )


def weight(system: ISIHD, t: Time) -> Time:
    r"""The factor $\delta(t)$ of the objective in the energy."""
    lag = system.alpha.astype(t.dtype) - 1
    return t * (t - lag * system.reach(t)) / kappa(system, t)


def kappa(system: ISIHD, t: Time) -> Time:
    r"""The number $\kappa = 1 + \dot h - \alpha h/t$, the part of $\dot x$ in $\dot y$."""
    reach, growth = jax.jvp(system.reach, (t,), (jnp.ones_like(t),))
    return 1 + growth - system.alpha.astype(t.dtype) * reach / t


def _gap(system: ISIHD, at: Moment) -> Float[Array, ""]:
    """The objective less its minimum, where the gradient is taken."""
    ahead = combine((1.0, at.x), (system.reach(at.t), at.v))
    return at.f + (system.objective(ahead) - system.objective(at.x))

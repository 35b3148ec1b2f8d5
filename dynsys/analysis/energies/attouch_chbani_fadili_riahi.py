r"""The energy of vanishing damping with Hessian-driven damping, of DIN-AVD above all."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.analysis.energies.energy import Energy, Moment
from dynsys.systems.attouch_chbani_fadili_riahi import AttouchChbaniFadiliRiahi
from dynsys.systems.din_avd import DINAVD
from dynsys.trees import Time, combine, dot


def attouch_chbani_fadili_riahi(system: DINAVD | AttouchChbaniFadiliRiahi) -> Energy:
    r"""The energy behind the rate $O(1/(t^2w))$ of vanishing damping $\alpha/t$.

    $$E = \delta\,(f(x) - f^\star)
    + \tfrac12\|(\alpha-1)(x - x^\star) + t(\dot x + \beta\nabla f(x))\|^2, \qquad
    \delta = t^2w, \quad w = b - \dot\beta - \tfrac\beta t$$
    $$\dot E = \dot\delta\,(f(x) - f^\star)
    - (\alpha-1)tw\,\langle\nabla f(x), x - x^\star\rangle
    - \beta\delta\|\nabla f(x)\|^2$$

    Source:
        Attouch, Chbani, Fadili, Riahi, arXiv 1907.10536v2, theorem 1, equation (2); the
        exact rate is derived here from their (3).
    """

    def value(at: Moment) -> Float[Array, ""]:
        alpha = system.alpha.astype(at.t.dtype)
        beta = system.coefficients(at.t).beta
        u = combine((alpha - 1, at.offset), (at.t, at.v), (at.t * beta, at.g))
        return weight(system, at.t) * at.f + 0.5 * dot(u, u)

    def rate(at: Moment) -> Float[Array, ""]:
        alpha = system.alpha.astype(at.t.dtype)
        beta = system.coefficients(at.t).beta
        delta, growth = jax.jvp(
            lambda t: weight(system, t), (at.t,), (jnp.ones_like(at.t),)
        )
        pull = (alpha - 1) * pace(system, at.t) * dot(at.g, at.offset)
        return growth * at.f - pull - beta * delta * dot(at.g, at.g)

    return Energy(
        "Attouch-Chbani-Fadili-Riahi",
        value,
        rate,
        decreases="where f is convex, w >= 0 and t w' <= (alpha - 3) w",
        source="Attouch, Chbani, Fadili, Riahi, arXiv 1907.10536v2, theorem 1",
        needs_minimiser=True,
    )


def weight(system: DINAVD | AttouchChbaniFadiliRiahi, t: Time) -> Time:
    r"""The factor $\delta(t) = t^2w(t)$ of the objective in the energy."""
    return t * pace(system, t)


def pace(system: DINAVD | AttouchChbaniFadiliRiahi, t: Time) -> Time:
    r"""The product $tw = t(b - \dot\beta) - \beta$, which is finite at $t = 0$."""
    now, change = jax.jvp(system.coefficients, (t,), (jnp.ones_like(t),))
    return t * (now.b - change.beta) - now.beta

r"""The energy of DIN-AVD with vanishing Tikhonov regularization."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.analysis.energies.energy import Energy, Moment
from dynsys.schedules import evaluate
from dynsys.systems.tikhonov_din_avd import TikhonovDINAVD
from dynsys.trees import Time, combine, dot


def tikhonov_din_avd(system: TikhonovDINAVD, q: Any = None) -> Energy:
    r"""The energy of DIN-AVD with Tikhonov regularization, one for each number $q$.

    $$E = \delta\,(g(x) - g^\star) + \tfrac{t^2\epsilon}2\|x\|^2
    + \tfrac12\|q(x - x^\star) + t(\dot x + \beta\nabla g(x))\|^2
    + \tfrac{q(\alpha-1-q)}2\|x - x^\star\|^2$$
    $$\begin{aligned}\dot E ={}& \dot\delta\,(g(x) - g^\star)
    + q(\beta - t)\langle x - x^\star, \nabla g(x)\rangle
    - q\epsilon t\langle x - x^\star, x\rangle - (\alpha-1-q)t\|\dot x\|^2\\
    &- \beta t(t-\beta)\|\nabla g(x)\|^2 - t^2\beta\epsilon\langle\nabla g(x), x\rangle
    + \big(t\epsilon + \tfrac{t^2\dot\epsilon}2\big)\|x\|^2\end{aligned}$$

    with $\delta = t^2 - \beta(q + 2 - \alpha)t$. Without regularization and for
    $q = \alpha - 1$ it is the energy of DIN-AVD.

    Args:
        system: The system.
        q: The number $q$; left out, $\alpha - 1$.

    Source:
        In the manner of Boţ, Csetnek, László, arXiv 1911.12845v2; the form and the exact
        rate are derived here.
    """

    def value(at: Moment) -> Float[Array, ""]:
        alpha, beta, number = _numbers(system, q, at.t)
        u = combine((number, at.offset), (at.t, at.v), (at.t * beta, at.g))
        pull = 0.5 * at.t**2 * evaluate(system.epsilon, at.t) * dot(at.x, at.x)
        rest = 0.5 * number * (alpha - 1 - number) * dot(at.offset, at.offset)
        return weight(system, at.t, q) * at.f + pull + 0.5 * dot(u, u) + rest

    def rate(at: Moment) -> Float[Array, ""]:
        t, (alpha, beta, number) = at.t, _numbers(system, q, at.t)
        grow = lambda function: jax.jvp(function, (t,), (jnp.ones_like(t),))
        epsilon, fall = grow(lambda time: evaluate(system.epsilon, time))
        _, growth = grow(lambda time: weight(system, time, q))
        convex = growth * at.f + number * (beta - t) * dot(at.offset, at.g)
        viscous = (alpha - 1 - number) * t * dot(at.v, at.v)
        geometric = beta * t * (t - beta) * dot(at.g, at.g)
        pull = number * epsilon * t * dot(at.offset, at.x)
        mixed = t**2 * beta * epsilon * dot(at.g, at.x)
        own = (t * epsilon + 0.5 * t**2 * fall) * dot(at.x, at.x)
        return convex - viscous - geometric - pull - mixed + own

    return Energy(
        "Tikhonov",
        value,
        rate,
        decreases="up to q epsilon t |x*|^2 / 2, under conditions on epsilon",
        source="derived here, after Boţ, Csetnek, László, arXiv 1911.12845v2",
        needs_minimiser=True,
    )


def weight(system: TikhonovDINAVD, t: Time, q: Any = None) -> Time:
    r"""The factor $\delta(t)$ of the objective in the energy."""
    alpha, beta, number = _numbers(system, q, t)
    return t * (t - beta * (number + 2 - alpha))


def _numbers(system: TikhonovDINAVD, q: Any, t: Time) -> tuple[Time, Time, Time]:
    r"""The numbers $\alpha$, $\beta$ and $q$ in the dtype of time."""
    alpha, beta = system.alpha.astype(t.dtype), system.beta.astype(t.dtype)
    return alpha, beta, alpha - 1 if q is None else jnp.asarray(q, t.dtype)

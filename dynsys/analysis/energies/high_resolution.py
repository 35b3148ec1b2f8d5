r"""The energies of the high-resolution equations of accelerated methods."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.analysis.energies.energy import Energy, Moment
from dynsys.systems.high_resolution_heavy_ball import HighResolutionHeavyBall
from dynsys.systems.high_resolution_nag_c import HighResolutionNAGC
from dynsys.systems.high_resolution_nag_sc import HighResolutionNAGSC
from dynsys.trees import Position, combine, dot

SOURCE = "Shi, Du, Jordan, Su, arXiv 1810.08907v3"


def nag_sc(system: HighResolutionNAGSC) -> Energy:
    r"""The energy of Nesterov's method for strongly convex functions.

    $$E = (1 + \sqrt{\mu s})(f(x) - f^\star) + \tfrac14\|\dot x\|^2
    + \tfrac14\|\dot x + 2\sqrt\mu(x - x^\star) + \sqrt s\nabla f(x)\|^2$$
    $$\dot E = -\sqrt\mu\big(\|\dot x\|^2
    + (1 + \sqrt{\mu s})\langle\nabla f(x), x - x^\star\rangle
    + \tfrac s2\|\nabla f(x)\|^2\big)
    - \tfrac{\sqrt s}2\big(\|\nabla f(x)\|^2
    + \langle\nabla^2f(x)\dot x, \dot x\rangle\big)$$

    Source:
        Shi, Du, Jordan, Su, arXiv 1810.08907v3, equations (2.4) and (3.4).
    """

    def value(at: Moment) -> Float[Array, ""]:
        _, step, factor = _roots(system, at)
        u = _shifted(system, at, step)
        return factor * at.f + 0.25 * (dot(at.v, at.v) + dot(u, u))

    def rate(at: Moment) -> Float[Array, ""]:
        root, step, factor = _roots(system, at)
        steep = dot(at.g, at.g)
        viscous = dot(at.v, at.v) + factor * dot(at.g, at.offset) + 0.5 * step**2 * steep
        return -root * viscous - 0.5 * step * (steep + dot(at.g_rate, at.v))

    return Energy(
        "NAG-SC",
        value,
        rate,
        decreases="where f is mu-strongly convex",
        source=f"{SOURCE}, equations (2.4) and (3.4)",
        needs_minimiser=True,
    )


def heavy_ball(system: HighResolutionHeavyBall) -> Energy:
    r"""The energy of the heavy-ball method.

    $$E = (1 + \sqrt{\mu s})(f(x) - f^\star) + \tfrac14\|\dot x\|^2
    + \tfrac14\|\dot x + 2\sqrt\mu(x - x^\star)\|^2$$
    $$\dot E = -\sqrt\mu\big(\|\dot x\|^2
    + (1 + \sqrt{\mu s})\langle\nabla f(x), x - x^\star\rangle\big)$$

    Source:
        Shi, Du, Jordan, Su, arXiv 1810.08907v3, equation (3.3) and appendix B.1.
    """

    def value(at: Moment) -> Float[Array, ""]:
        _, _, factor = _roots(system, at)
        u = _shifted(system, at, jnp.zeros_like(factor))
        return factor * at.f + 0.25 * (dot(at.v, at.v) + dot(u, u))

    def rate(at: Moment) -> Float[Array, ""]:
        root, _, factor = _roots(system, at)
        return -root * (dot(at.v, at.v) + factor * dot(at.g, at.offset))

    return Energy(
        "heavy ball",
        value,
        rate,
        decreases="where f is convex",
        source=f"{SOURCE}, equation (3.3) and appendix B.1",
        needs_minimiser=True,
    )


def nag_c(system: HighResolutionNAGC) -> Energy:
    r"""The energy of Nesterov's method for convex functions.

    $$E = t\big(t + \tfrac{\sqrt s}2\big)(f(x) - f^\star)
    + \tfrac12\|t\dot x + 2(x - x^\star) + t\sqrt s\nabla f(x)\|^2$$
    $$\dot E = \big(2t + \tfrac{\sqrt s}2\big)(f(x) - f^\star)
    - (2t + \sqrt s)\langle\nabla f(x), x - x^\star\rangle
    - \sqrt s\,t\big(t + \tfrac{\sqrt s}2\big)\|\nabla f(x)\|^2$$

    Source:
        Shi, Du, Jordan, Su, arXiv 1810.08907v3, equation (4.1) and its derivative there.
    """

    def value(at: Moment) -> Float[Array, ""]:
        step = jnp.sqrt(system.s.astype(at.t.dtype))
        u = combine((at.t, at.v), (2.0, at.offset), (at.t * step, at.g))
        return at.t * (at.t + step / 2) * at.f + 0.5 * dot(u, u)

    def rate(at: Moment) -> Float[Array, ""]:
        step = jnp.sqrt(system.s.astype(at.t.dtype))
        gain = (2 * at.t + step / 2) * at.f
        pull = (2 * at.t + step) * dot(at.g, at.offset)
        return gain - pull - step * at.t * (at.t + step / 2) * dot(at.g, at.g)

    return Energy(
        "NAG-C",
        value,
        rate,
        decreases="where f is convex",
        source=f"{SOURCE}, equation (4.1)",
        needs_minimiser=True,
    )


StronglyConvex = HighResolutionNAGSC | HighResolutionHeavyBall


def _roots(system: StronglyConvex, at: Moment) -> tuple[Array, Array, Array]:
    r"""The numbers $\sqrt\mu$, $\sqrt s$ and $1 + \sqrt{\mu s}$."""
    mu, s = system.mu.astype(at.t.dtype), system.s.astype(at.t.dtype)
    return jnp.sqrt(mu), jnp.sqrt(s), 1 + jnp.sqrt(mu * s)


def _shifted(system: StronglyConvex, at: Moment, step: Array) -> Position:
    return combine((1.0, at.v), (2 * jnp.sqrt(system.mu), at.offset), (step, at.g))

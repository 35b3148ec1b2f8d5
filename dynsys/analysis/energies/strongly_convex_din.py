r"""The energy of DIN with the damping that suits strong convexity."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.analysis.energies.energy import Energy, Moment
from dynsys.systems.strongly_convex_din import StronglyConvexDIN
from dynsys.trees import combine, dot


def strongly_convex_din(system: StronglyConvexDIN) -> Energy:
    r"""The energy behind the exponential rate of DIN with damping $2\sqrt\mu$.

    $$E = f(x) - f^\star
    + \tfrac12\|\sqrt\mu(x - x^\star) + \dot x + \beta\nabla f(x)\|^2$$
    $$\dot E = -\sqrt\mu\|\dot x\|^2 - \mu\langle x - x^\star, \dot x\rangle
    - \sqrt\mu\langle x - x^\star, \nabla f(x)\rangle
    - \beta\sqrt\mu\langle\nabla f(x), \dot x\rangle - \beta\|\nabla f(x)\|^2$$

    Source:
        Attouch, Chbani, Fadili, Riahi, arXiv 1907.10536v2, theorem 7; the exact rate is
        derived here.
    """

    def value(at: Moment) -> Float[Array, ""]:
        root = jnp.sqrt(system.mu)
        u = combine((root, at.offset), (1.0, at.v), (system.beta, at.g))
        return at.f + 0.5 * dot(u, u)

    def rate(at: Moment) -> Float[Array, ""]:
        mu, beta = system.mu.astype(at.t.dtype), system.beta.astype(at.t.dtype)
        viscous = dot(at.v, at.v) + dot(at.offset, at.g) + beta * dot(at.g, at.v)
        rest = mu * dot(at.offset, at.v) + beta * dot(at.g, at.g)
        return -jnp.sqrt(mu) * viscous - rest

    return Energy(
        "strongly convex DIN",
        value,
        rate,
        decreases="where f is mu-strongly convex, if beta <= 1 / (2 sqrt(mu))",
        source="Attouch, Chbani, Fadili, Riahi, arXiv 1907.10536v2, theorem 7",
        needs_minimiser=True,
    )

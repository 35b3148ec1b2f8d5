r"""The energy of the Hessian-driven Nesterov accelerated gradient flow."""

from jaxtyping import Array, Float

from dynsys.analysis.energies.energy import Energy, Moment
from dynsys.schedules import evaluate
from dynsys.systems.h_nag import HNAG
from dynsys.trees import combine, dot


def h_nag(system: HNAG) -> Energy:
    r"""The energy of H-NAG, which decays as $e^{-t}$.

    $$E = f(x) - f^\star + \tfrac\gamma2\|w - x^\star\|^2, \qquad
    w = x + \dot x + \beta\nabla f(x)$$
    $$\dot E = -\langle\nabla f(x), x - x^\star\rangle + \tfrac\mu2\|x - x^\star\|^2
    - \beta\|\nabla f(x)\|^2 - \tfrac\gamma2\|w - x^\star\|^2 - \tfrac\mu2\|x - w\|^2$$

    Source:
        Derived here, for the flow of Chen and Luo, arXiv 1912.09276.
    """

    def value(at: Moment) -> Float[Array, ""]:
        w = combine((1.0, at.offset), (1.0, at.v), (evaluate(system.beta, at.t), at.g))
        return at.f + 0.5 * system.gamma(at.t) * dot(w, w)

    def rate(at: Moment) -> Float[Array, ""]:
        beta, mu = evaluate(system.beta, at.t), system.mu.astype(at.t.dtype)
        lead = combine((1.0, at.v), (beta, at.g))
        w = combine((1.0, at.offset), (1.0, lead))
        gain = 0.5 * mu * (dot(at.offset, at.offset) - dot(lead, lead))
        loss = dot(at.g, at.offset) + beta * dot(at.g, at.g)
        return gain - loss - 0.5 * system.gamma(at.t) * dot(w, w)

    return Energy(
        "H-NAG",
        value,
        rate,
        decreases="where f is mu-convex",
        source="derived here, for the flow of Chen and Luo, arXiv 1912.09276",
        needs_minimiser=True,
    )

r"""The energy of VM-DIN-AVD where its mass decays exponentially and its damping with it."""

from jaxtyping import Array, Float

from dynsys.analysis.energies.energy import Energy, Moment
from dynsys.systems.vm_din_avd import VMDINAVD
from dynsys.trees import Position, combine, dot


def exponential_mass(system: VMDINAVD) -> Energy:
    r"""The energy for $\varepsilon = \varepsilon_0e^{-ct}$, $\alpha = c\varepsilon$.

    $$E = f(x) - f^\star + \frac{\varepsilon\|u\|^2}{2(1 - \beta c)}, \qquad
    u = c(x - x^\star) + \dot x + \tfrac\beta\varepsilon\nabla f(x)$$
    $$\dot E = -cE + c\big(f(x) - f^\star - \langle\nabla f(x), x - x^\star\rangle\big)
    - \tfrac\beta\varepsilon\|\nabla f(x)\|^2$$

    With these coefficients the system is H-NAG with $\mu = 0$ in another time. The rate
    is that of the energy for them only, so no system has it by its class.

    Source:
        Derived here.
    """

    def shifted(at: Moment) -> tuple[Position, Array, Array, Array]:
        now = system.coefficients(at.t)
        c = now.alpha / now.epsilon
        u = combine((c, at.offset), (1.0, at.v), (now.beta / now.epsilon, at.g))
        return u, c, now.epsilon, now.beta

    def value(at: Moment) -> Float[Array, ""]:
        u, c, epsilon, beta = shifted(at)
        return at.f + 0.5 * epsilon * dot(u, u) / (1 - beta * c)

    def rate(at: Moment) -> Float[Array, ""]:
        _, c, epsilon, beta = shifted(at)
        convex = c * (at.f - dot(at.g, at.offset))
        return -c * value(at) + convex - beta / epsilon * dot(at.g, at.g)

    return Energy(
        "exponential mass",
        value,
        rate,
        decreases="where f is convex, if beta c < 1",
        source="derived here",
        needs_minimiser=True,
    )

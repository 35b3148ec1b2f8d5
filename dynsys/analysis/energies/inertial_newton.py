r"""Energies of every system of order 2, from its four coefficients."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.analysis.energies.energy import Energy, Moment
from dynsys.systems.inertial_newton import AbstractInertialNewton, Coefficients
from dynsys.trees import Time, combine, dot


def mechanical(system: AbstractInertialNewton) -> Energy:
    r"""Kinetic and potential energy.

    $$E = \tfrac\varepsilon2\|\dot x\|^2 + b\,(f(x) - f^\star), \qquad
    \dot E = \big(\tfrac{\varepsilon'}2 - \alpha\big)\|\dot x\|^2
    - \beta\langle\nabla^2f(x)\dot x, \dot x\rangle + b'(f(x) - f^\star)$$

    Where a velocity jumps at a kink, so does this energy: use `momentum` there.

    Source:
        The equation times the velocity. For $\varepsilon = b = 1$, $\beta = 0$ that of
        Polyak's heavy ball.
    """

    def value(at: Moment) -> Float[Array, ""]:
        now, _ = _coefficients(system, at.t)
        return 0.5 * now.epsilon * dot(at.v, at.v) + now.b * at.f

    def rate(at: Moment) -> Float[Array, ""]:
        now, change = _coefficients(system, at.t)
        speed = dot(at.v, at.v)
        # At rest no damping counts, also where alpha / t is infinite.
        viscous = jnp.where(speed > 0, (0.5 * change.epsilon - now.alpha) * speed, 0)
        return viscous - now.beta * dot(at.g_rate, at.v) + change.b * at.f

    return Energy(
        "mechanical",
        value,
        rate,
        decreases=(
            "where f is convex or beta = 0, epsilon' <= 2 alpha, b' <= 0 and f* is known"
        ),
        source="the equation times the velocity",
    )


def momentum(system: AbstractInertialNewton) -> Energy:
    r"""Half of the squared momentum, and as much of the objective as makes it dissipate.

    $$E = \lambda\,(f(x) - f^\star) + \tfrac12\|p\|^2, \quad
    p = \varepsilon\dot x + \beta\nabla f(x), \quad
    \lambda = \varepsilon(b - \beta') + \beta(\alpha - \varepsilon')$$
    $$\dot E = \lambda'(f(x) - f^\star) - \varepsilon(\alpha - \varepsilon')\|\dot x\|^2
    - \beta(b - \beta')\|\nabla f(x)\|^2$$

    It is continuous across kinks, where $p$ is. For DIN and g-DIN it is the energy of the
    talk, with $\lambda = 1 + \alpha\beta$.

    Source:
        For constant coefficients the talk's $E$; in general derived here: differentiate,
        and choose $\lambda$ so that the products of gradient and velocity cancel.
    """

    def factor(t: Time) -> Time:
        now, change = _coefficients(system, t)
        return now.epsilon * (now.b - change.beta) + now.beta * (now.alpha - change.epsilon)

    def value(at: Moment) -> Float[Array, ""]:
        now, _ = _coefficients(system, at.t)
        p = combine((now.epsilon, at.v), (now.beta, at.g))
        return factor(at.t) * at.f + 0.5 * dot(p, p)

    def rate(at: Moment) -> Float[Array, ""]:
        now, change = _coefficients(system, at.t)
        _, growth = jax.jvp(factor, (at.t,), (jnp.ones_like(at.t),))
        viscous = now.epsilon * (now.alpha - change.epsilon) * dot(at.v, at.v)
        geometric = now.beta * (now.b - change.beta) * dot(at.g, at.g)
        return growth * at.f - viscous - geometric

    return Energy(
        "momentum",
        value,
        rate,
        decreases=(
            "where alpha >= epsilon', b >= beta', and lambda does not grow or f = f*"
        ),
        source="the talk's energy of g-DIN, for any coefficients",
    )


def _coefficients(system: Any, t: Time) -> tuple[Coefficients, Coefficients]:
    """The coefficients at a time, and their derivatives."""
    return jax.jvp(system.coefficients, (t,), (jnp.ones_like(t),))

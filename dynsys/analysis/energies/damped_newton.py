r"""Energies of continuous Newton and of the Levenberg-Marquardt flow."""

from jaxtyping import Array, Float

from dynsys.analysis.energies.energy import Energy, Moment
from dynsys.systems.continuous_newton import ContinuousNewton
from dynsys.systems.damped_newton import AbstractDampedNewton
from dynsys.trees import combine, dot


def gradient_norm(system: ContinuousNewton) -> Energy:
    r"""Half of the squared norm of the gradient along continuous Newton.

    $$E = \tfrac12\|\nabla f(x)\|^2, \qquad \dot E = -\tfrac1\beta\|\nabla f(x)\|^2
    - \tfrac c\beta\langle\nabla f(x), \dot x\rangle$$

    where $c$ is the regularization, 0 by default.

    Source:
        The equation times the gradient; theory of continuous Newton in the talk.
    """

    def rate(at: Moment) -> Float[Array, ""]:
        shift = system.regularization.astype(at.t.dtype)
        pull = combine((1.0, at.g), (shift, at.v))
        return -dot(at.g, pull) / system.beta

    return Energy(
        "gradient norm",
        value=lambda at: 0.5 * dot(at.g, at.g),
        rate=rate,
        decreases="always, without regularization",
        source="the equation times the gradient",
    )


def objective(system: AbstractDampedNewton) -> Energy:
    r"""The objective along continuous Newton or the Levenberg-Marquardt flow.

    $$E = f(x) - f^\star, \qquad
    \dot E = -c(t)\|\dot x\|^2 - \beta\langle\nabla^2f(x)\dot x, \dot x\rangle$$

    with $c = \alpha$ for Levenberg-Marquardt and the regularization for Newton.

    Source:
        The equation times the velocity.
    """
    return Energy(
        "objective",
        value=lambda at: at.f,
        rate=lambda at: (
            -system.shift(at.t) * dot(at.v, at.v) - system.beta * dot(at.g_rate, at.v)
        ),
        decreases="where the matrix of the system is positive definite",
        source="the equation times the velocity",
    )

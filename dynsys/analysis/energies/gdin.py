r"""The energies of g-DIN: a family, of which the talk's is the middle one."""

from typing import Any

import numpy as np
from jaxtyping import Array, Float

from dynsys.analysis.energies.energy import Energy, Moment
from dynsys.checks import known
from dynsys.systems.gdin import GDIN
from dynsys.trees import combine, dot


def gdin(system: GDIN, lam: Any = None) -> Energy:
    r"""The energy $E_\lambda$ of g-DIN.

    $$E_\lambda = \lambda J(\theta)
    + \tfrac12\big\|(\alpha - \tfrac1\beta)\theta + \tfrac1\beta\psi\big\|^2, \qquad
    \dot E_\lambda = -\alpha\|\dot\theta\|^2 + (\lambda - 1 - \alpha\beta)
    \langle v, \dot\theta\rangle - \beta\|v\|^2$$

    with the element $v$ of $DJ(\theta)$ that moves the system. It decreases along every
    trajectory if and only if $\lambda$ lies in the interval of `gdin_interval`; the talk's
    energy has $\lambda = 1 + \alpha\beta$.

    Args:
        system: The system.
        lam: The number $\lambda$; left out, $1 + \alpha\beta$.

    Source:
        The talk, energy of g-DIN; the rate is derived there for $\lambda = 1 + \alpha\beta$
        and here for any.
    """
    alpha, beta = system.alpha, system.beta
    lam = 1 + alpha * beta if lam is None else lam

    def value(at: Moment) -> Float[Array, ""]:
        p = combine((1.0, at.v), (beta, at.g))
        return lam * at.f + 0.5 * dot(p, p)

    def rate(at: Moment) -> Float[Array, ""]:
        viscous, geometric = alpha * dot(at.v, at.v), beta * dot(at.g, at.g)
        return (lam - 1 - alpha * beta) * dot(at.g, at.v) - viscous - geometric

    return Energy(
        "g-DIN",
        value,
        rate,
        decreases="if lambda lies in [(1 - sqrt(alpha beta))^2, (1 + sqrt(alpha beta))^2]",
        source="the talk, energy of g-DIN; Castera et al., JMLR 22(134), 2021",
    )


def gdin_interval(system: GDIN) -> tuple[float, float]:
    r"""The interval of $\lambda$ for which $E_\lambda$ never increases.

    $$\big[(1 - \sqrt{\alpha\beta})^2,\ (1 + \sqrt{\alpha\beta})^2\big]$$

    Args:
        system: A g-DIN with known dampings.

    Raises:
        ValueError: The dampings are traced.

    Example:
        >>> low, high = gdin_interval(GDIN(lambda x: x**2, alpha=1.0, beta=0.25))
        >>> low, high
        (0.25, 2.25)

    Source:
        Proved by the sign of a quadratic form: the rate is one in velocity and gradient.
    """
    values = known((system.alpha, system.beta))
    if values is None:
        raise ValueError(
            "`gdin_interval` needs the numbers alpha and beta, but they are being traced."
        )
    root = float(np.sqrt(values[0] * values[1]))
    return (1 - root) ** 2, (1 + root) ** 2

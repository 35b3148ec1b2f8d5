r"""INNA near a critical point: the matrix of a step, and how long a step may be."""

import math
from typing import Any, NamedTuple

import numpy as np

from dynsys.analysis.critical_points.linearisation import quadratic_roots
from dynsys.checks import as_number


def spiral_interval(alpha: Any, beta: Any) -> tuple[float, float] | None:
    r"""The eigenvalues of the Hessian for which DIN and g-DIN spiral.

    $$(\alpha + \beta\lambda)^2 < 4\lambda \iff \frac{\alpha^2}{(1 + s)^2} < \lambda
    < \frac{(1 + s)^2}{\beta^2}, \qquad s = \sqrt{1 - \alpha\beta}$$

    Args:
        alpha: Viscous damping, at least 0.
        beta: Geometric damping, at least 0; with 0 there is no upper end.

    Returns:
        Its two ends; `None` where $\alpha\beta \ge 1$: then nothing spirals.

    Raises:
        TypeError: A damping is not a number.
        ValueError: A damping is negative.

    Example:
        >>> spiral_interval(1.0, 0.75)
        (0.4444444444444444, 4.0)

    Source:
        C. Castera, J. Optim. Theory Appl. 199 (2023); the same two ends are in its code,
        as $(2 - \alpha\beta \pm 2s)/\beta^2$, which cancels where $\beta$ is small.
    """
    alpha, beta = _dampings(alpha, beta, "at least 0")
    if alpha * beta >= 1:
        return None
    root = 1 + math.sqrt(1 - alpha * beta)
    return (alpha / root) ** 2, (root / beta) ** 2 if beta > 0 else math.inf


def inna_matrix(alpha: Any, beta: Any, eigenvalue: Any, gamma: Any) -> np.ndarray:
    r"""The linear map of one step of INNA along an eigenvector of the Hessian.

    $$M = \begin{pmatrix}
    1 + \gamma(\frac1\beta - \alpha - \beta\lambda) & -\gamma/\beta\\
    \gamma(\frac1\beta - \alpha) & 1 - \gamma/\beta\end{pmatrix}$$

    Args:
        alpha: Viscous damping, at least 0.
        beta: Geometric damping, positive.
        eigenvalue: The eigenvalue $\lambda$ of the Hessian, of either sign.
        gamma: Step size, positive.

    Returns:
        The matrix, from $(\theta_k, \psi_k)$ to $(\theta_{k+1}, \psi_{k+1})$.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range.

    Example:
        >>> inna_matrix(1.0, 0.5, 2.0, 0.25).tolist()
        [[1.0, -0.5], [0.25, 0.5]]

    Source:
        The iteration is that of the talk (INNA); its matrix is derived here.
    """
    alpha, beta = _dampings(alpha, beta)
    lam = float(as_number("eigenvalue", eigenvalue))
    step = float(as_number("gamma", gamma, "positive"))
    slope = 1 / beta - alpha
    rows = [[slope - beta * lam, -1 / beta], [slope, -1 / beta]]
    return np.eye(2) + step * np.array(rows)


def inna_spectrum(alpha: Any, beta: Any, eigenvalue: Any, gamma: Any) -> np.ndarray:
    r"""The two eigenvalues $1 + \gamma r$ of one step of INNA, the larger one first.

    The $r$ are the roots of $r^2 + (\alpha + \beta\lambda)r + \lambda$, those of the flow.
    If $\lambda < 0$, one is above 1 for every step size: INNA leaves strict saddles.

    Args:
        alpha: Viscous damping, at least 0.
        beta: Geometric damping, positive.
        eigenvalue: The eigenvalue $\lambda$ of the Hessian, of either sign.
        gamma: Step size, positive.

    Returns:
        Complex eigenvalues, by decreasing absolute value.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range.

    Example:
        >>> inna_spectrum(1.0, 1.0, -8.0, 0.25).real.tolist()
        [3.0, 0.75]

    Source:
        C. Castera, J. Optim. Theory Appl. 199 (2023), for the unstable direction; derived
        here: $\det(M - I) = \gamma^2\lambda$ and $\mathrm{tr}(M - I) =
        -\gamma(\alpha + \beta\lambda)$.
    """
    alpha, beta = _dampings(alpha, beta)
    lam = np.asarray(as_number("eigenvalue", eigenvalue), float)
    step = float(as_number("gamma", gamma, "positive"))
    found = 1 + step * quadratic_roots(1.0, alpha + beta * lam, lam)
    return found[np.argsort(-np.abs(found), kind="stable")]


class StepLimits(NamedTuple):
    r"""Step sizes of INNA below which its map is locally invertible.

    Args:
        gamma_minus: Smaller root of $L\gamma^2 - (\alpha + \beta L)\gamma + 1$; infinite
            if there is none.
        gamma_plus: Its larger root; infinite if there is none.
        natural: The smaller of `beta` and `gamma_minus`: below it the map is invertible
            wherever the Hessian lies between $-L$ and $L$.
        repository: The cap of the published code, the smallest of `beta`, `gamma_plus` and
            $1/L$. It takes the larger root, so the map may be singular below it.
    """

    gamma_minus: float
    gamma_plus: float
    natural: float
    repository: float


def inna_step_limits(alpha: Any, beta: Any, L: Any) -> StepLimits:
    r"""The step sizes for which the map of INNA is invertible near every point.

    $$\det M = 1 - \gamma(\alpha + \beta\lambda) + \gamma^2\lambda > 0
    \quad\text{for all } |\lambda| \le L
    \qquad\text{if } 0 < \gamma < \min(\beta, \gamma_-)$$

    Then it is a local diffeomorphism, as the stable manifold theorem needs, by which almost
    every start avoids strict saddles.

    Args:
        alpha: Viscous damping, at least 0.
        beta: Geometric damping, positive.
        L: Lipschitz constant of the gradient, positive.

    Returns:
        Both roots, the natural limit, and that of the published code.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range.

    Example:
        >>> found = inna_step_limits(1.0, 1.1, 50.0)
        >>> round(found.natural, 6), found.repository
        (0.018151, 0.02)

    Source:
        C. Castera, J. Optim. Theory Appl. 199 (2023); the limit is derived here, and
        differs from the code of the experiments (camcastera/INNAavoidsSaddles,
        `Count_ability_escaping`), which caps the step with the larger root.
    """
    alpha, beta = _dampings(alpha, beta)
    L = float(as_number("L", L, "positive"))
    damping = alpha + beta * L
    discriminant = damping**2 - 4 * L
    minus = plus = math.inf
    if discriminant >= 0:
        twice = damping + math.sqrt(discriminant)
        minus, plus = 2 / twice, twice / (2 * L)
    return StepLimits(minus, plus, min(beta, minus), min(beta, plus, 1 / L))


def inna_stability_limit(alpha: Any, beta: Any, eigenvalue: Any) -> float:
    r"""The step size of INNA from which on a minimum is no longer stable.

    $$\gamma < \beta + \frac\alpha\lambda \quad\text{and}\quad
    \gamma^2\lambda - 2\gamma(\alpha + \beta\lambda) + 4 > 0$$

    Both hold exactly from 0 to the limit.

    Args:
        alpha: Viscous damping, at least 0.
        beta: Geometric damping, positive.
        eigenvalue: An eigenvalue $\lambda$ of the Hessian, positive.

    Returns:
        The limit; of several eigenvalues the smallest limit counts.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range; where $\lambda < 0$ no step is stable.

    Example:
        >>> round(inna_stability_limit(0.3, 0.01, 400.0), 5)
        0.01075

    Source:
        Derived here: the Jury conditions of the matrix of `inna_matrix`.
    """
    alpha, beta = _dampings(alpha, beta)
    why = "At a saddle or a maximum no step size is stable."
    lam = float(as_number("eigenvalue", eigenvalue, "positive", why))
    damping = alpha + beta * lam
    discriminant = damping**2 - 4 * lam
    if discriminant < 0:
        return damping / lam
    # The smaller root; the larger one lies above the other limit.
    return 4 / (damping + math.sqrt(discriminant))


def inna_stable_curvatures(alpha: Any, beta: Any, gamma: Any) -> tuple[float, float] | None:
    r"""The eigenvalues of the Hessian at a minimum for which a step of INNA is stable.

    The other way round of `inna_stability_limit`: both of its conditions are linear in
    $\lambda$.

    $$\lambda(\gamma - \beta) < \alpha \quad\text{and}\quad
    \lambda\gamma(2\beta - \gamma) < 4 - 2\gamma\alpha$$

    Args:
        alpha: Viscous damping, at least 0.
        beta: Geometric damping, positive.
        gamma: Step size, positive.

    Returns:
        The two ends of the open interval of positive $\lambda$; `None` if it is empty.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range.

    Example:
        >>> inna_stable_curvatures(0.5, 0.1, 0.2)
        (0.0, 5.0)

    Source:
        Derived here, as for `inna_stability_limit`.
    """
    alpha, beta = _dampings(alpha, beta)
    step = float(as_number("gamma", gamma, "positive"))
    low, high = 0.0, math.inf if step <= beta else alpha / (step - beta)
    slope, room = step * (2 * beta - step), 4 - 2 * step * alpha
    if slope > 0:
        high = min(high, room / slope)
    elif slope < 0:
        low = max(low, room / slope)
    elif room <= 0:
        return None
    return (low, high) if low < high else None


def _dampings(alpha: Any, beta: Any, kind: Any = "positive") -> tuple[float, float]:
    first, second = as_number("alpha", alpha, "at least 0"), as_number("beta", beta, kind)
    return float(first), float(second)

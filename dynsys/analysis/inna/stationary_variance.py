r"""How far gradient noise keeps INNA from a minimum."""

from typing import Any

from dynsys.analysis.inna.linear_stability import inna_stability_limit
from dynsys.checks import as_number


def inna_stationary_variance(
    alpha: Any, beta: Any, eigenvalue: Any, gamma: Any, sigma: Any
) -> float:
    r"""The variance at which INNA stays around a minimum when its gradients are noisy.

    Along an eigenvector of the Hessian, with independent noise of standard deviation
    $\sigma$ in each gradient, constant $\gamma$ and $b = \alpha + \beta\lambda$:

    $$\mathrm{Var}\,\theta = \frac{\gamma\sigma^2}{\lambda}\,
    \frac{2 - \gamma b + \lambda\big(\beta^2 + (\beta - \gamma)^2\big)}
    {(b - \gamma\lambda)(4 - 2\gamma b + \gamma^2\lambda)}
    \approx \frac{\gamma\sigma^2(1 + \beta^2\lambda)}{2\lambda(\alpha + \beta\lambda)}
    \quad\text{for small } \gamma.$$

    Both factors of the denominator are positive exactly where the step is stable.

    Args:
        alpha: Viscous damping, at least 0.
        beta: Geometric damping, positive.
        eigenvalue: An eigenvalue $\lambda$ of the Hessian, positive.
        gamma: Step size, positive, below `inna_stability_limit`.
        sigma: Standard deviation of the noise along the eigenvector, at least 0.

    Returns:
        The variance of $\theta_k$ as $k \to \infty$; the mean is that of the minimum.

    Raises:
        TypeError: An argument is not a number.
        ValueError: An argument is out of range, or the step is not stable.

    Example:
        >>> inna_stationary_variance(1.0, 0.5, 2.0, 0.5, sigma=1.0)
        0.15

    Source:
        Derived here, from $\Sigma = M\Sigma M^\top + \gamma^2\beta^2\sigma^2e_1e_1^\top$
        with the matrix $M$ of `inna_matrix`.
    """
    limit = inna_stability_limit(alpha, beta, eigenvalue)
    alpha, beta, lam = float(alpha), float(beta), float(eigenvalue)
    step = float(as_number("gamma", gamma, "positive"))
    noise = float(as_number("sigma", sigma, "at least 0"))
    if step >= limit:
        raise ValueError(
            f"`gamma` must be below {limit:.6g}, the stability limit for these values, "
            f"but has value {step}. Otherwise the variance grows without bound."
        )
    damping = alpha + beta * lam
    above = 2 - step * damping + lam * (beta**2 + (beta - step) ** 2)
    below = (damping - step * lam) * (4 - 2 * step * damping + step**2 * lam)
    return step * noise**2 / lam * above / below

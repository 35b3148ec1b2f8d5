r"""High-resolution equations of accelerated methods, as cases of `InertialNewton`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from dynsys.schedules import PowerLaw
from dynsys.systems.inertial_newton import InertialNewton
from dynsys.systems.parameters import check_number


def high_resolution_nag_sc(
    objective: Callable[[Any], Any], mu: Any, s: Any
) -> InertialNewton:
    r"""High-resolution equation of Nesterov's method for strongly convex functions.

    $$\ddot x + 2\sqrt\mu\,\dot x + \sqrt s\,\nabla^2 f(x)\dot x
    + (1 + \sqrt{\mu s})\nabla f(x) = 0$$

    The paper starts it with $\dot x(0) = -2\sqrt s\,\nabla f(x_0)/(1 + \sqrt{\mu s})$.

    Args:
        objective: Function $f$ to minimise, $\mu$-strongly convex.
        mu: The constant $\mu$, positive. Unit: 1 / time^2.
        s: Step size of the method, positive. Unit: time^2.

    Raises:
        ValueError: `mu` or `s` is not positive.

    Example:
        >>> system = high_resolution_nag_sc(lambda x: 0.5 * x**2, mu=1.0, s=0.01)

    Source:
        Shi, Du, Jordan, Su, arXiv 1810.08907, equation (1.11).
    """
    mu, s = check_number("mu", mu, "positive"), check_number("s", s, "positive")
    return InertialNewton(objective, 1.0, 2 * mu**0.5, s**0.5, 1 + (mu * s) ** 0.5)


def high_resolution_heavy_ball(
    objective: Callable[[Any], Any], mu: Any, s: Any
) -> InertialNewton:
    r"""High-resolution equation of the heavy-ball method.

    $$\ddot x + 2\sqrt\mu\,\dot x + (1 + \sqrt{\mu s})\nabla f(x) = 0$$

    The paper starts it with $\dot x(0) = -2\sqrt s\,\nabla f(x_0)/(1 + \sqrt{\mu s})$.

    Args:
        objective: Function $f$ to minimise, $\mu$-strongly convex.
        mu: The constant $\mu$, positive. Unit: 1 / time^2.
        s: Step size of the method, positive. Unit: time^2.

    Raises:
        ValueError: `mu` or `s` is not positive.

    Example:
        >>> system = high_resolution_heavy_ball(lambda x: 0.5 * x**2, mu=1.0, s=0.01)

    Source:
        Shi, Du, Jordan, Su, arXiv 1810.08907, equation (1.10).
    """
    mu, s = check_number("mu", mu, "positive"), check_number("s", s, "positive")
    return InertialNewton(objective, 1.0, 2 * mu**0.5, 0.0, 1 + (mu * s) ** 0.5)


def high_resolution_nag_c(objective: Callable[[Any], Any], s: Any) -> InertialNewton:
    r"""High-resolution equation of Nesterov's method for convex functions.

    $$\ddot x + \frac3t\dot x + \sqrt s\,\nabla^2 f(x)\dot x
    + \Big(1 + \frac{3\sqrt s}{2t}\Big)\nabla f(x) = 0, \qquad
    t \ge t_0 = \tfrac32\sqrt s$$

    The paper starts it at $t_0$ with $\dot x(t_0) = -\sqrt s\,\nabla f(x_0)$; it is
    singular at 0.

    Args:
        objective: Function $f$ to minimise, convex.
        s: Step size of the method, positive. Unit: time^2.

    Raises:
        ValueError: `s` is not positive.

    Example:
        >>> system = high_resolution_nag_c(lambda x: 0.5 * x**2, s=0.01)

    Source:
        Shi, Du, Jordan, Su, arXiv 1810.08907, equation (1.12).
    """
    root = check_number("s", s, "positive") ** 0.5
    damping = PowerLaw(3.0, 1.0, shift=0.0)
    force = jax.tree_util.Partial(_nag_c_force, root)
    return InertialNewton(objective, 1.0, damping, root, force)


def attouch_chbani_fadili_riahi(
    objective: Callable[[Any], Any], alpha: Any, beta: Any, b: Any
) -> InertialNewton:
    r"""Damping $\alpha/t$ with time-dependent Hessian damping and gradient factor.

    $$\ddot x + \frac\alpha t\dot x + \beta(t)\nabla^2 f(x)\dot x
    + b(t)\nabla f(x) = 0, \qquad t \ge t_0 > 0$$

    Args:
        objective: Function $f$ to minimise, convex.
        alpha: Damping, at least 0. No unit.
        beta: Hessian-driven damping, at least 0; a number or a schedule. Unit: time.
        b: Factor of the gradient; a number or a schedule.

    Raises:
        ValueError: A parameter is out of range.

    Example:
        >>> f = lambda x: 0.5 * x**2
        >>> system = attouch_chbani_fadili_riahi(f, 3.0, 0.2, lambda t: 1 + 0.2 / t)

    Source:
        Attouch, Chbani, Fadili, Riahi, arXiv 1907.10536, theorem 1.
    """
    alpha = check_number("alpha", alpha, "at least 0")
    return InertialNewton(objective, 1.0, PowerLaw(alpha, 1.0, shift=0.0), beta, b)


def h_nag(
    objective: Callable[[Any], Any], mu: Any, gamma0: Any, *, beta: Any
) -> InertialNewton:
    r"""The Hessian-driven Nesterov accelerated gradient flow (H-NAG), constant beta.

    $$\gamma\ddot x + (\gamma + \mu)\dot x + \gamma\beta\nabla^2 f(x)\dot x
    + (1 + \mu\beta)\nabla f(x) = 0, \qquad
    \gamma(t) = \mu + (\gamma_0 - \mu)e^{-t}$$

    Args:
        objective: Function $f$ to minimise, $\mu$-convex.
        mu: The constant $\mu$, at least 0.
        gamma0: Initial value $\gamma_0$, positive.
        beta: Hessian-driven damping $\beta$, at least 0.

    Raises:
        ValueError: A parameter is out of range.

    Example:
        >>> system = h_nag(lambda x: 0.5 * x**2, mu=1.0, gamma0=2.0, beta=0.1)

    Source:
        Chen and Luo, arXiv 1912.09276; the second-order form is derived here.
    """
    mu = check_number("mu", mu, "at least 0")
    gamma0 = check_number("gamma0", gamma0, "positive")
    beta = check_number("beta", beta, "at least 0")
    partial = jax.tree_util.Partial
    return InertialNewton(
        objective,
        partial(_gamma, mu, gamma0),
        partial(_gamma_plus_mu, mu, gamma0),
        partial(_gamma_beta, mu, gamma0, beta),
        1 + mu * beta,
    )


def _nag_c_force(root: Any, t: Any) -> Any:
    return 1 + 1.5 * root.astype(t.dtype) / t


def _gamma(mu: Any, gamma0: Any, t: Any) -> Any:
    mu, gamma0 = mu.astype(t.dtype), gamma0.astype(t.dtype)
    return mu + (gamma0 - mu) * jnp.exp(-t)


def _gamma_plus_mu(mu: Any, gamma0: Any, t: Any) -> Any:
    return _gamma(mu, gamma0, t) + mu.astype(t.dtype)


def _gamma_beta(mu: Any, gamma0: Any, beta: Any, t: Any) -> Any:
    return _gamma(mu, gamma0, t) * beta.astype(t.dtype)

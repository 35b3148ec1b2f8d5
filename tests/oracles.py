"""Exact solutions on quadratics, written without the code under test.

The functions take eigenvalues and return the path of one eigen-coordinate, as arrays
over `t`. Source: `docs/references.md` and the formulas named in each docstring.
"""

import mpmath
import numpy as np
import scipy.linalg
import scipy.special


def linear(matrix, state, times):
    """The solution of y' = M y by the matrix exponential."""
    return np.stack([scipy.linalg.expm(matrix * t) @ state for t in times])


def second_order_matrix(epsilon, alpha, beta, b, hessian):
    """First-order form of epsilon x'' + (alpha + beta A) x' + b A x = 0."""
    n = len(hessian)
    eye, zero = np.eye(n), np.zeros((n, n))
    damping = alpha * eye + beta * hessian
    return np.block([[zero, eye], [-b * hessian / epsilon, -damping / epsilon]])


def avd(lam, alpha, x0, times):
    """x'' + alpha/t x' + lam x = 0 from rest: a Bessel function."""
    nu = (alpha - 1) / 2
    z = times * np.sqrt(lam)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = scipy.special.gamma(nu + 1) * (2 / z) ** nu * scipy.special.jv(nu, z)
    return x0 * np.where(z == 0, 1, ratio)


def din_avd(lam, alpha, beta, x0, times):
    """x'' + (alpha/t + beta lam) x' + lam x = 0 from rest: a confluent function."""
    lam, beta = mpmath.mpf(lam), mpmath.mpf(beta)
    k = (beta * lam + mpmath.sqrt(beta**2 * lam**2 - 4 * lam)) / 2
    m = beta * lam - 2 * k
    value = lambda t: mpmath.exp(-k * t) * mpmath.hyp1f1(-alpha * k / m, alpha, -m * t)
    return x0 * np.array([float(mpmath.re(value(t))) for t in times])


def _combine(basis, x0, v0):
    """The combination of two basis functions with given value and slope at 0."""
    first, second = basis
    values = mpmath.matrix([[first(0), second(0)]])
    slopes = mpmath.matrix([[mpmath.diff(first, 0), mpmath.diff(second, 0)]])
    matrix = mpmath.matrix([[values[0, 0], values[0, 1]], [slopes[0, 0], slopes[0, 1]]])
    c = mpmath.lu_solve(matrix, mpmath.matrix([x0, v0]))
    return lambda t: c[0] * first(t) + c[1] * second(t)


def vm_power_law(lam, e, c, beta, x0, v0, times):
    """epsilon = e/(1+t), alpha = c/(1+t): x = exp(-t/beta) u, u by 1F1."""
    with mpmath.workdps(40):
        lam, e, c, beta = map(mpmath.mpf, (lam, e, c, beta))
        a = beta * lam / e
        b = 1 / beta**2 - c / (e * beta)
        z = lambda t: 1 + t + (c - 2 * e / beta) / (beta * lam)
        half = mpmath.mpf(1) / 2
        u1 = lambda t: mpmath.hyp1f1(b / (2 * a), half, -a * z(t) ** 2 / 2)
        u2 = lambda t: (
            z(t) * mpmath.hyp1f1(b / (2 * a) + half, 3 * half, -a * z(t) ** 2 / 2)
        )
        u = _combine((u1, u2), x0, v0 + x0 / beta)
        return np.array([float(mpmath.exp(-t / beta) * u(mpmath.mpf(t))) for t in times])


def vm_exponential(lam, e, a, c, beta, x0, v0, times):
    """epsilon = e exp(-ct), alpha = a exp(-ct): confluent functions of exp(ct)."""
    with mpmath.workdps(40):
        lam, e, a, c, beta = map(mpmath.mpf, (lam, e, a, c, beta))
        s = lambda t: beta * lam / (c * e) * mpmath.exp(c * t)
        k, b = 1 / (beta * c), 1 + a / (e * c)
        first = lambda t: mpmath.hyp1f1(k, b, -s(t))
        second = lambda t: mpmath.exp(-s(t)) * mpmath.hyperu(b - k, b, s(t))
        x = _combine((first, second), x0, v0)
        return np.array([float(x(mpmath.mpf(t))) for t in times])


def linear_mass(lam, e, alpha, beta, x0, v0, times):
    """epsilon = e (1+t), constant alpha: T^((1-b/e)/2) {J, Y}_|1-b/e| (2 sqrt(lam T/e))."""
    with mpmath.workdps(30):
        lam, e = mpmath.mpf(lam), mpmath.mpf(e)
        b = alpha + beta * lam
        nu = abs(1 - b / e)
        power = lambda t: (1 + t) ** ((1 - b / e) / 2)
        argument = lambda t: 2 * mpmath.sqrt(lam * (1 + t) / e)
        first = lambda t: power(t) * mpmath.besselj(nu, argument(t))
        second = lambda t: power(t) * mpmath.bessely(nu, argument(t))
        x = _combine((first, second), x0, v0)
        return np.array([float(x(mpmath.mpf(t))) for t in times])

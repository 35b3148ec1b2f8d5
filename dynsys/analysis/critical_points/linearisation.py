"""Linearisations at critical points: of the flows, and of the algorithm INNA."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsys.checks import as_number
from dynsys.nonsmooth import kinks
from dynsys.nonsmooth.subdifferential import ACTIVE
from dynsys.objectives.objective import is_known_smooth
from dynsys.systems.gdin import GDIN
from dynsys.systems.inertial_newton import AbstractInertialNewton
from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import Position, as_position, as_vector, dimension, from_vector

LARGEST = 2000
"""Coordinates up to which a Hessian is formed: 32 MB, and seconds for its eigenvalues."""


ROUNDING = 1e-12
"""Eigenvalues, and their real parts, that are 0 come out about this large, relatively."""


TWO_TIMES = (1.0, 2.0)
"""Times at which the linearisation must be the same."""


class Spectrum(NamedTuple):
    """The linearisation of a system at a critical point.

    Args:
        eigenvalues: Complex, those that grow fastest first, one a coordinate of the state.
        hessian: Eigenvalues of the Hessian, increasing.
        kind: `"attracting"`, `"repelling"`, `"saddle"`, or `"not hyperbolic"`, where an
            eigenvalue without real part leaves the linearisation undecided.
        unstable: Number of directions that grow.
        spirals: Number of pairs of complex eigenvalues: planes in which solutions turn.
    """

    eigenvalues: np.ndarray
    hessian: np.ndarray
    kind: str
    unstable: int
    spirals: int

    def __str__(self) -> str:
        rates = np.real(self.eigenvalues)
        return (
            f"{self.kind}: {self.unstable} of {len(rates)} directions grow, and solutions "
            f"turn in {self.spirals} planes; growth rates from {rates[-1]:.6g} to "
            f"{rates[0]:.6g}, eigenvalues of the Hessian from {self.hessian[0]:.6g} to "
            f"{self.hessian[-1]:.6g}"
        )


def spectrum(system: AbstractSystem, x: Any, *, threshold: Any = 1e-6) -> Spectrum:
    r"""The eigenvalues of a system, linearised at rest at a critical point.

    Of g-DIN and the systems of order 2 they are the roots of

    $$\varepsilon r^2 + (\alpha + \beta\lambda)\,r + b\lambda = 0$$

    for each eigenvalue $\lambda$ of the Hessian; of any other system those of the Jacobian
    of its vector field. Where $\lambda < 0$ one root is positive: no choice of the dampings
    makes a strict saddle attracting.

    Args:
        system: A system whose coefficients are constant.
        x: A critical point of its objective, off kinks.
        threshold: Largest norm of the gradient there.

    Returns:
        Eigenvalues, and what they say.

    Raises:
        TypeError: `system` is not a system.
        ValueError: `x` is not critical or lies on a kink, the coefficients change in time,
            the vector field has no finite derivative there, or the dimension is above 2000.

    Example:
        >>> from dynsys.objectives import DoubleWell
        >>> found = spectrum(GDIN(DoubleWell(), alpha=0.5, beta=1.0), [0.0, 0.0])
        >>> found.kind, found.unstable, found.spirals
        ('saddle', 1, 1)

    Source:
        C. Castera, J. Optim. Theory Appl. 199 (2023), for DIN and INNA; the equation of the
        roots is derived here: insert $x = e^{rt}u$ with an eigenvector $u$.
    """
    x = require_critical(system, x, threshold)
    lam = hessian_eigenvalues(system.objective, x)
    roots, noise = _roots(system, lam), 0.0
    if roots is None:
        roots = np.linalg.eigvals(jacobian(system, rest_state(system, x)))
        noise = ROUNDING * float(np.abs(roots).max())
    roots = roots[np.lexsort((-np.imag(roots), -np.real(roots)))]
    size = ROUNDING * np.abs(roots) + noise
    grow, decay = np.real(roots) > size, np.real(roots) < -size
    cases = (
        (not (grow | decay).all(), "not hyperbolic"),
        (decay.all(), "attracting"),
        (grow.all(), "repelling"),
    )
    kind = next((name for holds, name in cases if holds), "saddle")
    spirals = int((np.imag(roots) > size).sum())
    return Spectrum(roots, lam, kind, int(grow.sum()), spirals)


def require_critical(system: AbstractSystem, x: Any, threshold: Any) -> Position:
    """The point as a position, if it is critical and off kinks.

    Raises:
        TypeError: `system` is not a system.
        ValueError: It is not critical, or lies on a kink.
    """
    if not isinstance(system, AbstractSystem):
        raise TypeError(f"`system` must be a system, but is a {type(system).__name__}.")
    small = float(as_number("threshold", threshold, "positive"))
    x = as_position("x", x)
    if not is_known_smooth(system.objective):
        found = kinks(system.objective, x)
        near = np.abs(np.asarray(found.values)) <= ACTIVE * (1 + np.abs(as_vector(x)).max())
        if near.any():
            raise ValueError(
                f"`x` lies on a kink, that of {found.places[int(np.argmax(near))]}, where "
                f"nothing can be linearised. `criticality` says how far it is from being "
                f"critical."
            )
    size = float(np.linalg.norm(gradient_vector(system.objective, x)))
    if not size <= small:
        raise ValueError(
            f"`x` must be a critical point, but the gradient there has norm {size:.3g}, "
            f"more than `threshold`, {small:.3g}. Improve it, for example by the end of a "
            f"longer run, or allow for it with `threshold={2 * size:.2g}`."
        )
    return x


def gradient_vector(objective: Callable[[Any], Any], x: Position) -> np.ndarray:
    """The gradient in one vector."""
    return np.asarray(as_vector(_gradient(objective, x)), float)


@jax.jit
def _gradient(objective: Callable[[Any], Any], x: Position) -> Position:
    return jax.grad(objective)(x)


def hessian_eigenvalues(objective: Callable[[Any], Any], x: Position) -> np.ndarray:
    """Eigenvalues of the Hessian, increasing; not a number where it is not finite.

    Raises:
        ValueError: There are more than 2000 coordinates.
    """
    if dimension(x) > LARGEST:
        raise ValueError(
            f"The Hessian is formed for at most {LARGEST} coordinates, but `x` has "
            f"{dimension(x)}."
        )
    matrix = np.asarray(_hessian(objective, x), float)
    if not np.isfinite(matrix).all():
        return np.full(len(matrix), np.nan)
    return np.linalg.eigvalsh(matrix)


@jax.jit
def _hessian(objective: Callable[[Any], Any], x: Position) -> Float[Array, "dim dim"]:
    loss = lambda vector: objective(from_vector(vector, x))
    return jax.hessian(loss)(as_vector(x))


def rest_state(system: AbstractSystem, x: Position) -> State:
    """The state at rest at a point."""
    return system.initial_state(jnp.asarray(TWO_TIMES[0]), x, None)


def jacobian(system: AbstractSystem, state: State) -> np.ndarray:
    """The derivative of the vector field by the state, in one vector.

    Raises:
        ValueError: It is not finite, or changes in time.
    """
    first, second = (
        np.asarray(_jacobian(system, jnp.asarray(t), state), float) for t in TWO_TIMES
    )
    if not np.isfinite(first).all():
        raise ValueError(
            f"The vector field of {type(system).__name__} has no finite derivative at `x`. "
            f"Where a Newton system is singular or indefinite, the flow does not exist."
        )
    _require_constant(
        system, np.abs(first - second).max() <= ROUNDING * np.abs(first).max()
    )
    return first


@jax.jit
def _jacobian(
    system: AbstractSystem, t: Float[Array, ""], state: State
) -> Float[Array, "size size"]:
    field = lambda z: as_vector(system.vector_field(t, from_vector(z, state)))
    return jax.jacfwd(field)(as_vector(state))


def _require_constant(system: AbstractSystem, is_constant: bool) -> None:
    if not is_constant:
        raise ValueError(
            f"The coefficients of this {type(system).__name__} change in time, so that "
            f"eigenvalues decide nothing. For those frozen at a time pass a system with "
            f"numbers, such as `InertialNewton(f, epsilon, alpha, beta)`."
        )


def _roots(system: AbstractSystem, lam: np.ndarray) -> np.ndarray | None:
    """The roots for each eigenvalue of the Hessian, if the system is of that form.

    Each is known to rounding relative to itself, however stiff the system is.
    """
    lam = np.where(np.abs(lam) <= ROUNDING * np.abs(lam).max(), 0.0, lam)
    if isinstance(system, GDIN):
        alpha, beta = float(system.alpha), float(system.beta)
        return quadratic_roots(1.0, alpha + beta * lam, lam).ravel()
    if not isinstance(system, AbstractInertialNewton):
        return None
    now, later = (
        np.array([float(c) for c in system.coefficients(jnp.asarray(t))]) for t in TWO_TIMES
    )
    _require_constant(system, bool((now == later).all()))
    epsilon, alpha, beta, b = now
    return quadratic_roots(epsilon, alpha + beta * lam, b * lam).ravel()


def quadratic_roots(a: float, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The roots of $a r^2 + b r + c$, of shape `(2, ...)`, without cancellation."""
    root = np.sqrt(np.asarray(b * b - 4 * a * c, complex))
    sum_ = -0.5 * (b + np.where(b < 0, -root, root))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([sum_ / a, np.where(sum_ == 0, 0, c / sum_)])

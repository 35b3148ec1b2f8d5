r"""Damping $\alpha/t$, singular at $t = 0$, and the series that starts it there."""

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax
from jaxtyping import Array, Float

from dynsys.systems.inertial_newton import AbstractInertialNewton
from dynsys.systems.system import Constraint
from dynsys.trees import Position, Time, combine


class StartSeries(eqx.Module):
    r"""The solution from rest at $t = 0$, to fourth order.

    $$x(t) = x_0 + a_2 t^2 + a_3 t^3 + a_4 t^4 + O(t^5)$$

    with $a_2 = -\frac{g}{2(\alpha+1)}$, $a_3 = -\frac{2\beta H a_2}{3(\alpha+2)}$ and
    $a_4 = -\frac{3\beta H a_3 + H a_2}{4(\alpha+3)}$, where $g$ and $H$ are the gradient
    and the Hessian at $x_0$.

    Source:
        Derived by inserting the series into the equation and comparing powers of t.
    """

    x0: Position
    a2: Position
    a3: Position
    a4: Position

    def __init__(self, objective: Any, alpha: Any, beta: Any, x0: Position):
        gradient, hessian = jax.linearize(jax.grad(objective), x0)
        self.x0 = x0
        self.a2 = combine((-1 / (2 * (alpha + 1)), gradient))
        hessian_a2 = hessian(self.a2)
        self.a3 = combine((-2 * beta / (3 * (alpha + 2)), hessian_a2))
        self.a4 = combine(
            (-3 * beta / (4 * (alpha + 3)), hessian(self.a3)),
            (-1 / (4 * (alpha + 3)), hessian_a2),
        )

    def position(self, t: Time) -> Position:
        return combine((1.0, self.x0), (t**2, self.a2), (t**3, self.a3), (t**4, self.a4))

    def velocity(self, t: Time) -> Position:
        return combine((2 * t, self.a2), (3 * t**2, self.a3), (4 * t**3, self.a4))

    def acceleration(self, t: Time) -> Position:
        """Second derivative of the series."""
        return combine((2.0, self.a2), (6 * t, self.a3), (12 * t**2, self.a4))


class Damping(NamedTuple):
    r"""The parameters $\alpha$ of $\alpha/t$ and $\beta$ of a system."""

    alpha: Float[Array, ""]
    beta: Float[Array, ""]


class AbstractVanishingDamping(AbstractInertialNewton):
    r"""Base of the systems with asymptotically vanishing damping $\alpha/t$."""

    @property
    @abc.abstractmethod
    def damping(self) -> Damping:
        r"""The parameters of the two kinds of damping."""

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return (
            Constraint("alpha", self.damping.alpha, "at least 0"),
            Constraint("beta", self.damping.beta, "at least 0"),
        )

    def start_series(self, x0: Position) -> StartSeries:
        """The solution from rest at $t = 0$ as a series."""
        return StartSeries(self.objective, *self.damping, x0)

    def series_error(self, series: StartSeries, t: Time) -> Position:
        r"""About the error of the velocity of the series at time $t$.

        It is $\frac{t}{\alpha+1}r$, where $r$ is what is left of the equation when the
        series is inserted, so that terms beyond the fourth are seen, too.
        """
        alpha, beta = (leaf.astype(t.dtype) for leaf in self.damping)
        x, v = series.position(t), series.velocity(t)
        gradient, hessian_v = jax.jvp(self.gradient, (x,), (v,))
        left = combine(
            (1.0, series.acceleration(t)),
            (alpha / t, v),
            (beta, hessian_v),
            (1.0, gradient),
        )
        return combine((t / (alpha + 1), left))

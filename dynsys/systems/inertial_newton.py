"""The general equation, of which the second-order systems of the catalogue are cases."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from dynsys.checks import as_time
from dynsys.objectives.objective import as_objective
from dynsys.schedules import evaluate
from dynsys.systems.feedback import Feedback
from dynsys.systems.parameters import check_schedule
from dynsys.systems.system import AbstractSystem, Constraint
from dynsys.trees import Position, Time, combine, zeros_like


class Coefficients(NamedTuple):
    """Values of the four coefficients at one time."""

    epsilon: Time
    alpha: Time
    beta: Time
    b: Time


class MomentumState(NamedTuple):
    r"""Position $x$ and generalised momentum $p = \varepsilon\dot x + \beta\nabla f$."""

    x: Position
    p: Position


class VelocityState(NamedTuple):
    r"""Position $x$ and velocity $v = \dot x$."""

    x: Position
    v: Position


class AbstractInertialNewton(AbstractSystem):
    r"""Base of the systems of order 2, written once for all of them.

    $$\varepsilon(t)\ddot x + \alpha(t)\dot x + \beta(t)\nabla^2 f(x)\dot x
    + b(t)\nabla f(x) = 0$$

    The momentum form has no Hessian and divides by nothing but the mass:

    $$\dot x = \frac{p - \beta\nabla f(x)}\varepsilon, \qquad
    \dot p = (\varepsilon' - \alpha)\,\dot x + (\beta' - b)\nabla f(x)$$

    Source:
        Derived from the definition of p: differentiate it and insert the equation.
    """

    hessian_free: eqx.AbstractVar[bool]

    @abc.abstractmethod
    def coefficients(self, t: Time) -> Coefficients:
        """The four coefficients at time `t`."""

    @property
    def order(self) -> int:
        return 2

    @property
    def state_type(self) -> type:
        return MomentumState if self.hessian_free else VelocityState

    def initial_state(
        self, t: Time, x: Position, v: Position | None
    ) -> MomentumState | VelocityState:
        v = zeros_like(x) if v is None else v
        if not self.hessian_free:
            return VelocityState(x, v)
        epsilon, _, beta, _ = self.coefficients(as_time(t))
        return MomentumState(x, combine((epsilon, v), (beta, self.gradient(x))))

    def vector_field(
        self, t: Time, state: MomentumState | VelocityState
    ) -> MomentumState | VelocityState:
        t = as_time(t)
        if isinstance(state, VelocityState):
            return self._velocity_field(t, state)
        rates = self._feedback(t).rates(state, self.gradient(state.x))
        return MomentumState(*rates)

    def feedback(self, t: Time) -> Feedback | None:
        return self._feedback(as_time(t)) if self.hessian_free else None

    def _feedback(self, t: Time) -> Feedback:
        now, rate = jax.jvp(self.coefficients, (t,), (jnp.ones_like(t),))
        # p' = slip v + (beta' - b) grad f, with v = (p - beta grad f) / epsilon.
        slip = rate.epsilon - now.alpha
        inverse, zero = 1 / now.epsilon, jnp.zeros_like(t)
        linear = ((zero, inverse), (zero, zero))
        return Feedback(linear, (-now.beta * inverse, rate.beta - now.b), slip)

    def controlled(
        self, state: MomentumState | VelocityState
    ) -> MomentumState | VelocityState:
        return state

    def position(self, state: MomentumState | VelocityState) -> Position:
        return state.x

    def velocity(self, t: Time, state: MomentumState | VelocityState) -> Position:
        if isinstance(state, VelocityState):
            return state.v
        epsilon, _, beta, _ = self.coefficients(as_time(t))
        gradient = self.gradient(state.x)
        return combine((1 / epsilon, state.p), (-beta / epsilon, gradient))

    def _velocity_field(self, t: Time, state: VelocityState) -> VelocityState:
        epsilon, alpha, beta, b = self.coefficients(t)
        gradient, hessian_v = jax.jvp(self.gradient, (state.x,), (state.v,))
        acceleration = combine(
            (-alpha / epsilon, state.v),
            (-beta / epsilon, hessian_v),
            (-b / epsilon, gradient),
        )
        return VelocityState(state.v, acceleration)


class InertialNewton(AbstractInertialNewton):
    r"""The general inertial Newton-like equation.

    $$\varepsilon(t)\ddot x + \alpha(t)\dot x + \beta(t)\nabla^2 f(x)\dot x
    + b(t)\nabla f(x) = 0$$

    Args:
        objective: Function $f$ to minimise.
        epsilon: Variable mass, positive; a number or a schedule. Unit: time^2 if b has
            none.
        alpha: Viscous damping, at least 0; a number or a schedule. Unit: time.
        beta: Hessian-driven damping, at least 0; a number or a schedule. Unit: time.
        b: Factor of the gradient; a number or a schedule.
        hessian_free: Use the momentum form, without Hessian; otherwise the state is
            (x, v) and each evaluation costs a Hessian-vector product.

    Raises:
        TypeError: `objective` is not callable or a coefficient is not a number.
        ValueError: A coefficient is out of range.

    Example:
        The high-resolution equation of Nesterov's method for strongly convex
        functions, with step size s, is one line:

        >>> f, mu, s = (lambda x: 0.5 * x**2), 1.0, 0.01
        >>> system = InertialNewton(f, 1.0, 2 * mu**0.5, s**0.5, 1 + (mu * s) ** 0.5)

    Source:
        The form with beta(t) and b(t): Attouch, Chbani, Fadili, Riahi
        (arXiv 1907.10536), there with epsilon = 1 and alpha / t.
    """

    objective: Callable[[Any], Any]
    epsilon: Callable[[Any], Any]
    alpha: Callable[[Any], Any]
    beta: Callable[[Any], Any]
    b: Callable[[Any], Any]
    hessian_free: bool = eqx.field(static=True)

    def __init__(
        self,
        objective: Callable[[Any], Any],
        epsilon: Any,
        alpha: Any,
        beta: Any,
        b: Any = 1.0,
        *,
        hessian_free: bool = True,
    ):
        self.objective = as_objective(objective)
        self.epsilon = check_schedule("epsilon", epsilon, "positive")
        self.alpha = check_schedule("alpha", alpha, "at least 0")
        self.beta = check_schedule("beta", beta, "at least 0")
        self.b = check_schedule("b", b, "finite")
        self.hessian_free = hessian_free

    def coefficients(self, t: Time) -> Coefficients:
        schedules = (self.epsilon, self.alpha, self.beta, self.b)
        return Coefficients(*(evaluate(schedule, t) for schedule in schedules))

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return (
            Constraint("epsilon", self.epsilon, "positive"),
            Constraint("alpha", self.alpha, "at least 0"),
            Constraint("beta", self.beta, "at least 0"),
            Constraint("b", self.b, "finite"),
        )

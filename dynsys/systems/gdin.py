"""The generalised inertial Newton system of the talk, whose discretisation is INNA."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.objectives.objective import as_objective
from dynsys.systems.feedback import Feedback
from dynsys.systems.parameters import check_number
from dynsys.systems.system import AbstractSystem, Constraint
from dynsys.trees import Position, as_position, combine


class GDINState(NamedTuple):
    r"""Position $\theta$ and auxiliary variable $\psi$."""

    theta: Position
    psi: Position


class GDIN(AbstractSystem):
    r"""Generalised dynamical inertial Newton system (g-DIN).

    $$\begin{aligned}
    \dot\theta + \big(\alpha - \tfrac1\beta\big)\theta + \tfrac1\beta\psi
    + \beta\nabla J(\theta) &= 0\\
    \dot\psi + \big(\alpha - \tfrac1\beta\big)\theta + \tfrac1\beta\psi &= 0
    \end{aligned}$$

    For smooth $J$ it is `DIN` without its Hessian. The gradient enters the first line
    only, so it makes sense as a differential inclusion for non-smooth $J$.

    The velocity is a difference of $\theta$ and $\psi$ over $\beta$: below about 1e-7 of
    the time scale of the problem rounding fills it, and `DIN` is the form to use.

    Args:
        objective: Function $J$ to minimise.
        alpha: Viscous damping, at least 0. Unit: 1 / time.
        beta: Hessian-driven damping, positive. Unit: time.

    Raises:
        TypeError: `objective` is not callable or a parameter is not a number.
        ValueError: `alpha` is negative or `beta` is not positive.

    Example:
        >>> system = GDIN(lambda x: 0.5 * x**2, alpha=1.3, beta=0.1)
        >>> state = system.state(-1.0, system.initial_psi(-1.0))

    Source:
        Castera, Bolte, Févotte, Pauwels (2021), arXiv 1905.12278, as given in the
        talk, equation (g-DIN).
    """

    objective: Callable[[Any], Any]
    alpha: Float[Array, ""]
    beta: Float[Array, ""]

    velocity_has_gradient: ClassVar[bool] = True

    def __init__(self, objective: Callable[[Any], Any], alpha: Any, beta: Any):
        self.objective = as_objective(objective)
        self.alpha = check_number("alpha", alpha, "at least 0")
        self.beta = check_number(
            "beta", beta, "positive", "The equation divides by it; for 0 use HeavyBall."
        )

    @property
    def order(self) -> int:
        return 2

    @property
    def state_type(self) -> type:
        return GDINState

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return (
            Constraint("alpha", self.alpha, "at least 0"),
            Constraint("beta", self.beta, "positive"),
        )

    def initial_psi(
        self, theta: Any, velocity: Any = None, *, speed: Any = None
    ) -> Position:
        r"""The $\psi$ that starts from $\theta$ with a given velocity.

        $$\psi_0 = (1 - \alpha\beta)\theta_0 - \beta^2\nabla J(\theta_0)
        - \beta\dot\theta_0$$

        Args:
            theta: Position $\theta_0$.
            velocity: Velocity $\dot\theta_0$; left out, it is at rest.
            speed: Instead of `velocity`, a number $s$ for
                $\dot\theta_0 = -s\nabla J(\theta_0)$. The starts of the authors' codes
                are `speed=beta` (PyTorch), `speed=1` (Keras, saddle experiments) and
                `speed=0.1` (the poster's figure).

        Raises:
            ValueError: Both `velocity` and `speed` are given.

        Source:
            Derived from the first line of (g-DIN). The starts: camcastera's
            INNA-for-DeepLearning, INNAavoidsSaddles, and poster.
        """
        if velocity is not None and speed is not None:
            raise ValueError(
                "`velocity` and `speed` both set the initial velocity. Pass one."
            )
        theta = as_position("theta", theta)
        gradient = self.gradient(theta)
        linear = 1 - self.alpha * self.beta
        if velocity is not None:
            return combine(
                (linear, theta),
                (-(self.beta**2), gradient),
                (-self.beta, as_position("velocity", velocity)),
            )
        speed = 0.0 if speed is None else speed
        return combine((linear, theta), (self.beta * (speed - self.beta), gradient))

    def initial_state(
        self, t: Float[Array, ""], x: Position, v: Position | None
    ) -> GDINState:
        del t
        return GDINState(x, self.initial_psi(x, v))

    def vector_field(self, t: Float[Array, ""], state: GDINState) -> GDINState:
        feedback = self.feedback(t)
        return GDINState(*feedback.rates(state, self.gradient(state.theta)))

    def feedback(self, t: Float[Array, ""]) -> Feedback:
        del t
        row = (1 / self.beta - self.alpha, -1 / self.beta)
        zero = jnp.zeros_like(self.beta)
        return Feedback((row, row), (-self.beta, zero), zero)

    def controlled(self, state: GDINState) -> tuple[Position, Position]:
        r"""Position and momentum $p = ((1 - \alpha\beta)\theta - \psi)/\beta$.

        For small $\beta$ an error of $\psi$ is an error of the velocity $1/\beta$ times
        as large, which nothing would damp.
        """
        linear = (1 / self.beta - self.alpha, state.theta)
        return state.theta, combine(linear, (-1 / self.beta, state.psi))

    def position(self, state: GDINState) -> Position:
        return state.theta

    def velocity(self, t: Float[Array, ""], state: GDINState) -> Position:
        return self.vector_field(t, state).theta

"""The Levenberg-Marquardt flow: continuous Newton with viscous damping."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Float

from dynsys.objectives.objective import as_objective
from dynsys.schedules import evaluate
from dynsys.systems.damped_newton import AbstractDampedNewton
from dynsys.systems.parameters import check_number, check_schedule
from dynsys.systems.system import Constraint


class LevenbergMarquardt(AbstractDampedNewton):
    r"""Levenberg-Marquardt flow (LM).

    $$\alpha(t)\dot x + \beta\nabla^2 f(x)\dot x + \nabla f(x) = 0$$

    It is defined where $\alpha I + \beta\nabla^2 f$ is positive definite.

    Args:
        objective: Function $f$ to minimise, twice differentiable.
        alpha: Viscous damping, at least 0; a number or a schedule. Unit: time.
        beta: Factor of the Hessian, positive. Unit: time.

    Raises:
        TypeError: `objective` is not callable or a parameter is not a number.
        ValueError: `alpha` is negative or `beta` is not positive.

    Example:
        >>> system = LevenbergMarquardt(lambda x: 0.5 * x**2, alpha=0.5)

    Source:
        The talk, equation (LM).
    """

    objective: Callable[[Any], Any]
    alpha: Callable[[Any], Any]
    beta: Float[Array, ""]

    def __init__(self, objective: Callable[[Any], Any], alpha: Any, beta: Any = 1.0):
        self.objective = as_objective(objective)
        self.alpha = check_schedule("alpha", alpha, "at least 0")
        self.beta = check_number("beta", beta, "positive", "For beta = 0 use GradientFlow.")

    def shift(self, t: Float[Array, ""]) -> Float[Array, ""]:
        return evaluate(self.alpha, t)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return (
            Constraint("alpha", self.alpha, "at least 0"),
            Constraint("beta", self.beta, "positive"),
        )

"""Continuous Newton, the limit of the variable-mass system."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Float

from dynsys.objectives.objective import as_objective
from dynsys.systems.damped_newton import AbstractDampedNewton
from dynsys.systems.parameters import check_number
from dynsys.systems.system import Constraint


class ContinuousNewton(AbstractDampedNewton):
    r"""Continuous Newton (CN).

    $$\beta\nabla^2 f(x)\dot x + \nabla f(x) = 0$$

    Its solution satisfies $\nabla f(x(t)) = e^{-t/\beta}\nabla f(x_0)$. It is defined
    where the Hessian is positive definite.

    Args:
        objective: Function $f$ to minimise, twice differentiable.
        beta: Time scale, positive. Unit: time.
        regularization: Added to the diagonal of $\beta\nabla^2 f$, at least 0, for
            objectives whose Hessian is not positive definite. Unit: time.

    Raises:
        TypeError: `objective` is not callable or a parameter is not a number.
        ValueError: `beta` is not positive or `regularization` is negative.

    Example:
        >>> system = ContinuousNewton(lambda x: 0.5 * x**2, beta=1.0)

    Source:
        The talk, equation (CN). The solution along the ray of gradients: differentiate
        $\nabla f(x(t))$.
    """

    objective: Callable[[Any], Any]
    beta: Float[Array, ""]
    regularization: Float[Array, ""]

    def __init__(
        self,
        objective: Callable[[Any], Any],
        beta: Any = 1.0,
        *,
        regularization: Any = 0.0,
    ):
        self.objective = as_objective(objective)
        self.beta = check_number("beta", beta, "positive", "The equation divides by it.")
        self.regularization = check_number("regularization", regularization, "at least 0")

    def shift(self, t: Float[Array, ""]) -> Float[Array, ""]:
        return self.regularization.astype(t.dtype)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        return (
            Constraint("beta", self.beta, "positive"),
            Constraint("regularization", self.regularization, "at least 0"),
        )

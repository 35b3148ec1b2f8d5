"""What the steps of a run cost."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import diffrax
from jaxtyping import Array, Int

from dynsys.integrators.engine.first_step import EVALUATIONS
from dynsys.systems.system import AbstractSystem


class Steps(NamedTuple):
    """The steps of a run, as far as their cost goes by them.

    Args:
        attempts: How many were tried.
        forms_jacobian: Whether those with a Hessian form the Jacobian of the state, with
            the derivative of the field in time.
        interpolate: Whether the solution is looked at inside of them.
    """

    attempts: Int[Array, ""]
    forms_jacobian: bool
    interpolate: bool


@runtime_checkable
class Counts(Protocol):
    """A solver that says what its steps take."""

    def count(self, steps: Steps) -> tuple[Any, Any]:
        """Evaluations of the field in a run, and Hessians besides."""
        ...


class Cost(NamedTuple):
    """What a run cost; `None` where the solver iterates."""

    gradients: Int[Array, ""] | None
    hessians: Int[Array, ""] | None


def cost(solver: Any, system: AbstractSystem, steps: Steps) -> Cost:
    """Gradients and Hessians that the steps of a run took.

    Each evaluation of the field takes one gradient, and along a Newton direction one
    Hessian, in product form when it is large. Two evaluations choose the first step; a
    method that reuses its last stage makes one more at the start. What the multipliers
    along a kink take is not counted.

    Args:
        solver: The solver.
        system: The system.
        steps: The steps.
    """
    if isinstance(solver, Counts):
        fields, hessians = solver.count(steps)
    elif isinstance(solver, diffrax.AbstractERK) and not isinstance(
        solver, diffrax.HalfSolver
    ):
        tableau: Any = solver.tableau
        reused, hessians = int(bool(tableau.fsal)), 0
        a_step = tableau.num_stages - reused
        fields = EVALUATIONS + reused + a_step * steps.attempts
    else:
        return Cost(None, None)
    return Cost(fields, hessians + system.hessians_a_field * fields)

"""Which solver a problem gets, and what a step of a solver costs."""

from typing import Any, NamedTuple

import diffrax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dynsys.integrators.engine.first_step import EVALUATIONS
from dynsys.integrators.engine.problem import LARGE, Lanes
from dynsys.integrators.inclusion.first_order import SemiImplicitEuler
from dynsys.integrators.solvers import low_storage
from dynsys.integrators.solvers.low_storage import LowStorageRK4
from dynsys.integrators.solvers.rodas5p import STAGES, Rodas5P
from dynsys.objectives.objective import is_known_smooth
from dynsys.systems.damped_newton import AbstractDampedNewton
from dynsys.systems.system import AbstractSystem

SMALL = 128
"""Up to this many coordinates of the state the dense linear algebra of a step costs
less than what an explicit method loses on a stiff problem."""

TINY = 4
"""Up to this many coordinates written-out stages are worth the time to compile them, if
there are many runs of one program."""

EXPLICIT, IMPLICIT, FRUGAL = diffrax.Tsit5(), Rodas5P(), LowStorageRK4()


class Choice(NamedTuple):
    """A solver and the reason for it."""

    solver: diffrax.AbstractSolver
    reason: str


class Cost(NamedTuple):
    """What a run cost; `None` where the solver iterates."""

    gradient_evaluations: Int[Array, ""] | None
    hessians: Int[Array, ""] | None


def choose_solver(system: AbstractSystem, size: int, lanes: Lanes | None) -> Choice:
    """Pick a solver by what is known before the run: smoothness and dimension.

    Args:
        system: The system.
        size: Coordinates of its state.
        lanes: What is known if the run is one of many that are computed side by side.
    """
    if is_known_smooth(system.objective) is False:
        return Choice(EXPLICIT, "the objective is not smooth, so steps are kept explicit")
    if lanes is not None and lanes.is_mild:
        return Choice(
            EXPLICIT,
            f"not stiff at some of the starts, and with {size} coordinates many steps "
            f"without matrices take less time than one with them",
        )
    if size <= SMALL:
        return Choice(
            Rodas5P(written_out=lanes is not None and size <= TINY),
            f"small ({size} coordinates) and taken for smooth: implicit steps are cheap, "
            f"and stiffness does not shorten them",
        )
    if size <= LARGE:
        return Choice(
            EXPLICIT,
            f"large ({size} coordinates), so one gradient an evaluation and no matrices",
        )
    return Choice(
        FRUGAL,
        f"very large ({size} coordinates), so one gradient an evaluation, and few copies "
        f"of the state",
    )


def cost(
    solver: Any,
    system: AbstractSystem,
    t: Float[Array, ""],
    attempts: Int[Array, ""],
    *,
    has_kinks: bool = False,
    interpolates: bool = True,
) -> Cost:
    """Gradients and Hessians that the steps of a run took.

    Each evaluation of the field takes one gradient, and along a Newton direction one
    Hessian, in product form when it is large. Two evaluations choose the first step; a
    method that reuses its last stage makes one more at the start. Of `LowStorageRK4` a
    step that is interpolated takes two more, for its slopes. A Rosenbrock step
    also takes a gradient with the Hessian; where the Jacobian of the state is formed, the
    derivative of the field in time takes another one. What the multipliers along a kink
    take is not counted.
    """
    is_newton = int(isinstance(system, AbstractDampedNewton))
    if isinstance(solver, Rodas5P):
        is_formed = has_kinks or system.feedback(t) is None
        evaluations = EVALUATIONS + (STAGES + 1 + int(is_formed)) * attempts
        return Cost(evaluations, attempts + is_newton * evaluations)
    if isinstance(solver, LowStorageRK4):
        evaluations = EVALUATIONS + (low_storage.STAGES + 2 * int(interpolates)) * attempts
        return Cost(evaluations, is_newton * evaluations)
    if isinstance(solver, SemiImplicitEuler):
        return Cost(attempts, jnp.zeros_like(attempts))
    is_plain = not isinstance(solver, diffrax.HalfSolver)
    if is_plain and isinstance(solver, diffrax.AbstractERK):
        tableau: Any = solver.tableau
        reused = int(bool(tableau.fsal))
        evaluations = EVALUATIONS + reused + (tableau.num_stages - reused) * attempts
        return Cost(evaluations, is_newton * evaluations)
    return Cost(None, None)

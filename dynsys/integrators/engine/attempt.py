"""One step of a solver with the control of its error, tried but not yet taken."""

from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from dynsys.cached_call import cached_call
from dynsys.integrators.engine.carry import Carry
from dynsys.integrators.engine.problem import TERM, Problem
from dynsys.integrators.engine.step_control import judge, scaled_square
from dynsys.integrators.start import is_finite
from dynsys.systems.system import AbstractSystem, State

Time = Float[Array, ""]


class Attempt(NamedTuple):
    """A step that was tried.

    Args:
        new: The state at its end.
        info: What the solver keeps of it for its polynomial.
        hidden: What the solver carries on.
        control: What the control of the step size remembers.
        keep: Whether the error is small enough.
        next_step: Size of the step after it, or of the next try.
        failed: Whether the solver itself failed.
    """

    new: State
    info: PyTree
    hidden: PyTree
    control: PyTree
    keep: Bool[Array, ""]
    next_step: Time
    failed: Bool[Array, ""]


def attempt(
    problem: Problem,
    solver: diffrax.AbstractSolver,
    system: AbstractSystem,
    carry: Carry,
    end: Time,
) -> Attempt:
    """Try a step.

    Args:
        problem: What is integrated, for its tolerances.
        solver: With what.
        system: The system that the step follows.
        carry: Where the solve stands.
        end: The end of the step.
    """
    new, error, info, hidden, result = step_of(
        solver, system, carry.t, end, carry.state, carry.hidden
    )
    # Where the field is not defined the step is too long, not the solve at its end.
    sound = is_finite((new, error))
    new = jax.tree.map(lambda a, b: jnp.where(sound, a, b), new, carry.state)
    square = scaled_square(problem, carry.state, new, error)
    square = jnp.where(sound, square, jnp.inf)
    keep, factor, control = judge(solver, square, carry.control)
    next_step = (end - carry.t) * factor.astype(carry.t.dtype)
    failed = keep & (result != diffrax.RESULTS.successful)
    return Attempt(new, info, hidden, control, keep, next_step, failed)


@cached_call
def step_of(
    solver: diffrax.AbstractSolver,
    system: AbstractSystem,
    t: Time,
    end: Time,
    state: State,
    hidden: PyTree,
) -> Any:
    """A step of the solver, which is traced once for its shapes and for the loop."""
    return solver.step(TERM, t, end, state, system, hidden, False)

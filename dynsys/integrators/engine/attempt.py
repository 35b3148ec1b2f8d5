"""One step of a solver with the control of its error, tried but not yet taken."""

from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from dynsys.cached_call import cached_call
from dynsys.integrators.engine.carry import Carry
from dynsys.integrators.engine.problem import TERM, Problem
from dynsys.integrators.engine.step_control import judge, scaled_square
from dynsys.integrators.start import is_finite
from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import Time


class Attempt(NamedTuple):
    """A step that was tried.

    Args:
        problem: What is integrated, with its coefficients as they are in the step.
        system: The system that the step follows.
        solver: With what.
        before: Where the run stands before it.
        end: Its end.
        new: The state there.
        info: What the solver keeps of it for its polynomial.
        hidden: What the solver carries on.
        control: What the control of the step size remembers.
        keep: Whether the error is small enough.
        next_step: Size of the step after it, or of the next try.
        failed: Whether the solver itself failed.
    """

    problem: Problem
    system: AbstractSystem
    solver: Any
    before: Carry
    end: Time
    new: State
    info: PyTree
    hidden: PyTree
    control: PyTree
    keep: Bool[Array, ""]
    next_step: Time
    failed: Bool[Array, ""]

    @property
    def path(self) -> Callable[[Time], State]:
        """The state at the times of the step."""
        local = self.solver.interpolation_cls
        return local(t0=self.before.t, t1=self.end, **self.info).evaluate


def attempt(
    problem: Problem, system: AbstractSystem, solver: Any, before: Carry, end: Time
) -> Attempt:
    """Try a step.

    Args:
        problem: What is integrated, with its coefficients as they are in the step.
        system: The system that the step follows.
        solver: With what.
        before: Where the run stands before it.
        end: Its end.
    """
    tried = (problem, system, solver, before, end)
    new, error, info, hidden, result = step_of(
        solver, system, before.t, end, before.state, before.hidden
    )
    # Where the field is not defined the step is too long, not the solve at its end.
    sound = is_finite((new, error))
    new = jax.tree.map(lambda a, b: jnp.where(sound, a, b), new, before.state)
    square = scaled_square(problem, before.state, new, error)
    square = jnp.where(sound, square, jnp.inf)
    keep, factor, control = judge(solver, square, before.control)
    next_step = (end - before.t) * factor.astype(before.t.dtype)
    failed = keep & (result != diffrax.RESULTS.successful)
    return Attempt(*tried, new, info, hidden, control, keep, next_step, failed)


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

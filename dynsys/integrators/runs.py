"""A run of the compiled program, and of another one where the first fails."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from dynsys.checks import is_concrete
from dynsys.integrators.engine.problem import Known
from dynsys.integrators.engine.progress import compiling
from dynsys.integrators.inclusion.rest import FAILURES
from dynsys.integrators.program import prepare_program, run_program
from dynsys.integrators.request import Inputs, Options
from dynsys.integrators.solvers.by_need import MILD, STIFF_LATER
from dynsys.integrators.solvers.default_solver import MOST_EXPLICIT
from dynsys.integrators.unchecked import unchecked
from dynsys.interrupts import in_background, result_of, wait
from dynsys.result import Status
from dynsys.trajectory import Trajectory


def run(inputs: Inputs, options: Options) -> Trajectory:
    """Run the program, and another one if it fails where that may do better.

    Explicit steps that were taken because the start is not stiff may turn out to be too
    many. And few runs are to be looked at for a rest, which is a good part of a program.
    """
    trajectory = _call(inputs, options)
    method, stats, code = options.method, trajectory.stats, trajectory.result.code
    if stats.reason == MILD:
        # A condition or a bound on steps may close over what is traced.
        is_known = is_concrete(code)
        is_done = is_known and not has_failed(code)
        if not is_done and (not is_known or _is_too_stiff(int(code), method.max_steps)):
            hint = Known(explicit=False, why=STIFF_LATER) if is_known else Known()
            implicit = run(inputs, options._replace(method=method._replace(known=hint)))
            if not is_known:
                return implicit
            return _with_cost_of(implicit, stats.gradient_evaluations)
    if method.may_rest or stats.rest_since is None:
        return trajectory
    if is_concrete(code) and not (has_failed(code) and int(code) in FAILURES):
        return trajectory
    return _call(inputs, options._replace(method=method._replace(may_rest=True)))


def _is_too_stiff(code: int, max_steps: int) -> bool:
    """Whether explicit steps became too many or too short, not by a limit of the user."""
    if code == Status.MAX_STEPS:
        return max_steps > MOST_EXPLICIT
    return code in (Status.STEP_UNDERFLOW, Status.TIME_UNRESOLVED)


def _with_cost_of(trajectory: Trajectory, spent: Any) -> Trajectory:
    """A trajectory whose statistics count the gradients of a run before it, too."""
    of_run = lambda tree: tree.stats.gradient_evaluations
    return eqx.tree_at(of_run, trajectory, of_run(trajectory) + spent)


def _call(inputs: Inputs, options: Options) -> Trajectory:
    """Run a program, such that an interrupt is heard."""
    if not (options.method.progress and is_concrete((inputs, jnp.zeros(())))):
        return run_program(inputs, options)
    # JAX returns only at the end of a program that calls Python.
    with compiling():
        run, _ = prepare_program(inputs, options)

    def call() -> Trajectory:
        with unchecked():  # The thread does not know the settings of this one.
            return run(inputs, options)

    return result_of(in_background(call))


def has_failed(code: Any) -> bool:
    """Whether a run has failed, once it has ended."""
    wait(code)
    return bool((np.asarray(code) > Status.STOPPED).any())

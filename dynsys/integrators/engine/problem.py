"""What is integrated, and with what."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dynsys.integrators.solvers.explicit import ExplicitRungeKutta, is_plain
from dynsys.switches import SwitchTimes
from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import Time, dimension, norm, root_mean_square, time_dtype

LARGE = 2048
"""Coordinates of a state above which it is one of networks rather than of the plane: steps
end at outputs instead of interpolating there, because what the default 200 outputs keep of
the steps would take more than 30 MB; and errors are measured array by array."""


class Known(NamedTuple):
    """What is known of a run before its program is compiled.

    Args:
        side_by_side: Whether it is one of many that are computed side by side.
        explicit: Whether explicit steps take less time; `None` where nobody looked.
        why: Why.
    """

    side_by_side: bool = False
    explicit: bool | None = None
    why: str = ""


known: ContextVar[Known] = ContextVar("known")
"""What is known where a run is traced."""


@contextlib.contextmanager
def knowing(what: Known) -> Iterator[None]:
    """Where runs are traced of which something is known."""
    token = known.set(what)
    try:
        yield
    finally:
        known.reset(token)


class Problem(eqx.Module):
    """Everything about a run that may be traced.

    Args:
        system: The system that moves.
        state: Its state at `t0`.
        t0: Start of the integration.
        t1: End of the integration.
        times: Times of the outputs, increasing.
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        code: `Status.SUCCESS`, or why there is nothing to integrate.
        stop_norm: Norm of the gradient at which the run ends, if any.
        stop: Condition that ends the run early, if any.
        switches: Where coefficients switch, if they do.
        landing_times: Other times at which steps end, in order, if any.
        max_step: The largest step at a time, if there is one.
    """

    system: AbstractSystem
    state: State
    t0: Time
    t1: Time
    times: Float[Array, " times"]
    rtol: Float[Array, ""]
    atol: Float[Array, ""]
    code: Int[Array, ""]
    stop_norm: Float[Array, ""] | None
    stop: Callable[..., Any] | None
    switches: SwitchTimes | None = None
    landing_times: Float[Array, " landings"] | None = None
    max_step: Callable[[Time], Any] | None = None


class Method(NamedTuple):
    """Everything about a run that is fixed when it is compiled.

    Args:
        solver: The diffrax solver; `None` until one is picked.
        max_steps: Largest number of steps, accepted or rejected.
        dense: Whether to keep every step, for evaluation at any time.
        lands: Whether steps end at the output times, instead of interpolating there.
        progress: Whether to show how far the run is.
        may_rest: Whether a run that fails is looked at for a rest, if it has kinks.
        known: What is known of it.
    """

    solver: Any
    max_steps: int
    dense: bool
    lands: bool
    progress: bool
    may_rest: bool
    known: Known


def measured(problem: Problem, tree: State) -> State:
    """What the error of a step is measured by, in a state or in an error.

    In a large state each array counts as one number, its root mean square: single weights
    of a network pass through 0 and have no scale of their own, their array has one.
    """
    tree = problem.system.controlled(tree)
    if dimension(problem.state) <= LARGE:
        return tree
    return [root_mean_square(leaf) for leaf in jax.tree.leaves(tree) if leaf.size]


def error_norm(problem: Problem) -> Callable[[State], Time]:
    """The root mean square of what is measured, over all coordinates."""
    if dimension(problem.state) <= LARGE:
        return root_mean_square

    def controlled(state: State) -> Any:
        return problem.system.controlled(state)

    shapes = jax.tree.leaves(jax.eval_shape(controlled, problem.state))
    sizes = [shape.size for shape in shapes if shape.size]

    def weighted(tree: State) -> Time:
        parts = zip(jax.tree.leaves(tree), sizes, strict=True)
        roots = [leaf * (size / sum(sizes)) ** 0.5 for leaf, size in parts]
        return norm(roots).astype(time_dtype(tree))

    return weighted


def vector_field(t: Any, state: State, system: AbstractSystem) -> State:
    """The vector field in the form that diffrax calls."""
    return system.vector_field(jnp.asarray(t), state)


TERM = diffrax.ODETerm(vector_field)


def prepared(
    solver: diffrax.AbstractSolver, problem: Problem, stages: Literal["lax", "bounded"]
) -> diffrax.AbstractSolver:
    """The solver with the tolerances of the run, and with loops that differentiate.

    Args:
        solver: The solver as the user gave it.
        problem: The problem, for its tolerances.
        stages: Which loop a Runge-Kutta method runs over its stages: `"lax"` has a
            forward derivative, `"bounded"` a reverse one, too.
    """
    if isinstance(solver, diffrax.HalfSolver):
        return diffrax.HalfSolver(prepared(solver.solver, problem, stages))
    if is_plain(solver):
        return ExplicitRungeKutta(solver)
    if isinstance(solver, diffrax.AbstractRungeKutta) and solver.scan_kind is None:
        is_none = lambda leaf: leaf is None
        solver = eqx.tree_at(lambda tree: tree.scan_kind, solver, stages, is_leaf=is_none)
    if not isinstance(solver, diffrax.AbstractImplicitSolver):
        return solver
    finder: Any = solver.root_finder
    if eqx.is_array_like(finder.rtol):
        return solver
    finder = eqx.tree_at(
        lambda tree: (tree.rtol, tree.atol, tree.norm),
        finder,
        (problem.rtol, problem.atol, root_mean_square),
    )
    return eqx.tree_at(lambda tree: tree.root_finder, solver, finder)

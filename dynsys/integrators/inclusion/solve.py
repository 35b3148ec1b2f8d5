"""From a problem with kinks to its outputs."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsys.integrators.dense import DenseOutput
from dynsys.integrators.inclusion.loop import run_inclusion
from dynsys.integrators.inclusion.mode import PieceSystem, as_mode
from dynsys.integrators.outputs import outputs
from dynsys.integrators.problem import Method, Problem
from dynsys.integrators.solve import Output, move_to_stop
from dynsys.integrators.stop import has_stop
from dynsys.nonsmooth.pieces import Pieces
from dynsys.systems.system import AbstractSystem, State
from dynsys.trajectory import AbstractDenseOutput, reconcile
from dynsys.trees import Position, from_vector

Time = Float[Array, ""]


@dataclass(frozen=True)
class Polynomial:
    """The polynomial of the solver over one step; the mode is not needed for it."""

    local: Any

    def __call__(self, t0: Time, t1: Time, polynomial: Any, mode: Any) -> Any:
        del mode
        return self.local(t0=t0, t1=t1, **polynomial)


class InclusionOutput(AbstractDenseOutput):
    """The solution of an inclusion at any time, with the mode of each step.

    Args:
        t0: Start of the solution.
        t1: Its end.
        dense: The polynomials, and the modes among their infos.
        pieces: The loss with its kinks.
    """

    t0: Time
    t1: Time
    dense: DenseOutput
    pieces: Pieces

    def state(self, t: Time) -> State:
        return self.dense.state(t)

    def slope(self, t: Time) -> State:
        return self.dense.slope(t)

    def system_at(self, t: Time, system: AbstractSystem) -> PieceSystem:
        row = self.dense.row(t)
        mode = jax.tree.map(lambda leaf: leaf[row], self.dense.infos["mode"])
        return PieceSystem(system=system, objective=self.pieces, mode=as_mode(mode))


@eqx.filter_custom_vjp
def solve_inclusion(
    problem: Problem, pieces: Pieces, method: Method, max_events: int
) -> Output:
    """Integrate a problem whose loss has kinks.

    Args:
        problem: What to integrate.
        pieces: The loss of its system, with the kinks.
        method: With what.
        max_events: Length of the ledger.
    """
    carry, log, info = run_inclusion(problem, pieces, method, max_events)
    assert log.rows is not None
    rows = log.rows
    infos = jax.vmap(lambda row: from_vector(row, info))(rows.infos)
    local = Polynomial(method.solver.interpolation_cls)
    starts, ends = rows.ends[:, 0], rows.ends[:, 1]
    last = carry.base
    dense = DenseOutput(problem.t0, last.t, starts, ends, infos, local)
    if has_stop(problem):
        last, dense = move_to_stop(problem, last, dense)
    states, slopes = outputs(problem, last, log, dense)
    assert slopes is not None
    output = InclusionOutput(problem.t0, last.t, dense, pieces)
    times = jnp.clip(problem.times, problem.t0, last.t)

    def velocity(t: Time, state: State, slope: State) -> Position:
        system = output.system_at(t, problem.system)
        return reconcile(system, t, state, slope, problem.rtol, problem.atol)

    velocities = jax.vmap(velocity)(times, states, slopes)
    kept = output if method.dense else None
    return Output(states, slopes, last, kept, velocities, carry.events, carry.unique)


@solve_inclusion.def_fwd
def _(perturbed: Any, *args: Any) -> Any:
    del perturbed, args
    raise ValueError(
        "A trajectory across kinks has no derivative in this version. Differentiate a "
        "smooth loss, or pass `inclusion='autodiff'`, which ignores that the times of the "
        "events change."
    )


@solve_inclusion.def_bwd
def _(*args: Any) -> Any:
    raise AssertionError(args)

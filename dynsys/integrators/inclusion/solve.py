"""From a problem with kinks to its outputs."""

from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dynsys.dense_output import AbstractDenseOutput
from dynsys.in_chunks import in_chunks
from dynsys.integrators.engine.dense import DenseOutput
from dynsys.integrators.engine.log import Carry, Log, empty_log
from dynsys.integrators.engine.outputs import first_output, outputs
from dynsys.integrators.engine.problem import Method, Problem
from dynsys.integrators.engine.replay import Lines, Replay, pull_back
from dynsys.integrators.engine.solve import PIECE, Output, dense_output, move_to_stop
from dynsys.integrators.engine.stop import has_stop
from dynsys.integrators.engine.switching import between
from dynsys.integrators.inclusion.first_order import march
from dynsys.integrators.inclusion.ledger import Ledger, up_to
from dynsys.integrators.inclusion.loop import run_inclusion
from dynsys.integrators.inclusion.mode import Mode, Sides
from dynsys.integrators.inclusion.pace import may_run_away
from dynsys.integrators.inclusion.piece_system import PieceSystem
from dynsys.integrators.inclusion.rest import at_rest, come_to_rest, may_rest
from dynsys.integrators.inclusion.saltation import once
from dynsys.integrators.inclusion.start import Start, across_kinks, off_kinks
from dynsys.integrators.inclusion.turn import in_mode
from dynsys.integrators.inclusion.turns import Polynomial, Turns
from dynsys.nonsmooth.pieces import Pieces
from dynsys.result import Derivative, Status
from dynsys.systems.system import AbstractSystem, State
from dynsys.systems.velocity import reconcile
from dynsys.trajectory import KinkEvents
from dynsys.trees import Position, constant, zeros_like

Time = Float[Array, ""]


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

    @property
    def joints(self) -> Float[Array, " rows"]:
        return self.dense.joints

    def state(self, t: Time) -> State:
        return self.dense.state(t)

    def slope(self, t: Time) -> State:
        return self.dense.slope(t)

    def mode(self, t: Time) -> Mode:
        """The mode at a time."""
        return self.dense.info(self.dense.row(t))["sides"].mode()

    def between_switches(self, t: Time, system: AbstractSystem) -> AbstractSystem:
        return self.dense.between_switches(t, system)

    def system_at(self, t: Time, system: AbstractSystem) -> PieceSystem:
        system = self.between_switches(t, system)
        return PieceSystem(system=system, objective=self.pieces, mode=self.mode(t))


class HybridOutput(NamedTuple):
    """What a solve of an inclusion gives back, of which the ledger is made.

    Args:
        output: The outputs, without velocities.
        steps: The steps, without derivative.
        start: What was found at the start.
        ledger: What happened at the kinks.
        derivative: A `Derivative`.
    """

    output: Output
    steps: DenseOutput
    start: Start
    ledger: Ledger
    derivative: Int[Array, ""]


def solve_inclusion(
    problem: Problem, method: Method, max_events: int, adjoint: diffrax.ForwardMode | None
) -> Output:
    """Integrate a problem whose loss has kinks. Differentiable in every array of it.

    Args:
        problem: What to integrate; the objective of its system is a
            `dynsys.nonsmooth.pieces.Pieces`.
        method: With what.
        max_events: Length of the ledger.
        adjoint: `None` for reverse mode, `diffrax.ForwardMode()` for forward mode.
    """
    solve = _solve_reversible if adjoint is None else _solve_forward
    output, steps, start, ledger, derivative = solve(problem, method, max_events)
    times = jnp.clip(problem.times, problem.t0, output.last.t)

    def velocity(t: Time, state: State, slope: State) -> Position:
        row = steps.row(constant(t))
        here = between(problem, steps.starts[row], steps.ends[row])
        begins, sides = t <= problem.t0, steps.info(row)["sides"]
        sides = jax.tree.map(lambda a, b: jnp.where(begins, a, b), start.sides, sides)
        system = in_mode(here, sides.mode())
        tolerances = (problem.rtol, problem.atol)
        return reconcile(system, t, state, slope, *tolerances, ~begins)

    velocities = in_chunks(velocity, times, output.states, output.slopes)
    pieces: Any = problem.system.objective
    lines = (ledger.lines, ledger.t, ledger.kink, ledger.kind)
    events = KinkEvents(*lines, pieces.places)
    return output._replace(velocities=velocities, events=events, derivative=derivative)


def _solve_forward(problem: Problem, method: Method, max_events: int) -> HybridOutput:
    return _solve(problem, method, max_events)[0]


@eqx.filter_custom_vjp
def _solve_reversible(problem: Problem, method: Method, max_events: int) -> HybridOutput:
    return _solve(problem, method, max_events)[0]


@_solve_reversible.def_fwd
def _(
    perturbed: Any, problem: Problem, method: Method, max_events: int
) -> tuple[HybridOutput, Replay]:
    del perturbed
    hybrid, log, turns = _solve(problem, method, max_events, PIECE)
    assert log.record is not None
    last = hybrid.output.last
    failed = (last.code > Status.STOPPED) | (hybrid.derivative == int(Derivative.NONE))
    lines = Lines(hybrid.ledger.turn, hybrid.ledger.kink)
    kept = (turns, lines, hybrid.start.bends)
    return hybrid, Replay(log.record, PIECE, last.accepted, last.t, failed, *kept)


@_solve_reversible.def_bwd
def _(
    replay: Replay,
    cotangent: HybridOutput,
    perturbed: Any,
    problem: Problem,
    method: Method,
    max_events: int,
) -> Any:
    del perturbed, max_events
    output, times = cotangent.output, cotangent.ledger.t
    if output.dense is not None:
        whole: Any = output.dense
        output = output._replace(dense=whole.dense)
    gradient = pull_back(problem, method, replay, output, times)
    variables = eqx.filter(problem, eqx.is_inexact_array)
    gradient = jax.tree.map(once, gradient, variables)
    pieces: Any = problem.system.objective
    position = problem.system.position
    spoiled = jax.tree.map(
        lambda leaf, bad: jnp.where(bad, jnp.nan, leaf),
        position(gradient.state),
        across_kinks(pieces, position(problem.state), replay.bends),
    )
    return eqx.tree_at(lambda tree: position(tree.state), gradient, spoiled)


def _solve(
    problem: Problem, method: Method, max_events: int, piece: int | None = None
) -> tuple[HybridOutput, Log, Turns | None]:
    carry, log, info = run_inclusion(problem, method, max_events, piece=piece)
    first_order = rest_since = None
    kept = lambda y0, y1, signs: {
        "polynomial": {"y0": y0, "y1": y1, "k": (zeros_like(y0),) * 3},
        "sides": Sides(signs, jnp.zeros_like(signs)),
    }
    if may_rest(problem):
        rest_since = jnp.full_like(problem.t0, jnp.inf)
    if may_rest(problem) and method.may_rest:
        last, log, rest_since = come_to_rest(problem, method, carry.base, log, kept)
        carry = at_rest(carry, last, rest_since)
    if may_run_away(problem.system):
        last, log, first_order = march(
            problem, method, carry.base, log, kept, carry.pace.swing
        )
        carry = carry._replace(base=last)
    rows = log.rows
    assert rows is not None
    local = Polynomial(method.solver.interpolation_cls)
    last = carry.base
    dense = dense_output(problem, last.t, rows, info, local)
    if has_stop(problem):
        last, dense = move_to_stop(problem, last, dense)
    # At the start the velocity is that of the equation.
    pieces: Any = problem.system.objective
    state = off_kinks(problem.system, pieces, problem.state, carry.start.bends)
    first = (state, zeros_like(state))
    states, slopes = outputs(problem, first, last, log, dense)
    assert slopes is not None
    whole = InclusionOutput(problem.t0, last.t, dense, pieces)
    output = Output(states, slopes, last, whole if method.dense else None)
    output = output._replace(unique=carry.unique, first_order=first_order)
    output = output._replace(rest_since=rest_since)
    ledger, derivative = carry.ledger, carry.derivative
    if has_stop(problem):
        ledger = up_to(ledger, last.t)
    hybrid = HybridOutput(output, *constant((dense, carry.start)), ledger, derivative)
    return hybrid, log, carry.turns


@eqx.filter_custom_vjp
def solve_in_first_order(problem: Problem, method: Method) -> Output:
    """Integrate a problem with more kinks than can be followed, in steps of order 1.

    Args:
        problem: What to integrate.
        method: With how many steps at most.
    """
    info = lambda y0, y1, _: {"y0": y0, "y1": y1}
    like = info(problem.state, problem.state, None)
    log = empty_log(problem, method, like, None)
    none, zero = jnp.zeros_like(problem.t0), jnp.zeros((), int)
    start = Carry(
        problem.t0, problem.state, None, None, none, none, zero, zero, problem.code
    )
    last, log, first_order = march(problem, method, start, log, info)
    dense = None
    if log.rows is not None:
        local = method.solver.interpolation_cls
        dense = dense_output(problem, last.t, log.rows, like, local)
        if has_stop(problem):
            last, dense = move_to_stop(problem, last, dense)
    states, slopes = outputs(problem, first_output(problem), last, log, dense)
    kept = dense if method.dense else None
    return Output(states, slopes, last, kept, first_order=first_order)


@solve_in_first_order.def_fwd
def _(perturbed: Any, *args: Any) -> Any:
    del perturbed, args
    raise ValueError(
        "Steps of first order, which are for losses with very many kinks, have no "
        "derivative. If kinks are only crossed and nothing comes to rest on them, pass "
        "`inclusion='autodiff'` for the gradients that JAX returns."
    )


@solve_in_first_order.def_bwd
def _(*args: Any) -> Any:
    raise AssertionError(args)

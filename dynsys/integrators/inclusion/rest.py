r"""Runs that are at rest where kinks meet in a way that no step can follow.

Where a cusp between kinks ends in a minimiser, what moves a run is soon less than rounding,
and events, signs or step sizes come to nothing. A run that is about to fail is looked at
once: it rests if steps of the implicit method of Moreau, of all sizes up to what is left,

$$z^+ = z + h\,(A z^+ + b\,\nabla f_w(x)), \qquad w_i \in \mathrm{Sgn}\,z_i(x^+),$$

leave its position where it is, up to `PART` of the tolerance; if the longest does so
without the momentum, too, which may hold it on a kink until it fades; and if nothing there
is unstable: no kink within reach is concave, and no piece bends down. For the gradient flow
of a convex loss the step of size $h$ is the proximal point $x^+$, and with the distance
$r = \|x^+ - x\|$ the solution stays within $3r$ of $x$ for as long: solutions do not move
apart, and that from $x^+$ is no faster than $r/h$. A slope of 1e-8 moves a run in a time of
1e9 and does so here, because the largest step is as long as that. For systems with momentum
the steps of all sizes stand for excursions that come back.

Then position and velocity are those of a rest up to the end.

Source:
    H. Brezis, Opérateurs maximaux monotones, North-Holland 1973, chapter III, for what
    does not move apart; derived for the rest.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from dynsys.integrators.engine.carry import Carry
from dynsys.integrators.engine.log import Log
from dynsys.integrators.engine.one_step import Move, take
from dynsys.integrators.engine.problem import Method, Problem
from dynsys.integrators.engine.ranges import leaves_range
from dynsys.integrators.engine.switching import between
from dynsys.integrators.inclusion.course import Course
from dynsys.integrators.inclusion.first_order import aim_of
from dynsys.integrators.inclusion.mode import free_mode
from dynsys.integrators.inclusion.piece_system import REACH
from dynsys.integrators.inclusion.saltation import without_derivative
from dynsys.integrators.inclusion.turn import in_mode
from dynsys.nonsmooth.active_set import find_signs
from dynsys.nonsmooth.at_signature import AtSignature
from dynsys.nonsmooth.pieces import Pieces, Signature
from dynsys.result import Derivative, Status
from dynsys.systems.system import State
from dynsys.trees import (
    Position,
    Time,
    as_vector,
    constant,
    dimension,
    from_vector,
    largest,
)

Kept = Callable[[State, State, Signature], dict[str, Any]]

FAILURES = (Status.STEP_UNDERFLOW, Status.MAX_EVENTS, Status.UNSETTLED)
"""How a run ends that may be at rest."""

PART = 1e-2
"""Part of the absolute tolerance that a run at rest may move by."""

ROUNDINGS = 256
"""To which are added that many roundings of the position."""

LOOKS, SHORTER = 16, 0.25
"""Steps that are tried, and how much each is shorter than the next: down to 1e-9 of all."""

MOST = 64
"""Dimension up to which it is looked whether a piece bends down."""


class Rest(NamedTuple):
    """Whether and how a run is at rest.

    Args:
        is_sure: Whether it is.
        signature: Signs of all kinks with which nothing moves.
    """

    is_sure: Bool[Array, ""]
    signature: Signature


def may_rest(problem: Problem) -> bool:
    """Whether a run that fails is looked at: with two kinks or more, in few dimensions."""
    x = problem.system.position(problem.state)
    pieces: Any = problem.system.objective
    return pieces.number > 1 and problem.system.has_feedback and dimension(x) <= MOST


def come_to_rest(
    problem: Problem, method: Method, last: Carry, log: Log, kept: Kept
) -> tuple[Carry, Log, Time]:
    """A run that failed where it is at rest, gone on to its end.

    Args:
        problem: What is solved.
        method: With what.
        last: Where the run stands.
        log: What is written down so far.
        kept: What is kept of a step in which nothing moves.

    Returns:
        The run at its end, what is written down, and since when it is at rest: `inf` if it
        is not, and all is as it was.
    """
    fails = jnp.any(jnp.stack([last.code == int(status) for status in FAILURES]))
    pieces: Any = problem.system.objective
    natural = pieces.signature(problem.system.position(last.state))
    is_left = lambda now: (
        (now.t < problem.t1) & (now.accepted + now.rejected < method.max_steps)
    )
    asked = fails & is_left(last)
    rest = jax.lax.cond(
        asked,
        lambda: _look(constant(problem), constant(last.t), constant(last.state), asked),
        lambda: Rest(jnp.asarray(False), natural),
    )
    # How it came to rest has no derivative.
    spoils = jax.tree.map(lambda leaf: jnp.full(leaf.shape, rest.is_sure), last.state)
    code = jnp.where(rest.is_sure, int(Status.SUCCESS), last.code)
    begin = last._replace(state=without_derivative(last.state, spoils), code=code)
    step = lambda loop: _step(problem, method, rest.signature, kept, loop)
    goes_on = lambda loop: (
        rest.is_sure & is_left(loop[0]) & (loop[0].code == Status.SUCCESS)
    )
    now, log = jax.lax.while_loop(goes_on, step, (begin, log))
    short = rest.is_sure & (now.t < problem.t1) & (now.code == Status.SUCCESS)
    code = jnp.where(short, int(Status.MAX_STEPS), now.code)
    since = jnp.where(rest.is_sure, last.t, jnp.inf)
    return now._replace(code=code), log, constant(since)


def at_rest(course: Course, since: Time) -> Course:
    """What is carried after a rest, if there is one.

    Args:
        course: What was carried before.
        since: Since when nothing moves; `inf` if that is not so.
    """
    rests, ledger = since < jnp.inf, course.ledger
    lines = jnp.where(rests, jnp.minimum(ledger.lines, len(ledger.kink)), ledger.lines)
    derivative = jnp.where(rests, int(Derivative.NONE), course.derivative)
    ledger = ledger._replace(lines=lines)
    return course._replace(ledger=ledger, derivative=derivative, rest_since=since)


def _step(
    problem: Problem, method: Method, signature: Signature, kept: Kept, loop: Any
) -> tuple[Carry, Log]:
    """One step in which nothing moves, to where a step has to end."""

    def move(problem: Problem, t: Time, end: Time, state: State) -> Move:
        pieces: Any = problem.system.objective
        piece = AtSignature(pieces, signature)
        system = eqx.tree_at(lambda tree: tree.objective, problem.system, piece)
        x = system.position(state)
        first, new = (system.initial_state(time, x, None) for time in (t, end))
        return Move(new, system, kept(first, new, signature))

    return take(problem, method, loop, problem.t1 - loop[0].t, move)[:2]


def _look(problem: Problem, t: Time, state: State, asked: Bool[Array, ""]) -> Rest:
    """Whether a state is at rest, and signs of the kinks with which it is.

    Args:
        problem: What is solved.
        t: Time.
        state: The state.
        asked: Whether that matters: a batch looks at all its members at once.
    """
    pieces: Any = problem.system.objective
    x = problem.system.position(state)
    natural = pieces.signature(x)
    z, normals = pieces.normals(x, natural, jnp.eye(pieces.number, dtype=bool))
    unit = float(jnp.finfo(z.dtype).eps)
    room = PART * problem.atol.astype(z.dtype) + ROUNDINGS * unit * largest(x)
    free = in_mode(problem, free_mode(natural, constant(pieces.sizes(x))))
    reach = 2 * room * jnp.sum(jnp.abs(normals), axis=1) + REACH * free.slack(state)
    meeting, none = jnp.abs(z) <= reach, jnp.zeros(pieces.number, bool)
    doubtful = jnp.asarray(pieces.mixed, bool) | jnp.asarray(pieces.unproved, bool)

    def look(loop: tuple[Any, Rest]) -> tuple[Any, Rest]:
        i, _ = loop
        power = jnp.maximum(LOOKS - 1 - i, 0).astype(t.dtype)
        size = (problem.t1 - t) * SHORTER**power
        end = jnp.where(power == 0, problem.t1, t + size)
        system = between(problem, t, end).system
        aim = aim_of(system, end, size, state, z)
        # What holds it may be a momentum that fades.
        aim = aim._replace(drift=jnp.where(i == LOOKS, 0, aim.drift))
        found = find_signs(pieces, x, aim, natural, meeting, none, none)
        move = aim.drift + aim.factor * as_vector(pieces.gradient(x, found.signature))
        stays = jnp.all(jnp.abs(move) <= room) & found.settled & found.unique
        is_concave = jnp.any(found.bends & found.ties.is_concave)
        fine = stays & ~is_concave & ~leaves_range(system, end)
        return i + 1, Rest(fine, found.signature)

    goes_on = lambda loop: loop[1].is_sure & (loop[0] <= LOOKS)
    begin = (jnp.asarray(0), Rest(asked & ~jnp.any(meeting & doubtful), natural))
    rest = jax.lax.while_loop(goes_on, look, begin)[1]
    return rest._replace(is_sure=_is_stable(pieces, x, rest, meeting))


def _is_stable(
    pieces: Pieces, x: Position, rest: Rest, meeting: Bool[Array, " kinks"]
) -> Bool[Array, ""]:
    """Whether also no piece bends down, of the signs of a rest or with one on a side."""
    vector, everyone = as_vector(x), jnp.arange(pieces.number)
    piece = lambda vector, signs: pieces.piece(from_vector(vector, x), signs)

    def look(loop: tuple[Any, Any]) -> tuple[Any, Any]:
        i, _ = loop
        turned, side = meeting & (everyone == i // 2), 2 * (i % 2) - 1
        signs = jnp.where(turned, side.astype(rest.signature.dtype), rest.signature)
        return i + 1, _is_positive(jax.hessian(piece)(vector, signs))

    goes_on = lambda loop: loop[1] & (loop[0] < 2 * pieces.number)
    return jax.lax.while_loop(goes_on, look, (jnp.asarray(0), rest.is_sure))[1]


def _is_positive(matrix: Float[Array, "dim dim"]) -> Bool[Array, ""]:
    """Whether a symmetric matrix is positive semidefinite up to rounding."""
    size, info = len(matrix), jnp.finfo(matrix.dtype)
    shift = size * ROUNDINGS * float(info.eps) * jnp.max(jnp.abs(matrix))
    begin = matrix + (shift + float(info.tiny)) * jnp.eye(size, dtype=matrix.dtype)

    def eliminate(k: Any, loop: tuple[Any, Any]) -> tuple[Any, Any]:
        rest, fine = loop
        pivot = rest[k, k]
        rest = rest - jnp.outer(rest[:, k], rest[k]) / jnp.where(pivot > 0, pivot, 1)
        return rest, fine & (pivot > 0)

    return jax.lax.fori_loop(0, size, eliminate, (begin, jnp.asarray(True)))[1]

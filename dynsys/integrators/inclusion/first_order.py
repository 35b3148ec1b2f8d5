r"""Steps of first order with the kinks at their end, for what no event can follow.

Without Hessian-driven damping a trajectory crosses a kink ever faster, and networks have
more kinks than can be followed one by one. A step of size $h$ takes the linear part of the
equation, and the signs $w$ of the kinks, at its end,

$$z^+ = z + h\,(A z^+ + b\,\nabla f_w(x)), \qquad w_i \in \mathrm{Sgn}\,z_i(x^+),$$

with the switching functions linearised at $x$: the prox-implicit step of Moreau. The number
of steps is doubled until the solution changes by less than the tolerance, but no less than
`LEAST`, and so that the signs of each step agree with it; if they do not in as many steps
as there may be, the run ends where they first did not. The estimate of the error is 2.5
times the last change: where kinks are crossed fast the order falls from 1 to a half, and
the error is 2.4 times the last change then. To it is added how far the solution swung
across the kinks when the events were given up.

Source:
    J. J. Moreau, "Numerical aspects of the sweeping process", Comput. Methods Appl. Mech.
    Engrg. 177 (1999); V. Acary and B. Brogliato, Numerical Methods for Nonsmooth Dynamical
    Systems, Springer 2008, chapter 9.
"""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from dynsys.integrators.engine.carry import Carry
from dynsys.integrators.engine.log import Log, rewound
from dynsys.integrators.engine.one_step import Move, take
from dynsys.integrators.engine.outputs import choose
from dynsys.integrators.engine.problem import Method, Problem
from dynsys.integrators.solvers.cost import Steps
from dynsys.nonsmooth.active_set import find_signs
from dynsys.nonsmooth.pieces import Pieces
from dynsys.nonsmooth.search import Aim
from dynsys.result import Status
from dynsys.systems.feedback import Feedback
from dynsys.systems.system import AbstractSystem, State
from dynsys.trajectory import FirstOrder
from dynsys.trees import Time, as_vector, combine

Kept = Callable[[State, State, Float[Array, " kinks"]], dict[str, PyTree]]

FEWEST = 256
"""Steps of the first try."""

LEAST = 1e-3
"""Relative change that ends the doubling: at order 1 digits are dear."""

MOST_LOOKS = 1024
"""Times at which passes are compared."""

PESSIMISM = 2.5
"""The error over the last change, for order 1/2."""


class SemiImplicitEuler(eqx.Module):
    """The method of first order, as a name for `trajectory.stats` and a polynomial."""

    interpolation_cls: ClassVar[Any] = diffrax.LocalLinearInterpolation

    def count(self, steps: Steps) -> tuple[Any, Any]:
        """A step takes one evaluation, and none is needed to choose the first."""
        return steps.attempts, 0


class Pass(NamedTuple):
    """One pass over the interval with a number of steps.

    Args:
        carry: Where it stands.
        log: What is written down.
        seen: Positions, to compare passes with each other.
        unsettled: Start of the first step whose signs do not agree, infinity if all do.
        number: The number of steps.
    """

    carry: Carry
    log: Log
    seen: Any
    unsettled: Time
    number: Int[Array, ""]


def integrate_in_first_order(
    problem: Problem, method: Method, start: Carry, log: Log, kept: Kept, swing: Any = 0.0
) -> tuple[Carry, Log, FirstOrder]:
    """From where a solve stands to its end, in steps of first order.

    Args:
        problem: What to integrate.
        method: With how many steps at most.
        start: Where the solve stands.
        log: What is written down so far.
        kept: What is kept of a step, from both its states and its signs.
        swing: How far positions swing across kinks at the start, which steps of any size
            may miss.
    """
    budget = method.max_steps - start.accepted - start.rejected
    used = (start.t < problem.t1) & (start.code == Status.SUCCESS)
    landings = len(problem.times) if method.lands else 0
    short = used & (budget < FEWEST + landings)
    code = jnp.where(short, int(Status.MAX_STEPS), start.code)
    start = start._replace(code=code)
    empty = _seen(problem, method, start.state)

    def walk(number: Int[Array, ""], over: Log) -> Pass:
        h = (problem.t1 - start.t) / number.astype(start.t.dtype)
        advance = lambda loop: _step(problem, method, kept, h, loop)
        running = lambda loop: (loop[0].t < problem.t1) & (loop[0].code == Status.SUCCESS)
        begin = (start, rewound(over, log), empty, jnp.full_like(start.t, jnp.inf))
        return Pass(*jax.lax.while_loop(running, advance, begin), number)

    def double(loop: tuple[Pass, Any]) -> tuple[Pass, Any]:
        last, unknown = loop
        new = walk(2 * last.number, last.log)
        change = _largest(jax.tree.map(jnp.subtract, new.seen, last.seen))
        return new, jnp.where(new.number > FEWEST, change, unknown)

    def goes_on(loop: tuple[Pass, Any]) -> Any:
        last, change = loop
        # With those that were thrown away before.
        room = 4 * last.number + landings <= budget
        # Long steps may be unstable, so that the state grows beyond all numbers.
        code = last.carry.code
        going = (code <= Status.STOPPED) | (code == Status.STEP_UNDERFLOW)
        target = problem.atol + jnp.maximum(problem.rtol, LEAST) * _largest(last.seen)
        # The signs of kinks that move little in a step agree sooner.
        settles = jnp.isinf(last.unsettled)
        again = used & room & going & ~(settles & (change <= target))
        return again | (last.number < FEWEST)

    # Nothing is known before the first pass, which is one of the loop.
    unknown = jnp.full((), jnp.inf, start.t.dtype)
    none = Pass(start, log, empty, unknown, jnp.asarray(FEWEST // 2))
    last, change = jax.lax.while_loop(goes_on, double, (none, unknown))
    number = jnp.where(used, last.number, 0)
    since = jnp.where(used, start.t, jnp.inf)
    thrown = jnp.where(used, last.number - FEWEST, 0)
    carry = last.carry._replace(rejected=last.carry.rejected + thrown)
    fails = used & jnp.isfinite(last.unsettled) & (carry.code <= Status.STOPPED)
    carry = carry._replace(
        t=jnp.where(fails, jnp.minimum(carry.t, last.unsettled), carry.t),
        code=jnp.where(fails, int(Status.UNSETTLED), carry.code),
    )
    error = jnp.where(used, PESSIMISM * change + swing, 0)
    return carry, last.log, FirstOrder(since, number, error)


def _seen(problem: Problem, method: Method, state: State) -> Any:
    """Room for positions at some times, or at the end only where they are large."""
    x = problem.system.position(state)
    if method.lands:
        return x
    repeat = lambda leaf: jnp.broadcast_to(leaf, (len(_looks(problem)), *leaf.shape))
    return jax.tree.map(repeat, x)


def _looks(problem: Problem) -> Float[Array, " times"]:
    """The output times, or some of many, at which passes are compared."""
    count = len(problem.times)
    return problem.times[np.linspace(0, count - 1, min(count, MOST_LOOKS)).astype(int)]


def _largest(tree: Any) -> Float[Array, ""]:
    return jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(tree)]))


def _step(
    problem: Problem,
    method: Method,
    kept: Kept,
    h: Time,
    loop: tuple[Carry, Log, Any, Time],
) -> tuple[Carry, Log, Any, Time]:
    before, log, seen, unsettled = loop

    def move(problem: Problem, t: Time, end: Time, state: State) -> Move:
        new, signs, settles = _euler(problem, t, end - t, state)
        return Move(new, problem.system, kept(state, new, signs), settles)

    after, log, moved = take(problem, method, (before, log), h, move)
    t, end, system = before.t, after.t, problem.system
    unsettled = jnp.where(moved.aside, unsettled, jnp.minimum(unsettled, t))
    x0, x1 = system.position(before.state), system.position(moved.state)
    if method.lands:
        return after, log, x1, unsettled
    times = _looks(problem)
    inside = (times > t) & (times <= end)
    theta = (times - t) / jnp.where(end > t, end - t, 1)

    def put(leaf: Array, a: Array, b: Array) -> Array:
        between = jax.vmap(lambda s: a + s.astype(a.dtype) * (b - a))(theta)
        return choose(inside, between, leaf)

    return after, log, jax.tree.map(put, seen, x0, x1), unsettled


def _euler(problem: Problem, t: Time, h: Time, state: State) -> tuple[State, Any, Any]:
    """One step, the signs of the kinks at its end, and whether they agree with it."""
    system = problem.system
    feedback: Any = system.feedback(t)
    x = system.position(state)
    pieces = system.objective
    if not isinstance(pieces, Pieces):
        gradient = system.gradient(x)
        none = jnp.zeros(0, t.dtype)
        return _implicit(feedback, h, state, gradient), none, jnp.asarray(True)
    signature = pieces.signature(x)
    z = pieces.switching(x, signature)
    aim = aim_of(system, t, h, state, z)
    everyone, none = jnp.ones(len(z), bool), jnp.zeros(len(z), bool)
    found = find_signs(pieces, x, aim, signature, everyone, none, none)
    new = _implicit(feedback, h, state, pieces.gradient(x, found.signature))
    return new, found.signature, found.settled


def aim_of(
    system: AbstractSystem, t: Time, h: Time, state: State, z: Float[Array, " kinks"]
) -> Aim:
    """What the signs at the end of a step decide about: how far positions move in it.

    Args:
        system: The system.
        t: Time at which its coefficients are looked at.
        h: Size of the step.
        state: State at its start.
        z: The switching values there.
    """
    feedback: Any = system.feedback(t)
    x = system.position(state)
    zero = jax.tree.map(jnp.zeros_like, x)
    move = lambda gradient: as_vector(
        combine((1.0, system.position(_implicit(feedback, h, state, gradient))), (-1.0, x))
    )
    drift = move(zero)
    # All coordinates move by one multiple of the gradient.
    factor = (move(jax.tree.map(jnp.ones_like, x)) - drift)[0]
    return Aim(drift.astype(z.dtype), factor.astype(z.dtype), z)


def _implicit(feedback: Feedback, h: Time, state: State, gradient: Any) -> State:
    """The step with a given gradient, its linear part taken at the end."""
    dtype = as_vector(state).dtype
    h = h.astype(dtype)
    feedback = jax.tree.map(lambda scalar: jnp.asarray(scalar, dtype), feedback)
    alone = feedback._replace(coupling=jnp.zeros_like(feedback.coupling))
    rates = [combine((h, rate)) for rate in alone.rates(state, gradient)]
    (a11, *a12), k = feedback.linear[0], feedback.coupling
    if not a12:
        moves = (combine((1 / (1 - h * a11), rates[0])),)
    else:
        a21, a22 = feedback.linear[1]
        p, q = 1 - h * (a11 + a12[0] * k), 1 - h * a22
        r, s = h * a12[0], h * (a21 + a22 * k)
        first = combine((q / (p * q - r * s), rates[0]), (r / (p * q - r * s), rates[1]))
        rest = combine((1 / q, rates[1]), (s / q + k, first))
        moves = (first, rest)
    return type(state)(
        *(combine((1.0, z), (1.0, u)) for z, u in zip(state, moves, strict=True))
    )

"""A look, on the host, at the place where a run failed."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.integrators.solvers.rodas5p import Rodas5P
from dynsys.integrators.solvers.stiffness import fastest_rate
from dynsys.integrators.start import is_finite
from dynsys.result import Result, Status
from dynsys.systems.damped_newton import DENSE_LIMIT, AbstractDampedNewton
from dynsys.systems.system import AbstractSystem, State
from dynsys.trajectory import KinkEvents, Stats
from dynsys.trees import Position, as_vector, combine, dimension, from_vector, norm

STABILITY = 1.0
"""Explicit methods of order 2 to 8 are stable for step times rate up to 2 to 7; beyond
one it is stability that sets the step."""

FEWEST_GAPS = 3
"""Times between events, in each half of a ledger, that tell whether they become shorter."""

FASTER = 0.7
"""Part of their mean in the first half that is shorter. A chirp of constant damping halves
it many times over."""

REACHES = (100.0, 10.0)
"""Distances ahead and behind, in steps, over which the gradient is compared. A solver that
chatters about a kink is tens of its steps away from it at most."""

JUMP = 0.1
"""A gradient whose change over a shrinking distance stays above this part of its size
jumps there."""


def advise(
    system: AbstractSystem, state: State, result: Result, events: KinkEvents, stats: Stats
) -> str:
    """What can be said of a failed run, from the state where it failed.

    Args:
        system: The system that moved.
        state: Its last state.
        result: How the run ended.
        events: What happened at kinks.
        stats: With what it was solved, and how.
    """
    status = Status(int(result.code))
    if status in (Status.LOSS_JUMPS, Status.GRADIENT_JUMPS, Status.UNSETTLED):
        last = min(int(events.count), len(events.kink)) - 1
        return f"It is {events.place(int(events.kink[last]))}." if last >= 0 else ""
    if status is Status.MAX_EVENTS:
        return _ledger_advice(events)
    if status in (Status.NOT_POSITIVE_DEFINITE, Status.STEP_UNDERFLOW) and isinstance(
        system, AbstractDampedNewton
    ):
        return _hessian_advice(system, state)
    if status is Status.COEFFICIENT_OUT_OF_RANGE:
        return _coefficient_advice(system, result)
    if status in (Status.NOT_FINITE_AT_START, Status.STEP_UNDERFLOW):
        found = _nan_advice(system, state)
        if found or status is Status.NOT_FINITE_AT_START:
            return found
    if status in (Status.MAX_STEPS, Status.STEP_UNDERFLOW):
        return _speed_advice(system, state, result, events, stats)
    return ""


def _ledger_advice(events: KinkEvents) -> str:
    """How the events follow each other that fill the ledger."""
    t = np.asarray(events.t)[: int(events.count)]
    gaps = np.diff(t)
    if len(gaps) < 2 * FEWEST_GAPS:
        return ""
    early, late = np.mean(np.split(gaps[len(gaps) % 2 :], 2), axis=1)
    if late < FASTER * early:
        return (
            f"The {len(t)} events that it holds follow each other ever faster, in the end "
            f"every {gaps[-1]:.3g}. Where they pile up, no room is enough: a system with "
            f"Hessian-driven damping comes to rest on a kink instead."
        )
    return (
        f"The {len(t)} events that it holds follow each other every {gaps.mean():.3g} on "
        f"average: count with {1 / gaps.mean():.3g} per unit of time."
    )


def _speed_advice(
    system: AbstractSystem, state: State, result: Result, events: KinkEvents, stats: Stats
) -> str:
    """Why steps are so short or so many: kinks, or a gradient that changes fast."""
    if stats.first_order is not None and math.isfinite(float(stats.first_order.since)):
        return (
            f"From t = {float(stats.first_order.since):.6g} on, kinks are too many or too "
            f"close for other steps than those of first order, whose number grows as the "
            f"tolerances fall: rather loosen them."
        )
    if events.places:
        steps = int(stats.steps) + int(stats.rejected)
        return (
            f"Steps end where a kink is met, which happened {int(events.count)} times in "
            f"{steps} steps."
        )
    if _gradient_jumps(system, state, result):
        return (
            "The problem looks non-smooth there: the gradient jumps. A solver for smooth "
            "problems crawls at a kink: leave `solver` and `inclusion` out if set, "
            "loosen the tolerances, or smooth the objective."
        )
    rate = float(fastest_rate(system, jnp.asarray(result.t), state))
    is_stiff = float(result.step) * rate > STABILITY and stats.solver != Rodas5P.__name__
    if is_stiff and int(result.code) == Status.MAX_STEPS:
        return (
            f"The problem looks stiff there: step size times fastest rate is "
            f"{float(result.step) * rate:.3g}. Use the default solver or "
            f"`dynsys.integrators.Rodas5P()`."
        )
    return ""


def _nan_advice(system: AbstractSystem, state: State) -> str:
    """Whether only the gradient is not a number: then it comes from a side not taken."""
    value, gradient = jax.value_and_grad(system.objective)(system.position(state))
    if not bool(jnp.isfinite(value)) or bool(is_finite(gradient)):
        return ""
    return (
        "There the loss is finite and its gradient is not a number. If it selects by "
        "`jnp.where(ok, g(x), other)`, the derivative of `g` on the side that is not taken "
        "gets in: select its argument, too, as in "
        "`jnp.where(ok, g(jnp.where(ok, x, 1.0)), other)`."
    )


def _coefficient_advice(system: AbstractSystem, result: Result) -> str:
    t = jnp.asarray(result.t)
    for constraint in system.constraints:
        value = float(constraint.at(t))
        fine = {"positive": value > 0, "at least 0": value >= 0, "finite": True}
        if not (math.isfinite(value) and fine[constraint.kind]):
            return (
                f"There `{constraint.name}`, which must be {constraint.kind}, has value "
                f"{value:.6g}."
            )
    return ""


def _hessian_advice(system: AbstractDampedNewton, state: State) -> str:
    x = system.position(state)
    if dimension(x) > DENSE_LIMIT:
        return ""
    value = lambda vector: system.objective(from_vector(vector, x))
    hessian = jax.hessian(value)(as_vector(x))
    smallest = float(jnp.linalg.eigvalsh(hessian)[0])
    return (
        f"At x = {x} the smallest eigenvalue of the Hessian of the objective is "
        f"{smallest:.6g}: where beta times it plus the viscous damping (or the "
        f"regularization) is not positive, no Newton direction leads on."
    )


def _gradient_jumps(system: AbstractSystem, state: State, result: Result) -> bool:
    """Whether the gradient changes by a fixed amount over ever shorter distances."""
    x = system.position(state)
    v = system.velocity(jnp.asarray(result.t), state)
    step = float(result.step)
    changes = [_gradient_change(system, x, v, reach * step) for reach in REACHES]
    size = float(norm(system.gradient(x)))
    if not all(map(math.isfinite, (*changes, size))):
        return False
    shrinks = changes[1] < 0.5 * changes[0]
    return changes[1] > JUMP * size and not shrinks


def _gradient_change(
    system: AbstractSystem, x: Position, v: Position, reach: float
) -> float:
    ahead = system.gradient(combine((1.0, x), (reach, v)))
    behind = system.gradient(combine((1.0, x), (-reach, v)))
    return float(norm(combine((1.0, ahead), (-1.0, behind))))

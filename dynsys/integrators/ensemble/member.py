"""What one member of an ensemble is, as a function of its point."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dynsys.integrators.engine.problem import Known, knowing
from dynsys.integrators.objective_check import NOT_TRACEABLE
from dynsys.integrators.request import check_system
from dynsys.integrators.simulate import simulate
from dynsys.systems.system import AbstractSystem


class Numbers(NamedTuple):
    """The numbers of a request: they may change without a new program.

    Args:
        t0: Start of the interval; `None` where it is 0.
        t1: Its end.
        times: Output times, or `None` for a number of them.
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        stop: Norm of the gradient at which a member ends, if any.
        max_step: The largest step, if it is a number.
        landing_times: Times at which steps end, if any.
    """

    t0: Any
    t1: Any
    times: Any
    rtol: Any
    atol: Any
    stop: Any
    max_step: Any = None
    landing_times: Any = None


class Choices(NamedTuple):
    """The fixed part of a request: other choices are another program.

    Args:
        outputs: Number of outputs, where there are no `times`.
        reduce: What to keep of a trajectory.
        stop: Condition that ends a member early.
        names: Names of the parameters of the case.
        options: Options of `simulate`, as pairs.
        max_step: The largest step, if it is a function of time.
        known: What is known for the choice of a solver.
    """

    outputs: int
    reduce: Callable[..., Any] | None
    stop: Callable[..., Any] | None
    names: tuple[str, ...]
    options: tuple[tuple[str, Any], ...]
    max_step: Callable[[Any], Any] | None = None
    known: Known = Known(side_by_side=True)


def start_of_member(
    case: Callable[..., Any], point: Mapping[str, Any]
) -> tuple[AbstractSystem, Any, Any]:
    """System, position and velocity of a member.

    Raises:
        TypeError: The case does not return a system and a position, does not take these
            parameters, or cannot be traced.
    """
    try:
        made = case(**point)
    except NOT_TRACEABLE as error:
        raise TypeError(
            "`case` cannot be traced by JAX. Write it with jax.numpy instead of numpy or "
            "math, and with jnp.where instead of `if` on the values of a point."
        ) from error
    if type(made) is not tuple or len(made) not in (2, 3):
        raise TypeError(
            f"`case` must return (system, x0) or (system, x0, v0), but returned {made!r}."
        )
    system, x0, *v0 = made
    check_system(system)
    return system, x0, v0[0] if v0 else None


def member(
    case: Callable[..., Any], numbers: Numbers, choices: Choices, point: Mapping[str, Any]
) -> tuple[Any, Any]:
    """How a member ended, and what is kept of it."""
    system, x0, v0 = start_of_member(case, point)
    with knowing(choices.known):
        trajectory = simulate(
            system,
            x0,
            v0,
            t0=0.0 if numbers.t0 is None else numbers.t0,
            t1=numbers.t1,
            times=choices.outputs if numbers.times is None else numbers.times,
            rtol=numbers.rtol,
            atol=numbers.atol,
            stop=choices.stop if numbers.stop is None else numbers.stop,
            max_step=choices.max_step if numbers.max_step is None else numbers.max_step,
            landing_times=numbers.landing_times,
            throw=False,
            **dict(choices.options),
        )
    kept = trajectory if choices.reduce is None else choices.reduce(trajectory)
    is_number = lambda leaf: isinstance(leaf, bool | int | float)
    as_array = lambda leaf: jnp.asarray(leaf) if is_number(leaf) else leaf
    return trajectory.result, jax.tree.map(as_array, kept)

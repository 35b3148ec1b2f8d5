"""The size of the first step."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from dynsys.integrators.engine.problem import Problem, error_norm, measured, vector_field
from dynsys.systems.system import State
from dynsys.trees import Time, combine, zeros_like

EVALUATIONS = 2
"""Evaluations of the vector field that the choice takes."""


def first_step(problem: Problem, error_order: Any) -> Time:
    r"""A first step whose error should be about the tolerance.

    An Euler step over which the state changes by a hundredth shows how fast the field
    changes; the larger $d$ of the scaled sizes of the field and of its derivative gives
    $h = (0.01/d)^{1/q}$ for a method with an error of order $q$, at most a hundred
    times the Euler step.

    Args:
        problem: The problem.
        error_order: The order $q$ of the error estimate.

    Source:
        Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, II.4, with
        three departures: sizes are those of what the system controls; no step is longer
        than the interval; and where the field is not finite at the end of the Euler step,
        a thousandth of that step is the first.
    """
    system, state, t0 = problem.system, problem.state, problem.t0
    interval = problem.t1 - t0
    measure = lambda tree: _scaled_size(problem, measured(problem, tree))
    size = measure(state)
    smallest = 16 * jnp.maximum(
        jnp.finfo(t0.dtype).eps * jnp.abs(t0), jnp.finfo(t0.dtype).tiny
    )

    def look(loop: tuple[Time, State], _: None) -> tuple[tuple[Time, State], Any]:
        """The field at the end of the last Euler step, and the length of the next."""
        euler, field = loop
        field = vector_field(t0 + euler, combine((1.0, state), (euler, field)), system)
        speed = measure(field)
        is_tiny = (size < 1e-5) | (speed < 1e-5)
        euler = jnp.where(is_tiny, 1e-6, 0.01 * size / jnp.where(is_tiny, 1, speed))
        euler = jnp.minimum(jnp.maximum(euler, smallest), interval)
        return (euler, field), (euler, field, speed)

    still = (jnp.zeros_like(t0), zeros_like(state))
    _, looks = jax.lax.scan(look, still, None, length=EVALUATIONS)
    of_look = lambda i: jax.tree.map(lambda leaf: leaf[i], looks)
    (euler, field, speed), (_, moved, _) = of_look(0), of_look(1)
    change = measure(combine((1.0, moved), (-1.0, field))) / euler
    fastest = jnp.maximum(speed, change)
    is_slow = fastest <= 1e-15
    power = (0.01 / jnp.where(is_slow, 1, fastest)) ** (1 / error_order)
    step = jnp.where(is_slow, jnp.maximum(1e-6, 1e-3 * euler), power)
    step = jnp.where(jnp.isfinite(fastest), jnp.minimum(100 * euler, step), 1e-3 * euler)
    step = jnp.clip(step, smallest, interval)
    return jax.lax.stop_gradient(step)


def _scaled_size(problem: Problem, tree: State) -> Time:
    """Size of what is controlled, in units of the tolerance at the start."""
    start = measured(problem, problem.state)

    def scale(leaf: Array, at: Array) -> Array:
        cast = lambda number: number.astype(leaf.dtype)
        return leaf / (cast(problem.atol) + cast(problem.rtol) * jnp.abs(at))

    return error_norm(problem)(jax.tree.map(scale, tree, start))

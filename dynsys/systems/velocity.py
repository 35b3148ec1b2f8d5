"""The velocity at a computed state, which two sources tell."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import Position, Time, combine, norm

INTERPOLATION = 300
"""Tolerances of a velocity that the interpolation within a step may be off by."""


def reconcile(
    system: AbstractSystem,
    t: Time,
    state: State,
    slope: State,
    rtol: Float[Array, ""],
    atol: Float[Array, ""],
    has_slope: Bool[Array, ""] | bool = True,
) -> Position:
    r"""The more trustworthy of two velocities.

    One is what the equation gives at the computed state. It multiplies the error of
    the position by $\rho$, its derivative in the direction in question, which is
    $\beta L/\varepsilon$ for the momentum form and unbounded as $\varepsilon \to 0$. The
    other is the derivative of the dense output. It carries the error of the
    interpolation, which no tolerance controls, but does not depend on $\varepsilon$.
    The equation is trusted unless its amplified tolerance explains the difference
    between the two. Steps add up to a few tolerances: where the difference is larger than
    an interpolation explains, ten amplified tolerances count.

    Args:
        system: The system.
        t: Time.
        state: State at time `t`.
        slope: Time derivative of the state, from the dense output.
        rtol: Relative tolerance of the run.
        atol: Absolute tolerance of the run.
        has_slope: Whether there is a dense output to take it from.
    """
    x = system.position(state)
    from_equation, push = jax.linearize(lambda s: system.velocity(t, s), state)
    from_output = system.position(slope)
    difference = combine((1.0, from_equation), (-1.0, from_output))
    size = norm(difference).astype(t.dtype)
    direction = combine((1 / jnp.where(size > 0, size, 1), difference))
    zero = jax.tree.map(jnp.zeros_like, state)
    tangent = eqx.tree_at(system.position, zero, direction)
    amplified = push(tangent)
    tolerance = lambda of: atol + rtol * norm(of).astype(t.dtype)
    by_interpolation = size < INTERPOLATION * tolerance(from_output)
    factor = jnp.where(by_interpolation, 1, 10)
    explained = factor * norm(amplified).astype(t.dtype) * tolerance(x)
    equation_is_right = size > explained
    use_equation = equation_is_right | ~jnp.asarray(has_slope)
    return jax.tree.map(
        lambda a, b: jnp.where(use_equation, a, b), from_equation, from_output
    )

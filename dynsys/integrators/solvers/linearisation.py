"""The linear systems of an implicit step, by the structure of what moves."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from dynsys.integrators.solvers.symmetric_solve import hessian_at, inverse_of_shifted
from dynsys.linear_solve import factorise
from dynsys.systems.feedback import Feedback, eliminate, solve_eliminated
from dynsys.systems.system import AbstractSystem
from dynsys.trees import Time, as_vector, from_vector

State = PyTree[Float[Array, "..."]]
Field = Callable[[Time, State], State]


class Linearisation(NamedTuple):
    r"""What a Rosenbrock step needs of a field at its start.

    Args:
        solve: The solution $u$ of $(\sigma I - J)u = r$ as a function of $r$, where $J$
            is the Jacobian; not a number where the step is too long for it.
        time_derivative: The derivative of the field in time.
    """

    solve: Callable[[State], State]
    time_derivative: State


def linearise(field: Field, t: Time, state: State, args: Any, shift: Any) -> Linearisation:
    r"""Linearise a field, by its structure if it is that of a system that has one.

    Args:
        field: The vector field.
        t: Time.
        state: State at which to linearise.
        args: The system whose field it is, or anything else.
        shift: The scalar $\sigma$, of the widest dtype of the state.
    """
    if isinstance(args, AbstractSystem):
        feedback = args.feedback(t)
        if feedback is not None:
            return _linearise_feedback(args, feedback, t, state, shift)
    return _linearise_dense(field, t, state, shift)


def _linearise_feedback(
    system: AbstractSystem, feedback: Feedback, t: Time, state: Any, shift: Any
) -> Linearisation:
    """One symmetric system of the size of the position."""
    feedback = jax.tree.map(lambda scalar: scalar.astype(shift.dtype), feedback)
    position = system.position(state)
    gradient, hessian = hessian_at(system.gradient, position)
    small = eliminate(feedback, shift)
    inverse = inverse_of_shifted(hessian, small.c0, small.c1)

    def solve(right_side: Any) -> Any:
        solved = solve_eliminated(
            feedback, shift, small.mixing, right_side, inverse, hessian.product
        )
        return type(right_side)(*solved)

    rates: Any = lambda time: cast(Feedback, system.feedback(time)).rates(state, gradient)
    _, drift = jax.jvp(rates, (t,), (jnp.ones_like(t),))
    return Linearisation(solve, type(state)(*drift))


def _linearise_dense(field: Field, t: Time, state: State, shift: Any) -> Linearisation:
    """The Jacobian of the whole state, factorised."""
    flat = as_vector(state)
    # Time is one more direction.
    both = jnp.append(flat, t.astype(flat.dtype))

    def on_vectors(vector: Float[Array, " size"]) -> Float[Array, " dim"]:
        return as_vector(field(vector[-1].astype(t.dtype), from_vector(vector[:-1], state)))

    derivative = jax.jacfwd(on_vectors)(both)
    identity = jnp.eye(len(flat), dtype=flat.dtype)
    on_vector = factorise(shift * identity - derivative[:, :-1])

    def solve(right_side: State) -> State:
        return from_vector(on_vector(as_vector(right_side)), right_side)

    return Linearisation(solve, from_vector(derivative[:, -1], state))

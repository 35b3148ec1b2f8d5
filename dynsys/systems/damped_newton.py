"""Flows along a (damped) Newton direction, and the linear system that gives it."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import lineax as lx
from jaxtyping import Array, Float

from dynsys.checks import as_time
from dynsys.systems.conjugate_gradients import conjugate_gradients
from dynsys.systems.gradient_flow import PositionState
from dynsys.systems.system import AbstractSystem
from dynsys.trees import Position, Time, combine, dimension, widest_dtype

DENSE_LIMIT = 1024
"""Up to this dimension the Hessian is formed and factorised by Cholesky; a matrix of
1024 x 1024 takes 8 megabytes, and its factorisation does not mind its condition."""


class AbstractDampedNewton(AbstractSystem):
    r"""Base of the systems $(c(t) I + \beta\nabla^2 f(x))\,\dot x + \nabla f(x) = 0$.

    Where the matrix is not positive definite there is no velocity: it is not a number
    there, and `simulate` stops with a message that names the Hessian.
    """

    beta: eqx.AbstractVar[Float[Array, ""]]

    hessians_a_field: ClassVar[int] = 1

    @abc.abstractmethod
    def shift(self, t: Time) -> Time:
        """The factor $c(t)$ of the identity."""

    @property
    def order(self) -> int:
        return 1

    @property
    def state_type(self) -> type:
        return PositionState

    def initial_state(self, t: Time, x: Position, v: Position | None) -> PositionState:
        del t, v
        return PositionState(x)

    def vector_field(self, t: Time, state: PositionState) -> PositionState:
        return PositionState(self.velocity(t, state))

    def feedback(self, t: Time) -> None:
        del t

    def controlled(self, state: PositionState) -> PositionState:
        return state

    def position(self, state: PositionState) -> Position:
        return state.x

    def velocity(self, t: Time, state: PositionState) -> Position:
        gradient, hessian = jax.linearize(self.gradient, state.x)
        right_side = combine((-1.0, gradient))
        return solve_shifted(hessian, self.shift(as_time(t)), self.beta, right_side)


def solve_shifted(
    hessian: Callable[[Position], Position], shift: Any, beta: Any, right_side: Position
) -> Position:
    r"""Solve $(c I + \beta H)u = r$, by Cholesky when small, else conjugate gradients.

    Args:
        hessian: The product $v \mapsto Hv$.
        shift: The scalar $c$.
        beta: The scalar $\beta$.
        right_side: The vector $r$.

    Returns:
        The vector $u$; not a number where the matrix is not positive definite.
    """
    matrix = lambda v: combine((shift, v), (beta, hessian(v)))
    # The rule of implicit differentiation, which never looks into the solver.
    return jax.lax.custom_linear_solve(matrix, right_side, _solve, symmetric=True)


def _solve(matrix: Callable[[Position], Position], right_side: Position) -> Position:
    if dimension(right_side) > DENSE_LIMIT:
        return conjugate_gradients(matrix, right_side)
    # In one dtype, the widest, since the matrix is formed.
    wide = widest_dtype(right_side)
    widen = lambda tree: jax.tree.map(lambda leaf: leaf.astype(wide), tree)
    narrow = lambda tree: jax.tree.map(lambda a, b: a.astype(b.dtype), tree, right_side)
    operator = lx.FunctionLinearOperator(
        lambda v: widen(matrix(narrow(v))),
        jax.eval_shape(lambda: widen(right_side)),
        tags=lx.positive_semidefinite_tag,
    )
    solution = lx.linear_solve(operator, widen(right_side), lx.Cholesky(), throw=False)
    return narrow(solution.value)

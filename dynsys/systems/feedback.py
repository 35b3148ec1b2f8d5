r"""Linear systems in feedback with the gradient: what most of the catalogue is."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from dynsys.trees import Position, combine


class Feedback(NamedTuple):
    r"""The scalars of $\dot z_i = \sum_j a_{ij}z_j + b_i\nabla f(z_1) + k_i\dot z_1$.

    Each component $z_i$ of the state is as large as the position, which is the first, so
    the Jacobian consists of blocks that are multiples of $I$ and $\nabla^2f(z_1)$. Control
    theory calls it a Lur'e system. There are one or two components, and $k_1 = 0$. What a
    rate has in common with that of the position is kept apart, in $k_2$: where a damping
    is as large as the inverse of the precision, a difference would lose the rest.

    Args:
        linear: The scalars $a_{ij}$, row by row.
        gradient: The scalars $b_i$.
        coupling: The scalar $k_2$.
    """

    linear: tuple[tuple[Any, ...], ...]
    gradient: tuple[Any, ...]
    coupling: Any

    def rates(self, state: Any, gradient: Position) -> tuple[Position, ...]:
        r"""The rates $\dot z_i$ at a state with a given gradient."""
        first, *rest = (
            combine(*zip(row, state, strict=True), (factor, gradient))
            for row, factor in zip(self.linear, self.gradient, strict=True)
        )
        return first, *(combine((1.0, rate), (self.coupling, first)) for rate in rest)


class Eliminated(NamedTuple):
    r"""The equation of $(\sigma I - J)u = r$ for $u_1$, after elimination of $u_2$.

    $$(c_0 I + c_1\nabla^2 f)\,u_1 = r_1 + m\,(r_2 - k_2r_1)$$

    Args:
        c0: The scalar $c_0$.
        c1: The scalar $c_1$.
        mixing: The scalar $m$.
    """

    c0: Any
    c1: Any
    mixing: Any


def eliminate(feedback: Feedback, shift: Any) -> Eliminated:
    r"""Reduce a linear system with the Jacobian to one of the size of the position.

    Source:
        Derived: the Schur complement of the second component, whose block of
        $\sigma I - J$ is a multiple of $I$.
    """
    if len(feedback.linear) == 1:
        return Eliminated(shift - feedback.linear[0][0], -feedback.gradient[0], 0)
    (a11, a12), (a21, a22) = feedback.linear
    mixing = a12 / (shift - a22)
    c0 = shift - a11 - mixing * (a21 + feedback.coupling * shift)
    c1 = -feedback.gradient[0] - mixing * feedback.gradient[1]
    return Eliminated(c0, c1, mixing)


def solve_eliminated(
    feedback: Feedback,
    shift: Any,
    mixing: Any,
    right_side: tuple[Position, ...],
    solve: Callable[[Position], Position],
    hessian: Callable[[Position], Position],
) -> tuple[Position, ...]:
    r"""Solve $(\sigma I - J)u = r$ by one system of the size of the position.

    Args:
        feedback: The scalars of $J$.
        shift: The scalar $\sigma$.
        mixing: The scalar $m$ of `eliminate`.
        right_side: The components of $r$.
        solve: The inverse of $c_0I + c_1\nabla^2f$ of `eliminate`.
        hessian: The product $v \mapsto \nabla^2f\,v$.

    Returns:
        The components of $u$.
    """
    if len(right_side) == 1:
        return (solve(right_side[0]),)
    first, second = right_side
    (_, _), (a21, a22) = feedback.linear
    second = combine((1.0, second), (-feedback.coupling, first))
    u = solve(combine((1.0, first), (mixing, second)))
    factor = a21 + feedback.coupling * shift
    rest = combine((1.0, second), (factor, u), (feedback.gradient[1], hessian(u)))
    divide = lambda leaf: leaf / (shift - a22).astype(leaf.dtype)
    return u, jax.tree.map(divide, rest)

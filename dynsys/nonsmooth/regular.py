r"""The subdifferential of a loss whose kinks all bend up, by the rules of calculus.

Every absolute value and maximum that is tied at a point is a variable $u_e$ of its own, so
that the loss is $F(x, u)$, and the operands of one are functions $a_e$ and $b_e$ of $x$ and
the variables before it.
Where no derivative with respect to a $u_j$ is negative, these functions are regular, and

$$\partial u_e = \mathrm{conv}(\partial a_e \cup \partial b_e), \qquad
\partial a_e = \nabla_x a_e + \sum_j \frac{\partial a_e}{\partial u_j}\,\partial u_j$$

are equations and not inclusions. So the set is exact, however many kinks depend on each
other, and a maximum of k functions has k points and not a cell for each order of them.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.nonsmooth.pieces import Pieces
from dynsys.nonsmooth.sets import MOST_VERTICES, GradientSet
from dynsys.trees import as_vector, from_vector


class _Slopes(NamedTuple):
    """Derivatives of a scalar with respect to the position, and to each tied value."""

    by_x: np.ndarray
    by_ties: np.ndarray


def regular_set(pieces: Pieces, x: Any, active: np.ndarray) -> GradientSet | None:
    """The subdifferential, if the rules of regular functions give it.

    Args:
        pieces: The loss.
        x: The point.
        active: The kinks that it lies on.

    Returns:
        The set; `None` where a kink bends down or is not that of an absolute value or a
        maximum, or where an absolute value has kinks inside.

    Source:
        F. H. Clarke, Optimization and Nonsmooth Analysis, 1990, Propositions 2.3.3, 2.3.12
        and Theorem 2.3.9.
    """
    member = np.asarray(pieces.member, int)
    tied = np.flatnonzero((member >= 0) & np.isin(member, active))
    switches = [pieces.program.switch_of(int(entry)) for entry in tied]
    if any(switch.name not in ("abs", "max") for switch in switches):
        return None
    found = _derivatives(pieces, x, tied)
    if not all(np.isfinite(leaf).all() for one in found for leaf in one):
        return None
    loss, left, right = found
    hulls: list[np.ndarray] = []
    for e, switch in enumerate(switches):
        a = _hull(_at(left, e), hulls)
        b = _hull(_at(right, e), hulls) if switch.name == "max" else _opposite(a)
        if a is None or b is None:
            return None
        hulls.append(np.unique(np.concatenate([a, b]), axis=0))
    terms = _terms(_at(loss, 0), hulls)
    if terms is None:
        return None
    base, *others = terms
    # With one term the points are the gradients of the pieces, and can be counted.
    return GradientSet((base + others[0],) if len(others) == 1 else tuple(terms))


def _at(slopes: _Slopes, e: int) -> _Slopes:
    return _Slopes(slopes.by_x[e], slopes.by_ties[e])


def _terms(slopes: _Slopes, hulls: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """The hulls that a subdifferential is the sum of; `None` if the rules give none."""
    if (slopes.by_ties < 0).any():
        return None
    pairs = zip(slopes.by_ties, hulls, strict=False)
    parts = [factor * hull for factor, hull in pairs if factor > 0]
    return [slopes.by_x[None], *(part for part in parts if len(part) > 1 or part.any())]


def _hull(slopes: _Slopes, hulls: Sequence[np.ndarray]) -> np.ndarray | None:
    """The same as the hull of points; `None`, too, if there are too many."""
    terms = _terms(slopes, hulls)
    if terms is None or np.prod([float(len(term)) for term in terms]) > MOST_VERTICES:
        return None
    return np.array([np.sum(points, axis=0) for points in itertools.product(*terms)])


def _opposite(hull: np.ndarray | None) -> np.ndarray | None:
    """The other side of an absolute value; `None` if what is inside has kinks."""
    return -hull if hull is not None and len(hull) == 1 else None


def _derivatives(pieces: Pieces, x: Any, tied: np.ndarray) -> tuple[_Slopes, ...]:
    """Of the loss, and of the first and second operands of tied switches, one a row."""
    at, shift = as_vector(x), jnp.zeros(len(tied), as_vector(x).dtype)
    values = lambda vector, shift: _run(pieces, from_vector(vector, x), tied, shift)
    found = jax.jit(jax.jacrev(values, argnums=(0, 1)))(at, shift)
    rows = lambda matrix: np.asarray(matrix, float).reshape(-1, np.shape(matrix)[-1])
    return tuple(_Slopes(rows(by_x), rows(by_ties)) for by_x, by_ties in found)


def _run(pieces: Pieces, x: Any, tied: np.ndarray, shift: Any) -> tuple[Any, Any, Any]:
    """The loss, and the operands of tied switches, whose results are shifted constants."""
    left, right = [jnp.zeros(0, shift.dtype)], [jnp.zeros(0, shift.dtype)]

    def shifted(switch: Any, values: Sequence[Any], result: Any) -> Any:
        mine = np.flatnonzero((tied >= switch.start) & (tied < switch.stop))
        if not len(mine):
            return result
        entries = tied[mine] - switch.start
        flat = [jnp.broadcast_to(v, result.shape).reshape(-1)[entries] for v in values]
        left.append(flat[0].astype(shift.dtype))
        right.append(flat[-1].astype(shift.dtype))
        whole = result.reshape(-1)
        moved = jax.lax.stop_gradient(whole[entries]) + shift[mine].astype(whole.dtype)
        return whole.at[entries].set(moved).reshape(result.shape)

    loss = pieces.replaced(x, pieces.signature(x), shifted)
    return loss, jnp.concatenate(left), jnp.concatenate(right)

"""The smooth pieces of a loss that meet at a point, and the hull of their gradients."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.nonsmooth.pieces import Pieces
from dynsys.nonsmooth.sets import GradientSet
from dynsys.trees import as_vector

MOST_CELLS = 4096
"""Signatures that are looked at one by one."""

ENOUGH = 12
"""Up to this many kinks signatures are looked at one by one even where a sum of segments
would do, so that the pieces are counted."""

PARALLEL = 1e-9
"""Difference of unit normals up to which two kinks are one."""


def segments_of(pieces: Pieces, x: Any, active: np.ndarray) -> GradientSet | None:
    r"""The sum of the segments between both sides of each kink, if all are convex.

    The gradient is $g + \sum_i s_i\kappa_i\nabla z_i$, and with $\kappa_i > 0$ the loss is
    a sum of regular functions, whose subdifferential is the sum of theirs.

    Args:
        pieces: The loss, in which no kink is inside of another.
        x: The point.
        active: The kinks that it lies on.

    Source:
        F. H. Clarke, Optimization and Nonsmooth Analysis, 1990, Proposition 2.3.3.
    """
    if len(active) <= ENOUGH:
        return None
    signature = np.asarray(pieces.signature(x))
    middle = jnp.asarray(np.where(np.isin(np.arange(len(signature)), active), 0, signature))
    gradient = jax.jit(lambda s: as_vector(pieces.gradient(x, s)))
    base, push = jax.linearize(gradient, middle)
    unit = jnp.eye(len(signature), dtype=middle.dtype)[active]
    jumps = np.asarray(jax.vmap(push)(unit))
    normals = np.asarray(_normals(pieces, x, middle))[active]
    jumps, normals = _merged(jumps, normals)
    if (np.sum(jumps * normals, axis=1) < 0).any():
        return None
    segments = tuple(np.stack([-jump, jump]) for jump in jumps if jump.any())
    return GradientSet((np.asarray(base)[None], *segments))


def _merged(jumps: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kinks with parallel normals joined, their jumps added."""
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    unit = normals / np.where(length > 0, length, 1)
    # All normals to one side, so that opposite ones are next to each other.
    first = np.take_along_axis(unit, np.argmax(np.abs(unit) > 1e-6, axis=1)[:, None], 1)
    unit = np.where(first < 0, -unit, unit)
    kept: list[int] = []
    total = np.zeros_like(jumps)
    for i in np.lexsort(np.round(unit, 6).T):
        found = next((j for j in kept if np.abs(unit[i] - unit[j]).max() < PARALLEL), i)
        if found == i:
            kept.append(int(i))
        total[found] += jumps[i]
    size = np.abs(jumps).max(initial=0.0)
    total = np.where(np.abs(total) > 1e-13 * len(jumps) * size, total, 0)
    return total[kept], normals[kept]


class _Cell(NamedTuple):
    """Signs of some of the kinks that a point lies on, and the directions that they leave.

    Args:
        signature: Signs of all kinks.
        rows: The normals of those whose signs are chosen, each with its sign, as far as
            they are not 0.
        is_vague: Whether a sign matters that the normals say nothing about.
    """

    signature: np.ndarray
    rows: np.ndarray
    is_vague: bool

    @property
    def is_simple(self) -> bool:
        """Whether first derivatives tell that there are points of it next to the point."""
        return not self.is_vague and np.linalg.matrix_rank(self.rows) == len(self.rows)


class _Slopes:
    """Normals and gradients by signature, each computed once."""

    def __init__(self, pieces: Pieces, x: Any) -> None:
        gradient = lambda s: as_vector(pieces.gradient(x, s))
        self._look = jax.jit(lambda s: (_normals(pieces, x, s), gradient(s)))
        self._found: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def at(self, signature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All normals, one a row, and the gradient."""
        key = signature.tobytes()
        if key not in self._found:
            normals, gradient = self._look(jnp.asarray(signature))
            self._found[key] = np.asarray(normals), np.asarray(gradient)
        return self._found[key]


def cells_of(pieces: Pieces, x: Any, active: np.ndarray) -> GradientSet:
    """The hull of the gradients of the pieces whose region has interior points at a point.

    Signs are chosen kink by kink, inner ones first, as long as a direction agrees with
    them, so that the number of looks is that of the pieces and not of all signs. A kink
    whose normal is 0 for the signs chosen before it excludes no direction; its own sign is
    left as it is where nothing depends on it.

    Args:
        pieces: The loss.
        x: The point.
        active: The kinks that it lies on.

    Raises:
        ValueError: Too many pieces meet.
    """
    order = sorted(active, key=lambda kink: pieces.first[kink])
    slopes = _Slopes(pieces, x)
    natural = np.asarray(pieces.signature(x))
    cells = [_Cell(natural, np.zeros((0, as_vector(x).size)), False)]
    for kink in order:
        cells = [longer for cell in cells for longer in _split(slopes, cell, kink)]
        if len(cells) > MOST_CELLS:
            raise ValueError(
                f"More than {MOST_CELLS} smooth pieces meet at this point, on "
                f"{len(active)} kinks. Move the point, or split the loss into terms for "
                f"`d_operator`."
            )
    points = np.array([slopes.at(cell.signature)[1] for cell in cells])
    return GradientSet((points,), not all(cell.is_simple for cell in cells))


def _split(slopes: _Slopes, cell: _Cell, kink: int) -> list[_Cell]:
    """The cells that have both signs of one more kink, as far as there are directions."""
    normal = slopes.at(cell.signature)[0][kink]
    sides = [cell.signature.copy() for _ in range(2)]
    for side, sign in zip(sides, (-1.0, 1.0), strict=True):
        side[kink] = sign
    if not normal.any():
        left, right = map(slopes.at, sides)
        if all(_is_same(a, b) for a, b in zip(left, right, strict=True)):
            return [cell]
        return [_Cell(side, cell.rows, True) for side in sides]
    longer = [np.vstack([cell.rows, side[kink] * normal]) for side in sides]
    return [
        _Cell(side, rows, cell.is_vague)
        for side, rows in zip(sides, longer, strict=True)
        if _is_feasible(rows)
    ]


def _is_same(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether vectors, one a row, are the same up to rounding."""
    length = np.linalg.norm(left, axis=-1)
    return bool((np.linalg.norm(left - right, axis=-1) <= PARALLEL * length).all())


def _normals(pieces: Pieces, x: Any, signature: Any) -> Any:
    """The gradients of all switching functions, one a row."""
    tree = jax.jacrev(lambda x: pieces.switching(x, signature))(x)
    rows = [
        leaf.reshape(leaf.shape[0], math.prod(leaf.shape[1:]))
        for leaf in jax.tree.leaves(tree)
    ]
    return jnp.concatenate(rows, axis=1)


def _is_feasible(rows: np.ndarray) -> bool:
    """Whether a direction makes all rows positive."""
    from scipy.optimize import linprog

    if not len(rows):
        return True
    scale = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
    number, dimension = rows.shape
    if np.linalg.matrix_rank(rows / scale) == number:
        return True
    objective = np.append(np.zeros(dimension), -1.0)
    left = np.hstack([-rows / scale, np.ones((number, 1))])
    bounds = [(-1.0, 1.0)] * dimension + [(None, 1.0)]
    solution = linprog(objective, A_ub=left, b_ub=np.zeros(number), bounds=bounds)
    return bool(solution.status == 0 and -solution.fun > 1e-9)

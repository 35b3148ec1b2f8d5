"""Sets of gradients of a loss at a point: Clarke's subdifferential and the talk's D."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from dynsys.nonsmooth.cells import cells_of, segments_of
from dynsys.nonsmooth.finder.find_pieces import find_pieces
from dynsys.nonsmooth.pieces import Pieces
from dynsys.nonsmooth.regular import regular_set
from dynsys.nonsmooth.sets import GradientSet
from dynsys.trees import Position, as_position, as_vector

ACTIVE = 1e-10
"""Switching values up to this size, relative to their terms, count as 0."""


def clarke_subdifferential(
    f: Callable[[Any], Any], x: Any, *, moved_from: Any = None
) -> GradientSet:
    r"""Clarke's subdifferential: the convex hull of the limits of gradients.

    Of the smooth pieces that meet at $x$, those count whose region has interior points
    next to $x$; to first order that is a system of linear inequalities in the directions
    that leave $x$. Where the normals of the active kinks are independent this is exact.
    It is so, too, where all active kinks are convex: of one that is inside of no other it
    has the segment between both sides, of a maximum the hull of what is largest, and of a
    sum the sum, any number of them. Else `first_order` says that the
    set is that of the piecewise linear approximation, and may be too large or too small.

    Args:
        f: A scalar function of a position.
        x: A position.
        moved_from: The position that `x` was computed from, if it was moved onto kinks.
            The rounding errors of `x` are those of numbers of that size.

    Returns:
        The set, in the coordinates of the position in one vector.

    Raises:
        ValueError: More smooth pieces meet at `x` than are looked at one by one.
        NotPiecewiseSmooth: The loss jumps, or has kinks that are not looked into.

    Example:
        >>> clarke_subdifferential(lambda t: jnp.abs(t), 0.0).vertices.tolist()
        [[-1.0], [1.0]]
        >>> clarke_subdifferential(lambda t: jnp.abs(t) - jnp.abs(t), 0.0).vertices.tolist()
        [[0.0]]

    Source:
        F. H. Clarke, Optimization and Nonsmooth Analysis, 1990, Theorem 2.5.1; feasible
        signatures: A. Griewank and A. Walther, "First- and second-order optimality
        conditions for piecewise smooth objective functions", 2016.
    """
    at = as_position("x", x)
    points = [at] if moved_from is None else [at, as_position("moved_from", moved_from)]
    return _of_pieces(find_pieces(f, at), points)


def d_operator(
    fs: Sequence[Callable[[Any], Any]],
    x: Any,
    weights: Any = None,
    *,
    moved_from: Any = None,
) -> GradientSet:
    r"""The talk's operator D: the sum of the subdifferentials of the terms of a loss.

    $$D J(x) = \sum_n w_n\,\partial J_n(x)$$

    It contains Clarke's subdifferential of the sum, and may be larger.

    Args:
        fs: The terms $J_n$; for a mini-batch, those in it.
        x: A position.
        weights: One weight a term, or one for all, such as $1/N$ for the mean; 1 if left
            out.
        moved_from: As in `clarke_subdifferential`.

    Returns:
        The set, in the coordinates of the position in one vector.

    Raises:
        ValueError: There is no term, or the number of weights is another.

    Example:
        >>> import jax
        >>> halves = [jax.nn.relu, lambda t: -jax.nn.relu(-t)]
        >>> d_operator(halves, 0.0).vertices.tolist()
        [[0.0], [2.0]]

    Source:
        C. Castera, J. Bolte, C. Fevotte and E. Pauwels, JMLR 22(134), 2021.
    """
    terms = list(fs)
    if not terms:
        raise ValueError("`fs` has no terms. Pass at least one function.")
    factors = np.ones(len(terms)) if weights is None else np.asarray(weights, float)
    if factors.ndim not in (0, 1) or factors.shape not in ((), (len(terms),)):
        raise ValueError(
            f"`weights` must be one number, or one for each of the {len(terms)} terms, but "
            f"has shape {factors.shape}."
        )
    sets = [clarke_subdifferential(f, x, moved_from=moved_from) for f in terms]
    scaled = zip(sets, np.broadcast_to(factors, len(terms)), strict=True)
    parts = tuple(factor * term for s, factor in scaled for term in s.terms)
    return GradientSet(parts, any(s.first_order for s in sets))


def _of_pieces(pieces: Pieces, points: Sequence[Position]) -> GradientSet:
    """The hull of the gradients of the feasible signatures at the first of the points."""
    x = points[0]
    signature = pieces.signature(x)
    active = np.abs(pieces.switching(x, signature)) <= _rounding(pieces, points)
    active = np.flatnonzero(active)
    rule = regular_set if pieces.program.nested else segments_of
    found = rule(pieces, x, active)
    return cells_of(pieces, x, active) if found is None else found


def _rounding(pieces: Pieces, points: Sequence[Position]) -> np.ndarray:
    """Switching values that are 0 up to rounding, where numbers are as large as these."""
    sizes = [np.asarray(pieces.sizes(x)) for x in points]
    largest = max(float(jnp.max(jnp.abs(as_vector(x)))) for x in points)
    unit = float(jnp.finfo(sizes[0].dtype).eps)
    return ACTIVE * np.max(sizes, axis=0) + 4 * unit * largest

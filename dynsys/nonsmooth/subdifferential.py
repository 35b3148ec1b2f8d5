"""Sets of gradients of a loss at a point: Clarke's subdifferential and the talk's D."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.nonsmooth.find import find_pieces
from dynsys.nonsmooth.pieces import Pieces
from dynsys.nonsmooth.sets import GradientSet
from dynsys.trees import as_position, as_vector

MOST_ACTIVE = 12
"""Kinks that may be active at once: their 4096 signatures are looked at one by one."""

ACTIVE = 1e-10
"""Switching values up to this size, relative to the position, are 0."""


def clarke_subdifferential(f: Callable[[Any], Any], x: Any) -> GradientSet:
    r"""Clarke's subdifferential: the convex hull of the limits of gradients.

    Of the smooth pieces that meet at $x$, those count whose region has interior points
    next to $x$; to first order that is a system of linear inequalities in the directions
    that leave $x$. Where the normals of the active kinks are independent this is exact.
    Where they are not, `first_order` says so: the set is that of the piecewise linear
    approximation, and may be too large or too small.

    Args:
        f: A scalar function of a position.
        x: A position.

    Returns:
        The set, in the coordinates of the position in one vector.

    Raises:
        ValueError: More than 12 kinks are active at `x`.
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
    return _of_pieces(find_pieces(f, as_position("x", x)), as_position("x", x))


def d_operator(
    fs: Sequence[Callable[[Any], Any]], x: Any, weights: Any = None
) -> GradientSet:
    r"""The talk's operator D: the sum of the subdifferentials of the terms of a loss.

    $$D J(x) = \sum_n w_n\,\partial J_n(x)$$

    It contains Clarke's subdifferential of the sum, and may be larger.

    Args:
        fs: The terms $J_n$; for a mini-batch, those in it.
        x: A position.
        weights: One weight a term, or one for all, such as $1/N$ for the mean; 1 if left
            out.

    Returns:
        The set, in the coordinates of the position in one vector.

    Raises:
        ValueError: There is no term, or the number of weights is another.

    Example:
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
    sets = [clarke_subdifferential(f, x) for f in terms]
    scaled = zip(sets, np.broadcast_to(factors, len(terms)), strict=True)
    parts = tuple(factor * s.terms[0] for s, factor in scaled)
    return GradientSet(parts, any(s.first_order for s in sets))


def _of_pieces(pieces: Pieces, x: Any) -> GradientSet:
    """The hull of the gradients of the feasible signatures."""
    natural = np.asarray(pieces.signature(x))
    size = 1 + float(jnp.max(jnp.abs(as_vector(x))))
    values = np.asarray(pieces.switching(x, jnp.asarray(natural)))
    active = np.flatnonzero(np.abs(values) <= ACTIVE * size)
    if len(active) > MOST_ACTIVE:
        raise ValueError(
            f"{len(active)} kinks are active at this point, more than {MOST_ACTIVE}. Move "
            f"the point, or split the loss into terms for `d_operator`."
        )
    gradient = jax.jit(lambda s: as_vector(pieces.gradient(x, s)))
    if not len(active):
        return GradientSet((np.asarray(gradient(jnp.asarray(natural)))[None],))
    slopes = jax.jit(jax.jacrev(pieces.switching))
    points, normals = [], np.zeros((0, 0))
    for signs in itertools.product((-1.0, 1.0), repeat=len(active)):
        signature = natural.copy()
        signature[active] = signs
        tree = slopes(x, jnp.asarray(signature))
        rows = [
            np.asarray(leaf).reshape(len(natural), -1) for leaf in jax.tree.leaves(tree)
        ]
        normals = np.concatenate(rows, axis=1)[active]
        if _is_feasible(np.asarray(signs)[:, None] * normals):
            points.append(np.asarray(gradient(jnp.asarray(signature))))
    is_independent = np.linalg.matrix_rank(normals) == len(active)
    return GradientSet((np.array(points),), not is_independent)


def _is_feasible(rows: np.ndarray) -> bool:
    """Whether a direction makes all rows positive."""
    from scipy.optimize import linprog

    scale = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
    number, dimension = rows.shape
    objective = np.append(np.zeros(dimension), -1.0)
    left = np.hstack([-rows / scale, np.ones((number, 1))])
    bounds = [(-1.0, 1.0)] * dimension + [(None, 1.0)]
    solution = linprog(objective, A_ub=left, b_ub=np.zeros(number), bounds=bounds)
    return bool(solution.status == 0 and -solution.fun > 1e-9)

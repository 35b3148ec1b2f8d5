"""Gradient flow of a maximum of affine functions, exactly: independent of the code.

The velocity is minus the shortest vector of the hull of the active slopes (Brezis 1973),
which is constant until another function becomes active.
"""

import itertools

import numpy as np


def shortest(points):
    """The shortest vector of a hull: that of the face whose affine hull has it inside."""
    for size in range(1, points.shape[1] + 2):
        for face in itertools.combinations(range(len(points)), size):
            corner = points[list(face)]
            edges = corner[1:] - corner[0]
            weights = np.linalg.lstsq(edges.T, -corner[0], rcond=None)[0]
            nearest = corner[0] + weights @ edges
            inside = (weights >= 0).all() and weights.sum() <= 1
            if inside and (points @ nearest >= nearest @ nearest - 1e-12).all():
                return nearest
    raise AssertionError(points)


def flow(slopes, offsets, x, end):
    """The corners of the path, as pairs of a time and a position."""
    t, corners = 0.0, [(0.0, np.array(x))]
    while t < end:
        values = slopes @ x + offsets
        active = values >= values.max() - 1e-10
        v = -shortest(slopes[active])
        closing = slopes @ v + v @ v
        gaps = np.where(~active & (closing > 1e-12), values.max() - values, np.inf)
        step = min(end - t, *(gaps / np.where(closing > 1e-12, closing, 1)))
        t, x = t + step, x + step * v
        corners.append((t, x))
    return corners

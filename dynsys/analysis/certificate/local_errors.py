r"""The error of each step of a trajectory, from the defect inside of it.

With the defect $r = \dot y - F(t, y)$ of the dense output $y$, the solution that starts
where a step does is left by $\delta$, to first order $\dot\delta = J\delta + r$. At the
nodes of the Radau method of order 9 that is a linear system. Its last unknown is the error
at the end of the step: how far the interpolant is off in between is no part of it.

Source:
    Radau IIA methods: Hairer and Wanner, Solving Ordinary Differential Equations II,
    section IV.5.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.analysis.points import CHUNK, at_times
from dynsys.trajectory import Trajectory
from dynsys.trees import as_vector, combine, dimension, from_vector

LARGEST_JACOBIAN = 128
"""Coordinates of a state up to which its Jacobian is formed."""

NODES = 5
"""Nodes in a step: integrals are exact up to degree 8, above that of all interpolants."""


class Errors(NamedTuple):
    """Errors of the steps and defects inside of them, in tolerances.

    Args:
        t: The times of the nodes, of shape `(steps, nodes)`.
        defect: By how much the state would have to move to undo the defect there.
        outside: By how much the state would have to move to be in the mode there.
        error: The error of each step, of shape `(steps, dim)`.
    """

    t: np.ndarray
    defect: np.ndarray
    outside: np.ndarray
    error: np.ndarray


def local_errors(trajectory: Trajectory, until: float) -> Errors:
    """The errors of the steps that begin before a time."""
    dense: Any = trajectory.dense
    # A step that `stop` ends early was made to its end.
    joints = np.asarray(dense.joints)
    edges = np.unique(np.append(joints[np.isfinite(joints)], float(dense.t0)))
    edges = edges[: np.searchsorted(edges, until, side="right")]
    nodes, weights = radau()
    length = np.diff(edges)[:, None]
    t = edges[:-1, None] + length * nodes
    pairs = np.stack([t, length + 0 * t], axis=2)
    lean = dense, trajectory.system, trajectory.rtol, trajectory.atol
    chunk = CHUNK // NODES
    parts = [
        _in_tolerances(at_times(_defect, p.reshape(-1, 2), *lean), weights)
        for p in np.split(pairs, range(chunk, len(pairs), chunk))
    ]
    return Errors(t, *map(np.concatenate, zip(*parts, strict=True)))


@functools.cache
def radau() -> tuple[np.ndarray, np.ndarray]:
    """The nodes on [0, 1], the last of which is 1, and the integrals from 0 to each."""
    legendre = np.polynomial.legendre.Legendre.basis
    roots = (legendre(NODES) - legendre(NODES - 1)).roots()
    nodes = 0.5 * (1 + np.sort(np.append(roots[np.argsort(roots)[:-1]], 1.0)))
    powers = np.arange(NODES)
    vander = nodes[:, None] ** powers
    moments = nodes[:, None] ** (powers + 1) / (powers + 1)
    return nodes, moments @ np.linalg.inv(vander)


class _Defect(NamedTuple):
    """The defect at a time, and what it is measured with.

    Args:
        moved: The defect times the length of the step, as one vector.
        jacobian: The Jacobian of the field times that length, or `None`.
        measure: The matrix of the linear image in which errors count, or `None`.
        unit: The tolerance of a step.
        outside: The violation of the mode.
    """

    moved: Any
    jacobian: Any
    measure: Any
    unit: Any
    outside: Any


def _defect(pair: Any, dense: Any, system: Any, rtol: Any, atol: Any) -> _Defect:
    """The defect at a time in a step of a length."""
    t, length = pair[0].astype(rtol.dtype), pair[1].astype(rtol.dtype)
    state, slope = dense.state(t), dense.slope(t)
    there = dense.system_at(t, system)
    rest = combine((1.0, slope), (-1.0, there.vector_field(t, state)))
    image = lambda y: as_vector(there.controlled(from_vector(y, state)))
    flat, moved = as_vector(state), length * as_vector(rest)
    unit = atol + rtol * jnp.max(jnp.abs(image(flat)))
    outside = there.violation(t, state, unit)
    if dimension(state) > LARGEST_JACOBIAN:
        return _Defect(image(moved), None, None, unit, outside)
    field = lambda y: as_vector(there.vector_field(t, from_vector(y, state)))
    jacobian = length * jax.jacfwd(field)(flat)
    return _Defect(moved, jacobian, jax.jacfwd(image)(flat), unit, outside)


def _in_tolerances(
    found: _Defect, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sizes of defects, the violations, and the errors of the steps."""
    by_step = lambda leaf: leaf.reshape(-1, NODES, *leaf.shape[1:]).astype(float)
    moved, unit = by_step(found.moved), by_step(found.unit)
    size = lambda vectors: np.abs(vectors).max(axis=2) / unit
    if found.jacobian is None:
        error = np.einsum("j,kjn->kn", weights[-1], moved) / unit[:, -1:]
        return size(moved), by_step(found.outside), error
    measure, jacobian = by_step(found.measure), by_step(found.jacobian)
    seen = lambda vectors: np.einsum("kimn,kin->kim", measure, vectors)
    eye = np.eye(moved.shape[2])
    undone = _solve(eye - jacobian, moved)
    # Where a direction expands, undoing a defect may take more than the defect itself.
    defect = np.minimum(size(seen(undone)), size(seen(moved)))
    steps, nodes, dim = moved.shape
    blocks = np.einsum("ij,kinm->kinjm", weights, jacobian)
    whole = np.eye(nodes * dim) - blocks.reshape(steps, nodes * dim, nodes * dim)
    rates = _solve(whole, moved.reshape(steps, -1)).reshape(moved.shape)
    end = np.einsum("j,kjn->kn", weights[-1], rates)
    error = np.einsum("kmn,kn->km", measure[:, -1], end) / unit[:, -1:]
    return defect, by_step(found.outside), error


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solutions of linear systems; the right sides where a matrix is singular."""
    try:
        return np.linalg.solve(matrix, right[..., None])[..., 0]
    except np.linalg.LinAlgError:
        return right

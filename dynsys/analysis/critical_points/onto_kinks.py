"""Points next to kinks, moved onto them."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.nonsmooth import Kinks, kinks
from dynsys.nonsmooth.pieces import Pieces, Signature
from dynsys.nonsmooth.subdifferential import ACTIVE
from dynsys.objectives.mean import Mean
from dynsys.objectives.objective import is_known_smooth
from dynsys.trees import Position, as_vector, dimension, from_vector

NEWTON_STEPS = 20
"""Steps of Newton's method onto kinks; where they meet transversally, a few are enough."""


def onto_kinks(loss: Any, x: Position, tolerance: float) -> Position:
    """The nearest point on the kinks that are near, on as many as meet near it."""
    moved = x
    if is_known_smooth(loss):
        return moved
    losses = [kinks(term, x) for term in (loss.terms if isinstance(loss, Mean) else [loss])]
    values, normals = _switches(losses, x)
    lengths = np.linalg.norm(normals, axis=1)
    gaps = np.abs(values) / np.where(lengths > 0, lengths, 1)
    joints = np.array([is_joint for found in losses for is_joint in found.joints], bool)
    is_near = (gaps <= tolerance) & (lengths > 0) & ~joints
    nearest = [i for i in np.argsort(gaps) if is_near[i]]
    on: list[int] = []
    for kink in nearest:
        # Each kink may be one tolerance away, and they need not be orthogonal.
        reach = 2 * np.sqrt(len(on) + 1) * tolerance
        found = _newton(losses, x, [*on, kink], reach)
        if found is not None:
            moved, on = found, [*on, kink]
    return moved


def _newton(
    losses: Sequence[Kinks], x: Position, chosen: Sequence[int], reach: float
) -> Position | None:
    """The point on the chosen kinks, by Newton steps of least norm; `None` if far."""
    start = point = np.asarray(as_vector(x))
    sizes = np.concatenate([_sizes(found.pieces, x) for found in losses])[chosen]
    unit = np.finfo(point.dtype).eps
    for _ in range(NEWTON_STEPS):
        values, normals = _switches(losses, from_vector(jnp.asarray(point), x))
        if (np.abs(values[chosen]) <= unit * sizes).all():
            break
        step = np.linalg.lstsq(normals[chosen], values[chosen], rcond=None)[0]
        point = point - step
        if not np.linalg.norm(point - start) <= reach:
            return None
    values, _ = _switches(losses, from_vector(jnp.asarray(point), x))
    is_on = (np.abs(values[chosen]) <= max(ACTIVE, 8 * unit) * sizes).all()
    return from_vector(jnp.asarray(point), x) if is_on else None


def _switches(losses: Sequence[Kinks], x: Position) -> tuple[np.ndarray, np.ndarray]:
    """All switching functions of several losses, and their gradients, one a row."""
    values, normals = [np.zeros(0)], [np.zeros((0, dimension(x)))]
    for found in losses:
        z, slopes = _normals(found.pieces, x, found.signature)
        values.append(np.asarray(z))
        normals.append(np.asarray(slopes))
    return np.concatenate(values), np.concatenate(normals)


@jax.jit
def _normals(pieces: Pieces, x: Position, signature: Signature) -> Any:
    return pieces.normals(x, signature, jnp.eye(pieces.number, dtype=bool))


@jax.jit
def _sizes(pieces: Pieces, x: Position) -> Any:
    return pieces.sizes(x)

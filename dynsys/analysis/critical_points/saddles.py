"""Saddles: what they attract, when solutions leave them, and where those end."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.analysis.critical_points.linearisation import jacobian, rest_state, spectrum
from dynsys.checks import as_number
from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import as_position, as_vector, from_vector


class StableManifold(NamedTuple):
    """The tangent space of the stable manifold of a saddle.

    Args:
        rest: The state at rest at the saddle.
        basis: An orthonormal basis of the stable subspace, one vector a column.
        normals: An orthonormal basis of what is orthogonal to it, one vector a row.
        rates: Rates at which the unstable directions grow, the fastest first.
        amplitudes: Where one direction is unstable: the row vector whose product with a
            displacement of the state is, along the linear flow, the distance of the
            position from the saddle in that direction, up to `exp(rate * t)`.
    """

    rest: State
    basis: np.ndarray
    normals: np.ndarray
    rates: np.ndarray
    amplitudes: np.ndarray | None


def stable_manifold(
    system: AbstractSystem, x: Any, *, threshold: Any = 1e-6
) -> StableManifold:
    r"""The stable subspace of a system linearised at a saddle.

    To it the stable manifold is tangent, the set of all states whose solutions converge to
    the saddle. It has measure 0: almost every start avoids the saddle.

    Args:
        system: A system whose coefficients are constant.
        x: A saddle: a critical point with directions that grow, and others that do not.
        threshold: Largest norm of the gradient there.

    Returns:
        The subspace, in the coordinates of the state in one vector.

    Raises:
        TypeError: `system` is not a system.
        ValueError: `x` is no saddle of the system, or `spectrum` refuses it.

    Example:
        >>> from dynsys.objectives import DoubleWell
        >>> from dynsys.systems import GDIN
        >>> found = stable_manifold(GDIN(DoubleWell(), alpha=1.0, beta=1.0), [0.0, 0.0])
        >>> found.basis.shape, found.rates.round(9).tolist()
        ((4, 3), [8.0])

    Source:
        C. Castera, J. Optim. Theory Appl. 199 (2023): stable manifold theorem for DIN and
        INNA. The subspace is what the left eigenvectors that grow annihilate.
    """
    found = spectrum(system, x, threshold=threshold)
    if found.kind != "saddle":
        raise ValueError(
            f"`x` must be a saddle of the system, but its linearisation is {found.kind}, "
            f"with {found.unstable} directions that grow. `spectrum` shows its eigenvalues."
        )
    rest = rest_state(system, as_position("x", x))
    matrix = jacobian(system, rest)
    values, vectors = np.linalg.eig(matrix.T)
    growing = vectors[:, np.argsort(-np.real(values))[: found.unstable]].T
    spanning = np.concatenate([np.real(growing), np.imag(growing)])
    # The imaginary parts add no new direction: complex vectors come in pairs.
    directions = np.linalg.svd(spanning)[2]
    normals, basis = np.split(directions, [found.unstable])
    amplitudes = None
    if found.unstable == 1:
        amplitudes = _amplitudes(system, rest, matrix, normals[0])
    rates = np.real(found.eigenvalues)[: found.unstable]
    return StableManifold(rest, basis.T, normals, rates, amplitudes)


def _amplitudes(
    system: AbstractSystem, rest: State, matrix: np.ndarray, left: np.ndarray
) -> np.ndarray:
    """The left eigenvector, scaled to measure the position along the right one."""
    values, vectors = np.linalg.eig(matrix)
    grows = np.real(vectors[:, np.argmax(np.real(values))])
    moved = system.position(from_vector(jnp.asarray(grows), rest))
    return left * float(np.linalg.norm(as_vector(moved))) / float(left @ grows)


def distance_to_stable_subspace(manifold: StableManifold, state: State) -> Any:
    r"""The distance of states to the saddle plus its stable subspace.

    Close to the saddle it grows at the unstable rates, whatever the other coordinates do.

    Args:
        manifold: What `stable_manifold` returned.
        state: A state of the system, or several, with their axes in front of each leaf,
            such as `trajectory.state`.

    Returns:
        A number, or one for each state.

    Raises:
        ValueError: The states have another dimension.

    Example:
        >>> from dynsys.objectives import DoubleWell
        >>> from dynsys.systems import GDIN
        >>> system = GDIN(DoubleWell(), alpha=1.0, beta=1.0)
        >>> found = stable_manifold(system, [0.0, 0.0])
        >>> on_axis = system.state([0.0, 1.9], [0.0, 1.0])
        >>> round(distance_to_stable_subspace(found, on_axis), 9)
        0.0

    Source:
        Elementary: the norm of the orthogonal projection onto the normals.
    """
    away = _displacements(manifold, state) @ manifold.normals.T
    distance = np.linalg.norm(away, axis=-1)
    return float(distance) if distance.ndim == 0 else distance


def escape_time(manifold: StableManifold, state: State, radius: Any = 1.0) -> Any:
    r"""When the linear flow carries states to a distance from the saddle.

    $$t = \frac1r\ln\frac{\text{radius}}{|c|}$$

    with the unstable rate $r$ and the coordinate $c$ of the start in its direction. It
    holds for starts so close to the stable manifold that what is not unstable has died out
    by then, and a radius so small that the flow is linear up to there.

    Args:
        manifold: What `stable_manifold` returned, with one unstable direction.
        state: A state of the system, or several, with their axes in front of each leaf.
        radius: The distance of the position, positive.

    Returns:
        A number, or one for each state; infinite on the stable subspace.

    Raises:
        TypeError: `radius` is not a number.
        ValueError: Several directions are unstable, `radius` is not positive, or the
            states have another dimension.

    Example:
        From 1e-12 beside the saddle, along the gradient flow of a double well:

        >>> from dynsys.objectives import DoubleWell
        >>> from dynsys.systems import GradientFlow
        >>> system = GradientFlow(DoubleWell())
        >>> found = stable_manifold(system, [0.0, 0.0])
        >>> round(escape_time(found, system.state([1e-12, 0.0])), 6)
        3.453878

    Source:
        Derived here: the coordinate along the left eigenvector of the linear flow.
    """
    if manifold.amplitudes is None:
        raise ValueError(
            f"`escape_time` needs one unstable direction, but this saddle has "
            f"{len(manifold.rates)}. `distance_to_stable_subspace` takes any number."
        )
    size = float(as_number("radius", radius, "positive"))
    amplitude = np.abs(_displacements(manifold, state) @ manifold.amplitudes)
    with np.errstate(divide="ignore"):
        time = (math.log(size) - np.log(amplitude)) / manifold.rates[0]
    return float(time) if time.ndim == 0 else time


def _displacements(manifold: StableManifold, state: State) -> np.ndarray:
    """States less that at the saddle, each in one vector along the last axis."""
    rest = [np.asarray(leaf, float) for leaf in jax.tree.leaves(manifold.rest)]
    leaves = [np.asarray(leaf, float) for leaf in jax.tree.leaves(state)]
    axes = max(leaves[0].ndim - rest[0].ndim, 0)
    front = leaves[0].shape[:axes]
    if [leaf.shape for leaf in leaves] != [(*front, *leaf.shape) for leaf in rest]:
        raise ValueError(
            f"`state` must be a state like that at the saddle, whose leaves have shapes "
            f"{[leaf.shape for leaf in rest]}, or several with their axes in front, but "
            f"its leaves have shapes {[leaf.shape for leaf in leaves]}."
        )
    pairs = zip(leaves, rest, strict=True)
    return np.concatenate([(a - b).reshape(*front, -1) for a, b in pairs], axis=-1)

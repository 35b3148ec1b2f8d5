r"""How far the iterates of INNA are from the flow that they shadow."""

from typing import Any, NamedTuple

import jax
import numpy as np

from dynsys.algorithms.inna_path import INNAPath
from dynsys.checks import as_number, known
from dynsys.integrators.simulate import simulate

POINTS = 200
"""Times in a window at which the iterates are compared with the flow."""


class Shadowing(NamedTuple):
    r"""Distances between the iterates of INNA and g-DIN, window by window.

    Args:
        t: When each window begins, of shape `(windows,)`.
        gamma: The step size there. Unit: time.
        distance: The largest distance within the window,
            $\sup_{0\le s\le T}\|(\theta, \psi)(t + s) - (\bar\theta, \bar\psi)(t + s)\|$.
        theta_distance: The largest distance of the positions alone.
    """

    t: np.ndarray
    gamma: np.ndarray
    distance: np.ndarray
    theta_distance: np.ndarray


def shadowing(
    path: INNAPath,
    window: Any,
    windows: int = 20,
    *,
    points: int = POINTS,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    **options: Any,
) -> Shadowing:
    r"""The distance of the iterates to the solution that starts where they are.

    Within each window $[t, t + T]$ the solution of g-DIN that starts from the iterate at
    $t$ is compared with the iterates, joined by straight lines. By the theory of perturbed
    solutions the largest distance vanishes as $t \to \infty$ if $\gamma_k \to 0$ fast
    enough; for a constant step size and a smooth objective it is $O(\gamma)$.

    Args:
        path: The path of the iterates.
        window: The length $T$ of a window. Unit: time.
        windows: How many windows, spread evenly over the path.
        points: At how many times of a window the two are compared.
        rtol: Relative tolerance of the solution.
        atol: Absolute tolerance of the solution.
        **options: Further options of `dynsys.simulate`.

    Raises:
        ValueError: The path is traced or not longer than a window, or an argument is out of
            range.
        SimulationError: A solution was not found.

    Example:
        >>> import dynsys as ds, jax.numpy as jnp
        >>> from dynsys.algorithms import inna_path
        >>> system = ds.GDIN(ds.objectives.Quadratic(jnp.eye(1)), 1.0, 0.5)
        >>> path = inna_path(system, [1.0], 0.01, 1000)
        >>> bool(shadowing(path, 1.0, windows=3).distance.max() < 0.01)
        True

    Source:
        The talk (proof sketch 1/2); M. Benaim, J. Hofbauer, S. Sorin, SIAM J. Control
        Optim. 44(1), 2005, theorems 1.3 and 1.4.
    """
    length = float(as_number("window", window, "positive"))
    for name, number in (("windows", windows), ("points", points)):
        if not isinstance(number, int | np.integer) or number < 1:
            raise ValueError(f"`{name}` must be a positive integer, but is {number!r}.")
    t = known(path.t)
    if t is None:
        raise ValueError("`shadowing` runs on the host: call it outside of `jax.jit`.")
    latest = np.searchsorted(t, t[-1] - length, side="right") - 1
    if t[-1] < length or latest < 0:
        raise ValueError(
            f"The path has length {t[-1]:.6g}, less than a window of {length:.6g}. Make "
            f"more steps, or a shorter `window`."
        )
    wanted = np.linspace(0, t[latest], windows)
    starts = np.minimum(np.searchsorted(t, wanted), latest)
    offsets = np.linspace(0, length, points + 1)[1:]
    found = [
        _distances(path, int(index), offsets, rtol=rtol, atol=atol, **options)
        for index in starts
    ]
    both, position = np.array(found).T
    return Shadowing(t[starts], np.asarray(path.gamma)[starts], both, position)


def _distances(
    path: INNAPath, index: int, offsets: np.ndarray, **options: Any
) -> tuple[float, float]:
    """The largest distances, of states and of positions, in the window of an iterate."""
    flow = simulate(
        path.system,
        path.state(index),
        t1=offsets[-1],
        times=np.concatenate([[0.0], offsets]),
        **options,
    )
    gaps = jax.tree.map(
        lambda flow, path: flow[1:] - path, flow.state, path(path.t[index] + offsets)
    )
    rows = [
        np.asarray(leaf).reshape(len(offsets), -1) for leaf in jax.tree.leaves(gaps.theta)
    ]
    other = [
        np.asarray(leaf).reshape(len(offsets), -1) for leaf in jax.tree.leaves(gaps.psi)
    ]
    norm = lambda parts: float(np.linalg.norm(np.hstack(parts), axis=1).max())
    return norm(rows + other), norm(rows)

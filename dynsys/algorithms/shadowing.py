r"""How far the iterates of INNA are from the flow that they shadow."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsys.algorithms.inna_path import INNAPath, require_path
from dynsys.checks import as_number, known
from dynsys.integrators.simulate import simulate
from dynsys.systems.gdin import GDINState
from dynsys.trees import norm, time_dtype

POINTS = 1000
"""Times in a window at which the iterates are compared with the flow."""

TOLERANCES = (1e-8, 1e-10)
"""Of the solutions in 64 bit, far below the distances of most step sizes."""


class Shadowing(NamedTuple):
    r"""Distances between the iterates of INNA and g-DIN, window by window.

    Args:
        t: When each window begins, of shape `(windows,)`. Unit: time.
        gamma: The step size there. Unit: time.
        distance: The largest distance within the window between path and solution,
            $\max_{0\le s\le T}\|(\theta, \psi)(t + s) - (\bar\theta, \bar\psi)(s)\|$ with
            $(\bar\theta, \bar\psi)(0) = (\theta, \psi)(t)$.
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
    rtol: Any = None,
    atol: Any = None,
    **options: Any,
) -> Shadowing:
    r"""The distance of the iterates to the solution that starts where they are.

    Within each window $[t, t + T]$ the solution of g-DIN that starts from an iterate at
    time $t$ is compared with the iterates, joined by straight lines. By the theory of
    perturbed solutions the iterates come ever closer to solutions if $\gamma_k \to 0$, and
    with mini-batches if $\gamma_k = o(1/\log k)$. For a constant step size and a smooth
    objective the distance is $O(\gamma)$, with mini-batches of the order of
    $\sqrt\gamma$.

    All windows are solved by one compiled program. Where solutions are not unique, on a
    concave kink, the theory speaks of some solution and this of one that was found.

    Args:
        path: The path of the iterates. Those that were left out by `every` are not seen.
        window: The length $T$ of a window. Unit: time.
        windows: How many windows, spread evenly over the path; fewer if there are not as
            many iterates.
        points: At how many times of a window, evenly spread, the two are compared. With
            mini-batches the distance is rough in time: as many as there are iterates in a
            window lose nothing.
        rtol: Relative tolerance of the solutions; 1e-8, in 32 bit that of `simulate`.
        atol: Absolute tolerance of the solutions; 1e-10, in 32 bit that of `simulate`.
        **options: Further options of `dynsys.simulate`.

    Raises:
        TypeError: `path` is no `INNAPath`.
        ValueError: The path is traced, not finite or shorter than a window, or an argument
            is out of range.
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
    _check_path(path)
    taken = sorted({"t0", "t1", "times", "dense", "stop", "v0"} & set(options))
    if taken:
        raise ValueError(
            f"`{taken[0]}` is no option here: every window has its own start, and the "
            f"length and times that `window` and `points` say."
        )
    length = float(as_number("window", window, "positive"))
    for name, number in (("windows", windows), ("points", points)):
        if not isinstance(number, int | np.integer) or number < 1:
            raise ValueError(f"`{name}` must be a positive integer, but is {number!r}.")
    starts = _starts(path, length, int(windows))
    offsets = np.linspace(0, length, int(points) + 1)
    if time_dtype(path.theta).itemsize == 8:
        rtol = TOLERANCES[0] if rtol is None else rtol
        atol = TOLERANCES[1] if atol is None else atol
    found = []
    for index in starts:
        flow = simulate(
            path.system,
            path.state(index),
            t1=length,
            times=offsets,
            rtol=rtol,
            atol=atol,
            **options,
        )
        found.append(_distances(path, path.t[index] + offsets, flow.state))
    both, position = np.array(found).T
    t, gamma = np.asarray(path.t)[starts], np.asarray(path.gamma)[starts]
    return Shadowing(t, gamma, both, position)


def _check_path(path: Any) -> None:
    require_path("shadowing", path)
    leaves = jax.tree.leaves((path.theta, path.psi))
    if not all(np.isfinite(leaf).all() for leaf in leaves):
        raise ValueError(
            "The iterates of the path are not finite. Take a smaller learning rate."
        )


def _starts(path: INNAPath, length: float, windows: int) -> np.ndarray:
    """The iterates in which the windows begin."""
    t = known(path.t)
    assert t is not None
    # The times are sums: a window as long as the path must not fail by their rounding.
    end = t[-1] + len(t) * np.finfo(t.dtype).eps * t[-1]
    if end < length:
        raise ValueError(
            f"The path has length {t[-1]:.6g}, less than a window of {length:.6g}. Make "
            f"more steps, or take a shorter `window`."
        )
    latest = np.searchsorted(t, end - length, side="right") - 1
    wanted = np.linspace(0, t[latest], windows)
    return np.unique(np.minimum(np.searchsorted(t, wanted), latest))


@eqx.filter_jit
def _distances(
    path: INNAPath, t: Float[Array, " times"], flow: GDINState
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The largest distances, of states and of positions, in a window."""
    gap = jax.tree.map(lambda one, other: one - other, flow, path(t))
    return jnp.max(jax.vmap(norm)(gap)), jnp.max(jax.vmap(norm)(gap.theta))

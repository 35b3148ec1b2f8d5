r"""The iterates of INNA in the time of g-DIN."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsys.algorithms.hyperparameters import Hyperparameter, at
from dynsys.algorithms.inna import inna
from dynsys.algorithms.inna_start import speed_or_psi
from dynsys.algorithms.inna_step import step_size
from dynsys.algorithms.iterate import Gradient, checked_length, require_finite, scan
from dynsys.checks import default_float, is_concrete, known
from dynsys.systems.gdin import GDIN, GDINState
from dynsys.trees import Position, as_position, combine


class INNAPath(eqx.Module):
    r"""The iterates of INNA as points of a path in time, $t_k = \sum_{j<k}\gamma_j$.

    Args:
        system: The system that the iteration discretises.
        t: The times $t_k$ of the iterates that were kept, of shape `(kept,)`.
        gamma: The step sizes $\gamma_k$ there, of shape `(kept,)`. Unit: time.
        theta: The positions, with a leading axis `kept`.
        psi: The auxiliary variables, with a leading axis `kept`.
    """

    system: GDIN
    t: Float[Array, " kept"]
    gamma: Float[Array, " kept"]
    theta: Position
    psi: Position

    def state(self, index: Any) -> GDINState:
        """The state of the system in the kept iterate of that index."""
        return GDINState(*jax.tree.map(lambda leaf: leaf[index], (self.theta, self.psi)))

    def __call__(self, t: Any) -> GDINState:
        r"""The iterates, joined by straight lines, at times `t`.

        Args:
            t: Times between the first and the last iterate, of any shape.

        Raises:
            ValueError: A time is outside of them. Traced times are not looked at: there
                the path stays where it ends.
        """
        self._require_inside(t)
        t = jnp.asarray(t, self.t.dtype)
        before = jnp.clip(jnp.searchsorted(self.t, t, "right") - 1, 0, len(self.t) - 2)
        length = self.t[before + 1] - self.t[before]
        part = jnp.clip((t - self.t[before]) / jnp.where(length > 0, length, 1), 0, 1)

        def between(leaf: Array) -> Array:
            share = part.astype(leaf.dtype)
            share = share.reshape(share.shape + (1,) * (leaf.ndim - 1))
            return (1 - share) * leaf[before] + share * leaf[before + 1]

        return GDINState(*jax.tree.map(between, (self.theta, self.psi)))

    def _require_inside(self, t: Any) -> None:
        times, ends = known(t), known(self.t[jnp.array([0, -1])])
        if times is None or ends is None:
            return
        # Times are sums of as many steps.
        margin = len(self.t) * np.finfo(ends.dtype).eps * ends[1]
        if times.size and not (
            times.min() >= ends[0] - margin and times.max() <= ends[1] + margin
        ):
            raise ValueError(
                f"`t` must be within the path, from {ends[0]:.6g} to {ends[1]:.6g}, but "
                f"goes from {times.min():.6g} to {times.max():.6g}. Make more steps."
            )


def require_path(name: str, path: Any) -> None:
    """Refuse what is no path, or is being traced.

    Args:
        name: Name of the function that needs it.
        path: What it got.

    Raises:
        TypeError: It is no `INNAPath`.
        ValueError: It is being traced.
    """
    if not isinstance(path, INNAPath):
        raise TypeError(
            f"`{name}` needs the iterates of INNA as `inna_path` returns them, but got a "
            f"{type(path).__name__}. Pass `inna_path(dynsys.GDIN(f, alpha, beta), ...)`."
        )
    if not is_concrete(path):
        raise ValueError(
            f"`{name}` runs on the host, but the path is being traced. Call it outside of "
            f"`jax.jit`, `jax.vmap` and `jax.grad`."
        )


def inna_path(
    system: GDIN,
    theta0: Any,
    learning_rate: Any,
    steps: int,
    *,
    start: Any = "gradient",
    decay_power: Any = 0.0,
    gradient: Gradient | None = None,
    every: int = 1,
    throw: bool = True,
) -> INNAPath:
    r"""Run INNA, the explicit Euler method of g-DIN, and keep its path.

    Calls that differ in numbers only share one compiled program.

    Args:
        system: The system, with the objective and the dampings.
        theta0: The first position.
        learning_rate: Step size $\gamma$, or a schedule of it. Unit: time.
        steps: Number of steps, at least 1.
        start: How $\psi_0$ is chosen, as for `dynsys.inna`.
        decay_power: Exponent $q$ of the step size $\gamma\,(k + 1)^{-q}$.
        gradient: Instead of the gradient of the objective, a function of the position and
            the number of the iteration, such as a `MiniBatches`.
        every: Keep one in so many iterates, and the first.
        throw: Raise an error if an iterate is not finite.

    Raises:
        TypeError: `system` is no `GDIN`.
        ValueError: An argument is out of range, as for `dynsys.inna` and `iterate`.
        SimulationError: An iterate is not finite.

    Warns:
        UserWarning: `learning_rate` is a number of at least `beta`.

    Example:
        >>> import dynsys as ds
        >>> system = ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.3, 0.1)
        >>> path = inna_path(system, [-1.0, 1.5], 1e-4, 10_000, start=0.1, every=100)
        >>> print(path.theta[-1].round(4))  # The flow is at (-1.0514, 1.0539).
        [-1.0514  1.0539]

    Source:
        The talk (INNA, and the interpolation in the proof sketch).
    """
    if not isinstance(system, GDIN):
        raise TypeError(
            f"`system` must be a `GDIN`, which INNA discretises, but is a "
            f"{type(system).__name__}. `GDIN(f, alpha, beta)` is the flow of `DIN` with "
            f"constant dampings; `discretise` knows the methods of other systems."
        )
    theta0 = as_position("theta0", theta0)
    kept = checked_length(steps, every)
    inna(learning_rate, system.alpha, system.beta, start=start, decay_power=decay_power)
    rate, begin, power = map(_as_array, (learning_rate, start, decay_power))
    path = _run(system, theta0, rate, begin, power, gradient, kept, every)
    if throw:
        require_finite((path.theta, path.psi), jnp.arange(kept + 1) * every)
    return path


def _as_array(value: Any) -> Any:
    """A number as an array, so that another one needs no new program."""
    is_leaf = jax.tree_util.all_leaves([value])
    if callable(value) or isinstance(value, str) or not is_leaf:
        return value
    return jnp.asarray(value, default_float())


@eqx.filter_jit
def _run(
    system: GDIN,
    theta0: Position,
    learning_rate: Hyperparameter,
    start: Any,
    decay_power: Any,
    gradient: Gradient | None,
    kept: int,
    every: int,
) -> INNAPath:
    counts = jnp.arange(kept * every + 1)
    method = inna(
        learning_rate, system.alpha, system.beta, start=start, decay_power=decay_power
    )
    found = scan(method, system.objective, theta0, gradient, kept, every)
    psi = jax.vmap(lambda state, theta: state.psi(theta))(found.state, found.x)
    speed, _ = speed_or_psi(start)
    if speed is not None:
        # The first state of `inna` knows no gradient yet, so it lacks this part of psi.
        v = system.gradient(theta0) if gradient is None else gradient(theta0, counts[0])
        part = combine((system.beta * (at(speed, counts[0]) - system.beta), v))
        psi = jax.tree.map(lambda leaf, v: leaf.at[0].add(v), psi, part)
    gamma = step_size(learning_rate, decay_power)
    gammas = jax.vmap(lambda count: at(gamma, count))(counts)
    t = jnp.concatenate([jnp.zeros(1, gammas.dtype), jnp.cumsum(gammas[:-1])])
    return INNAPath(system, t[::every], gammas[::every], found.x, psi)

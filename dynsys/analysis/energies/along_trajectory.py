"""The energy along a trajectory, beside what the identity says of its rate."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.analysis.energies.catalogue import EnergyOf, energies_of
from dynsys.analysis.energies.energy import Minimum, moment
from dynsys.analysis.minimum import minimum_of
from dynsys.analysis.points import at_times, quadrature, require_trajectory
from dynsys.systems.velocity import reconcile
from dynsys.trajectory import Trajectory

ROUNDING = 5e3
"""Units in the last place of the largest energy up to which an increase is rounding."""

NEXT_TO = 1e3
"""Precisions of time before and after a switch at which the energy is looked at."""

SMALL = 1e-3
"""Part of the change of energy above which an increase is none of the residual."""


class EnergyReport(NamedTuple):
    r"""The energy along a trajectory.

    Args:
        name: Which energy.
        t: The times of the outputs, of shape `(times,)`.
        value: The energy $E(t)$ there.
        rate: Its derivative $\dot E(t)$, as the equation gives it.
        dissipated: The integral of the rate from the start to each time, and the jumps of
            the energy where coefficients of the system jump.
        residual: What is left of the identity, $E(t) - E(t_0) - \int\dot E$ and jumps.
        decreases: When it is known not to increase.
        source: Paper and equation.
    """

    name: str
    t: np.ndarray
    value: np.ndarray
    rate: np.ndarray
    dissipated: np.ndarray
    residual: np.ndarray
    decreases: str
    source: str

    @property
    def largest_increase(self) -> float:
        """The largest growth from any time to a later one, 0 if there is none."""
        growth = self.value - np.minimum.accumulate(self.value)
        return float(growth.max())

    @property
    def largest_residual(self) -> float:
        """The largest absolute residual of the identity."""
        return float(np.abs(self.residual).max())

    @property
    def is_decreasing(self) -> bool:
        """Whether the energy never grows by more than a small residual explains."""
        scale = float(np.abs(self.value).max() * np.finfo(self.value.dtype).eps)
        open_ = min(2 * self.largest_residual, SMALL * float(np.ptp(self.value)))
        return self.largest_increase <= open_ + ROUNDING * scale

    def __str__(self) -> str:
        verdict = (
            "never increases"
            if self.is_decreasing
            else (f"increases by up to {self.largest_increase:.3g}")
        )
        return (
            f"Energy `{self.name}` {verdict}: from {self.value[0]:.6g} to "
            f"{self.value[-1]:.6g}, {abs(self.dissipated[-1]):.6g} dissipated, identity "
            f"within {self.largest_residual:.2g}. Known to decrease {self.decreases} "
            f"({self.source})."
        )


def energy(
    trajectory: Trajectory,
    which: str | EnergyOf | None = None,
    *,
    minimiser: Any = None,
    minimum: Any = None,
) -> EnergyReport:
    r"""The energy along a trajectory, its exact rate, and what is left of the identity.

    $$E(t) - E(t_0) - \int_{t_0}^t\dot E(s)\,ds$$

    is 0 along a solution, also across and along kinks for the energies of g-DIN, DIN and
    gradient flow. What it is along a computed trajectory is the error of that.

    Args:
        trajectory: A trajectory with dense output.
        which: Name of the energy, see `energies_of`, or a function from the system to an
            `Energy`; left out, the first that can be computed.
        minimiser: A minimiser of the objective, for energies that need one; left out,
            what the objective knows of itself.
        minimum: The smallest value of the objective; left out, that at the minimiser, and
            0 if none is known.

    Returns:
        The energy at the times of the trajectory.

    Raises:
        TypeError: It is not a trajectory.
        ValueError: It is a batch, its run failed or ended where it started, it has no
            dense output, there is no such energy, the energy is not finite, or it needs a
            minimiser and none is known.

    Example:
        >>> import dynsys as ds
        >>> f = ds.objectives.Quadratic([[1.0, 0.0], [0.0, 9.0]])
        >>> run = ds.simulate(ds.GDIN(f, 1.0, 0.1), [1.0, 1.0], t1=9.0, dense=True)
        >>> report = energy(run)
        >>> report.name, report.is_decreasing, report.largest_residual < 1e-4
        ('g-DIN', True, True)

    Source:
        The energies name theirs.
    """
    require_trajectory("energy", trajectory)
    known = minimum_of(trajectory, minimiser, minimum)
    if trajectory.dense is None:
        raise ValueError(
            "The dissipation is integrated along the trajectory, which is known at its "
            "`times` only. Pass `dense=True` to `simulate`."
        )
    known = Minimum(known.x, jnp.asarray(known.f))
    lean = trajectory.dense, trajectory.system, trajectory.rtol, trajectory.atol, known
    times, weights, ends = quadrature(trajectory)
    t = np.asarray(trajectory.t)
    marks = np.append(t, float(trajectory.dense.t0))
    make, value, rate = _first_finite(_candidates(trajectory, which, known), marks, lean)
    _, rates = at_times(_value_and_rate, times.reshape(-1), make, *lean)
    steps = np.sum(weights * rates.reshape(weights.shape), axis=1)
    total = np.concatenate([[0.0], np.cumsum(steps)])
    reached = np.searchsorted(ends, t, side="right")
    dissipated = total[np.minimum(reached, len(steps))]
    dissipated = dissipated + _jumps(trajectory, make, lean)
    one, start = make(trajectory.system), value[-1]
    parts = value[:-1], rate[:-1], dissipated, value[:-1] - start - dissipated
    return EnergyReport(one.name, t, *parts, one.decreases, one.source)


def _jumps(trajectory: Trajectory, make: EnergyOf, lean: tuple[Any, ...]) -> np.ndarray:
    """How much the energy has jumped with the coefficients up to each output."""
    t, switches = np.asarray(trajectory.t), np.asarray(trajectory.switches)
    switches = switches[(switches > t[0]) & (switches < float(trajectory.result.t))]
    if not len(switches):
        return np.zeros_like(t)
    near = NEXT_TO * np.finfo(t.dtype).eps * np.abs(t).max()
    sides = np.concatenate([switches - near, switches + near])
    before, after = np.split(at_times(_value_and_rate, sides, make, *lean)[0], 2)
    passed = switches[None] < t[:, None]
    return passed.astype(t.dtype) @ (after - before)


def _first_finite(
    makers: list[EnergyOf], t: np.ndarray, lean: tuple[Any, ...]
) -> tuple[EnergyOf, np.ndarray, np.ndarray]:
    """The first energy that is finite at all times, with its values and rates."""
    for make in makers:
        value, rate = at_times(_value_and_rate, t, make, *lean)
        if np.isfinite(value).all():
            return make, value, rate
    first = makers[0]
    value, _ = at_times(_value_and_rate, t, first, *lean)
    where = t[np.argmin(np.isfinite(value))]
    raise ValueError(
        f"The energy `{first(lean[1]).name}` is not finite at t = {where:g}, where a "
        f"coefficient is singular or the trajectory is not finite. Name another as "
        f"`which`, or start later."
    )


def _candidates(
    trajectory: Trajectory, which: str | EnergyOf | None, minimum: Minimum
) -> list[EnergyOf]:
    """The energy that is asked for, or all for which enough is known."""
    system = trajectory.system
    if callable(which):
        chosen = [which]
    else:
        known = energies_of(system)
        if which is not None and which not in known:
            raise ValueError(
                f"There is no energy `{which}` of {type(system).__name__}. Known are "
                f"{list(known)}."
            )
        chosen = list(known.values()) if which is None else [known[which]]
    able = [m for m in chosen if minimum.x is not None or not m(system).needs_minimiser]
    if not able:
        raise ValueError(
            f"The energy `{chosen[0](system).name}` needs a minimiser, which the objective "
            f"does not know of itself. Pass `minimiser=...`."
        )
    return able


def _value_and_rate(
    t: Any,
    make: EnergyOf,
    dense: Any,
    system: Any,
    rtol: Any,
    atol: Any,
    minimum: Minimum,
) -> tuple[Any, Any]:
    t = t.astype(rtol.dtype)
    state, slope = dense.state(t), dense.slope(t)
    there = dense.system_at(t, system)
    velocity = reconcile(there, t, state, slope, rtol, atol)
    at = moment(there, minimum, t, state, velocity)
    one = make(dense.between_switches(t, system))
    # Parameters may have more bits than the positions.
    with jax.numpy_dtype_promotion("standard"):
        return one.value(at), one.rate(at)

"""Whether the numbers of a trajectory can be trusted."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dynsys.analysis.agreement import SAME_LOSS, disagreements, loss_gap, output_gap
from dynsys.analysis.energy import energy
from dynsys.analysis.points import (
    CHUNK,
    at_times,
    quadrature,
    require_trajectory,
    rows,
)
from dynsys.trajectory import Trajectory
from dynsys.trees import as_vector, combine, dimension, from_vector

ALLOWED = 50.0
"""Tolerances of a step that the defect may take: measured were up to 15, for six problems,
stiff and with kinks, and rtol from 1e-2 to 1e-10; interpolants are an order below steps."""

LARGEST_JACOBIAN = 256
"""Coordinates of a state up to which its Jacobian is formed."""

EVENTS = 100.0
"""How far a mode may be left, in units of what rounding may do to a sign or multiplier."""


class Certificate(NamedTuple):
    r"""What speaks for a trajectory, and what against it.

    Args:
        defect: The largest defect of the equation in units of the tolerance of a step, by
            how much the state would have to move to undo it.
        defect_time: Where.
        allowed: What the order of the interpolant, one below that of the steps, allows.
        outputs: The largest difference between positions, states, velocities or the last
            state and those of the dense output, in the same units.
        ledger: Number of lines of the ledger of events, and of times out of order, that do
            not agree with the steps and modes.
        loss: The largest difference between the loss of the system, with its gradient, and
            that with which kinks were followed, relative to their size.
        violation: By how much signs and multipliers leave the mode that the inclusion is
            said to be in, in units of what rounding may do; 0 without kinks.
        energy: Name of the energy, or `None` if none is known.
        energy_residual: What is left of its identity, relative to the change of energy.
        error: The largest distance to the finer trajectory, relative to the largest
            position; `None` without one.
        accuracy: Which relative error is asked for.
        solver: With what it was solved.
        until: Until when defects and modes were looked at: infinite, or where steps of
            first order begin, whose error `trajectory.stats.first_order` states.
    """

    defect: float
    defect_time: float
    allowed: float
    outputs: float
    ledger: int
    loss: float
    violation: float
    energy: str | None
    energy_residual: float
    error: float | None
    accuracy: float
    solver: str
    until: float

    @property
    def solves(self) -> bool:
        """Whether it solves the equation or inclusion as well as its tolerance says."""
        pairs = [
            (self.defect, self.allowed),
            (self.outputs, self.allowed),
            (self.violation, EVENTS),
            (self.ledger, 0),
            (self.loss, SAME_LOSS),
        ]
        return all(found <= limit for found, limit in pairs)

    @property
    def is_accurate(self) -> bool:
        """Whether energy and the finer trajectory show the accuracy that is asked for."""
        errors = [self.energy_residual, 0.0 if self.error is None else self.error]
        return all(error <= self.accuracy for error in errors)

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against the trajectory."""
        return self.solves and self.is_accurate

    @property
    def _fault(self) -> str:
        """What is wrong, of what can be."""
        if not self.defect <= self.allowed:
            return f"no solution of the equation near t = {self.defect_time:.4g}"
        if not self.outputs <= self.allowed:
            return "the outputs are not those of the dense output"
        if self.ledger:
            return "times or events do not agree with the steps"
        if not self.loss <= SAME_LOSS:
            return "the loss is not that of the system"
        return "signs or multipliers leave the modes of the inclusion"

    def __str__(self) -> str:
        if not self.solves:
            verdict = f"Wrong: {self._fault}."
        elif not self.is_accurate:
            verdict = f"Too loose for an accuracy of {self.accuracy:g}: lower `rtol`."
        else:
            verdict = "Nothing speaks against it."
        name = f"of `{self.energy}` " if self.energy else ""
        lines = [
            verdict,
            f"  defect of the equation: {self.defect:.2g} tolerances, "
            f"{self.allowed:.2g} allowed; outputs: {self.outputs:.2g}",
            f"  energy identity {name}within {self.energy_residual:.2g} of its change",
        ]
        if self.violation:
            lines.append(f"  modes of the inclusion left by {self.violation:.2g}")
        if self.error is not None:
            lines.append(f"  distance to the finer run: {self.error:.2g} of the position")
        if np.isfinite(self.until):
            lines.append(
                f"  from t = {self.until:.4g} on in steps of first order, which state "
                f"their own error"
            )
        lines.append("  not seen: what is shorter than a step, and other solutions")
        return "\n".join(lines)


def certify(
    trajectory: Trajectory,
    finer: Trajectory | None = None,
    *,
    accuracy: float = 1e-3,
    minimiser: Any = None,
) -> Certificate:
    r"""Check a trajectory without solving anything: defect, energy, a finer run.

    The defect at a time inside a step of length $h$ is $r = \dot y - F(t, y)$ of the dense
    output. Counted is by how much the state would have to move to undo it in that step,
    $(I - hJ)^{-1}hr$ with the Jacobian $J$ of the field, so that a stiff component is not
    held against a solver that need not follow it. In a mode of an inclusion $F$ is the
    field of that mode, and its signs and multipliers are checked.

    Args:
        trajectory: A trajectory with dense output.
        finer: The same problem, solved with a smaller `rtol`, at the same times. The
            distance to it is the global error, up to its own.
        accuracy: The relative error that is good enough, of positions and energy.
        minimiser: A minimiser of the objective, if its energy needs one.

    Returns:
        A certificate, whose `str` is a verdict with the numbers.

    Raises:
        TypeError: An argument is not a trajectory.
        ValueError: A trajectory is a batch, failed or ended where it started, there is no
            dense output, or `finer` is another problem or not finer.

    Example:
        >>> import dynsys as ds
        >>> f = ds.objectives.Quadratic([[1.0, 0.0], [0.0, 9.0]])
        >>> run = ds.simulate(ds.DIN(f, 1.0, 0.1), [1.0, 1.0], t1=9.0, dense=True)
        >>> certify(run).ok
        True

    Source:
        Defect control: W. H. Enright, "A new error-control for initial value solvers",
        Appl. Math. Comput. 31 (1989). The scaling by the Jacobian is derived here.
    """
    require_trajectory("certify", trajectory)
    if trajectory.dense is None:
        raise ValueError(
            "A certificate looks inside of the steps, but the trajectory is known at its "
            "`times` only. Pass `dense=True` to `simulate`."
        )
    if finer is not None:
        _require_finer(trajectory, finer)
    if not _until(trajectory) > float(trajectory.dense.t0):
        raise ValueError(
            "The run went in steps of first order from its start, which solve the equation "
            "to the error in `trajectory.stats.first_order` only. Use a system with "
            "Hessian-driven damping, or a loss with fewer kinks."
        )
    defects, outside, times = _defects(trajectory)
    worst = int(np.argmax(defects))
    name, residual = _energy(trajectory, minimiser)
    return Certificate(
        defect=float(defects[worst]),
        defect_time=float(times[worst]),
        allowed=ALLOWED,
        outputs=output_gap(trajectory),
        ledger=disagreements(trajectory),
        loss=loss_gap(trajectory),
        violation=float(outside.max()),
        energy=name,
        energy_residual=residual,
        error=None if finer is None else _distance(trajectory, finer),
        accuracy=accuracy,
        solver=trajectory.stats.solver,
        until=_until(trajectory),
    )


def _until(trajectory: Trajectory) -> float:
    """Where steps of first order begin; infinite where there are none."""
    first_order = trajectory.stats.first_order
    return float("inf") if first_order is None else float(first_order.since)


def _require_finer(trajectory: Trajectory, finer: Trajectory) -> None:
    require_trajectory("certify", finer)
    if not float(finer.rtol) < float(trajectory.rtol):
        raise ValueError(
            f"`finer` must have a smaller `rtol` than the trajectory, but has "
            f"{float(finer.rtol):g} where that has {float(trajectory.rtol):g}."
        )
    if not np.array_equal(np.asarray(finer.t), np.asarray(trajectory.t)):
        raise ValueError("`finer` must have the times of the trajectory, but has others.")
    if not np.array_equal(rows(finer.x)[0], rows(trajectory.x)[0]):
        raise ValueError("`finer` must start where the trajectory does, but does not.")
    if not eqx.tree_equal(finer.system, trajectory.system):
        raise ValueError("`finer` must be a run of the same system, but is of another.")


def _defects(trajectory: Trajectory) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Defects over tolerances inside of the steps, violations of modes, and the times."""
    dense = trajectory.dense
    assert dense is not None
    flat = quadrature(trajectory)[0].reshape(-1)
    flat = flat[flat < _until(trajectory)]
    ends = np.asarray(dense.joints)
    ends = np.append(ends[np.isfinite(ends)], float(trajectory.result.t))
    edges = np.unique(np.append(ends, float(dense.t0)))
    place = np.clip(np.searchsorted(edges, flat, side="left"), 1, len(edges) - 1)
    pairs = np.stack([flat, edges[place] - edges[place - 1]], axis=1)
    lean = dense, trajectory.system, trajectory.rtol, trajectory.atol
    # The matrices of one chunk after the other.
    parts = [
        _in_tolerances(at_times(_defect, pairs[i : i + CHUNK], *lean))
        for i in range(0, len(pairs), CHUNK)
    ]
    defects, outside = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    return defects, outside, flat


class _Defect(NamedTuple):
    """The defect at a time, and what it is measured with.

    Args:
        moved: The defect times the length of the step, as one vector.
        matrix: The matrix $I - hJ$, or `None`.
        measure: The matrix of the linear image in which errors count, or `None`.
        unit: The tolerance of a step.
        outside: The violation of the mode.
    """

    moved: Any
    matrix: Any
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
    outside = there.violation(t, state)
    if dimension(state) > LARGEST_JACOBIAN:
        return _Defect(image(moved), None, None, unit, outside)
    field = lambda y: as_vector(there.vector_field(t, from_vector(y, state)))
    matrix = jnp.eye(len(flat), dtype=flat.dtype) - length * jax.jacfwd(field)(flat)
    return _Defect(moved, matrix, jax.jacfwd(image)(flat), unit, outside)


def _in_tolerances(found: _Defect) -> tuple[np.ndarray, np.ndarray]:
    """The sizes of defects, and the violations."""
    moved = found.moved
    size = lambda vectors: np.abs(vectors).max(axis=1) / found.unit
    if found.matrix is None:
        return size(moved), found.outside
    seen = lambda vectors: (found.measure @ vectors[:, :, None])[:, :, 0]
    # Where a direction expands, undoing a defect may take more than the defect itself.
    try:
        undone = np.linalg.solve(found.matrix, moved[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        undone = moved
    return np.minimum(size(seen(undone)), size(seen(moved))), found.outside


def _energy(trajectory: Trajectory, minimiser: Any) -> tuple[str | None, float]:
    """The first energy that can be computed, and what is left of its identity."""
    try:
        report = energy(trajectory, minimiser=minimiser)
    except ValueError:
        return None, 0.0
    scale = max(float(np.ptp(report.value)), float(trajectory.atol))
    return report.name, report.largest_residual / scale


def _distance(trajectory: Trajectory, finer: Trajectory) -> float:
    x, other = rows(trajectory.x), rows(finer.x)
    return float(np.abs(x - other).max() / max(np.abs(other).max(), 1e-300))

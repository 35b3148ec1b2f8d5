"""Whether the numbers of a trajectory can be trusted."""

from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from dynsys.analysis.certificate.agreement import SAME_LOSS, loss_gap, output_gap
from dynsys.analysis.certificate.ledger import disagreements
from dynsys.analysis.certificate.local_errors import LARGEST_JACOBIAN, local_errors
from dynsys.analysis.energies.along_trajectory import energy
from dynsys.analysis.points import require_steps, require_trajectory, rows
from dynsys.trajectory import Trajectory
from dynsys.trees import dimension

STEP = 8.0
"""Tolerances that a step may be off: in `scripts.studies.certificates` it is at most 5."""

INSIDE = 20.0
"""Tolerances that the defect inside of a step may take at rtol = 1. Interpolants may be of
order 3 where steps are of order 5, so that it grows like the -1/5th power of rtol."""

OUTPUTS = 10.0
"""Tolerances that outputs, which are computed again, may be off."""

EVENTS = 10.0
"""Tolerances that a state may be away from the mode in which it is said to be."""


class Certificate(NamedTuple):
    r"""What speaks for a trajectory, and what against it.

    Args:
        step: The largest error that a step has made, in units of its tolerance.
        step_time: Where that step ends.
        defect: The largest defect of the equation inside of the steps, in the same unit,
            by how much the state would have to move to undo it.
        defect_time: Where.
        allowed: What the order of the interpolant, below that of the steps, allows.
        outputs: The largest difference between positions, states, velocities or the last
            state and those of the dense output, in the tolerance at their time.
        ledger: Number of lines of the ledger of events, of modes, and of times out of
            order, that do not agree with each other.
        loss: The largest difference between the loss of the system, with its gradient, and
            that with which kinks were followed, relative to their size.
        violation: By how many tolerances the state would have to move to where the mode
            holds in which the inclusion is said to be; 0 without kinks.
        energy: Name of the energy, or `None` if none is known.
        energy_residual: What is left of its identity, relative to the change of energy.
        error: The largest distance to the finer trajectory, relative to the largest
            position; `None` without one.
        accuracy: Which relative error is asked for.
        solver: With what it was solved.
        until: Until when steps and modes were looked at: infinite, or where steps of
            first order begin, whose error `trajectory.stats.first_order` states.
        unseen: What was not looked at, and what cannot be seen.
    """

    step: float
    step_time: float
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
    unseen: tuple[str, ...]

    @property
    def solves(self) -> bool:
        """Whether it solves the equation or inclusion as well as its tolerance says."""
        return not self._faults

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
    def _faults(self) -> list[str]:
        """What is wrong, of what can be."""
        near = "no solution of the equation near t = {:.4g}"
        looked_at = [
            (self.step, STEP, near.format(self.step_time)),
            (self.defect, self.allowed, near.format(self.defect_time)),
            (self.outputs, OUTPUTS, "the outputs are not those of the dense output"),
            (self.ledger, 0, "times or events do not agree with the steps"),
            (self.loss, SAME_LOSS, "the loss is not that of the system"),
            (self.violation, EVENTS, "the state leaves the modes of the inclusion"),
        ]
        return [fault for found, limit, fault in looked_at if not found <= limit]

    def __str__(self) -> str:
        if not self.solves:
            verdict = f"Wrong: {self._faults[0]}."
        elif not self.is_accurate:
            verdict = f"Too loose for an accuracy of {self.accuracy:g}: lower `rtol`."
        else:
            verdict = "Nothing speaks against it."
        lines = [
            verdict,
            f"  error of a step: {self.step:.2g} tolerances, {STEP:g} allowed; outputs: "
            f"{self.outputs:.2g}, {OUTPUTS:g} allowed",
            f"  defect between the ends of steps: {self.defect:.2g} tolerances, "
            f"{self.allowed:.2g} allowed",
        ]
        if self.energy is not None:
            lines.append(
                f"  energy identity of `{self.energy}` within {self.energy_residual:.2g} "
                f"of its change"
            )
        if self.violation:
            lines.append(f"  modes of the inclusion left by {self.violation:.2g}")
        if self.error is not None:
            lines.append(f"  distance to the finer run: {self.error:.2g} of the position")
        return "\n".join([*lines, *(f"  not seen: {what}" for what in self.unseen)])


def certify(
    trajectory: Trajectory,
    finer: Trajectory | None = None,
    *,
    accuracy: float = 1e-3,
    minimiser: Any = None,
) -> Certificate:
    r"""Check a trajectory without solving anything: its steps, energy, a finer run.

    The defect at a time inside a step of length $h$ is $r = \dot y - F(t, y)$ of the dense
    output. The error $\delta$ that the step makes follows from it by the linear equation

    $$\dot\delta = J\delta + r$$

    with the Jacobian $J$ of the field, by collocation; a stiff component is not held
    against a solver that need not follow it. Inside of a step counts by how much the state
    would have to move to undo the defect, $(I - hJ)^{-1}hr$. In a mode of an inclusion $F$
    is the field of that mode, and its signs, multipliers and events are checked.

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
    t0, _ = require_steps(trajectory)
    if not _until(trajectory) > t0:
        raise ValueError(
            "The run went in steps of first order from its start, which solve the equation "
            "to the error in `trajectory.stats.first_order` only. Use a system with "
            "Hessian-driven damping, or a loss with fewer kinks."
        )
    until = _until(trajectory)
    found = local_errors(trajectory, until)
    worst = np.unravel_index(_largest(found.defect), found.defect.shape)
    step = int(_largest(np.abs(found.error).max(axis=1)))
    name, residual = _energy(trajectory, minimiser)
    return Certificate(
        step=float(np.abs(found.error[step]).max()),
        step_time=float(found.t[step, -1]),
        defect=float(found.defect[worst]),
        defect_time=float(found.t[worst]),
        allowed=INSIDE * float(trajectory.rtol) ** -0.2,
        outputs=output_gap(trajectory),
        ledger=disagreements(trajectory, until),
        loss=loss_gap(trajectory),
        violation=float(found.outside.max()),
        energy=name,
        energy_residual=residual,
        error=None if finer is None else _distance(trajectory, finer),
        accuracy=accuracy,
        solver=trajectory.stats.solver,
        until=until,
        unseen=_unseen(trajectory, name, finer),
    )


def _largest(values: np.ndarray) -> Any:
    """The index of the largest of some numbers, or of one that is none."""
    return np.argmax(np.where(np.isnan(values), np.inf, values))


def _unseen(
    trajectory: Trajectory, energy_name: str | None, finer: Trajectory | None
) -> tuple[str, ...]:
    """What is not looked at of a trajectory."""
    until, size = _until(trajectory), dimension(trajectory.final_state)
    said = {
        "whether start and parameters are those that were meant": True,
        "what is shorter than a step": True,
        "how errors add up, which a `finer` run shows": finer is None,
        "an energy, of which none is known without a minimiser": energy_name is None,
        f"how errors grow inside of a step, with a state of {size} coordinates": size
        > LARGEST_JACOBIAN,
        f"what follows t = {until:.4g}, in steps of first order that state their own "
        f"error": np.isfinite(until),
        "other solutions, of which there are some: it has branched": not bool(
            trajectory.unique
        ),
        "the gradients at kinks, for which those that JAX returns were taken": (
            trajectory.inclusion == "autodiff"
        ),
    }
    return tuple(what for what, holds in said.items() if holds)


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

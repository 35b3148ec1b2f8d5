"""A run of order 2 beside the Newton-like flow that it follows."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from dynsys.analysis.convexity import Survey, survey
from dynsys.analysis.newton.panels import OnPanels, Panels, cut, fading_integral
from dynsys.analysis.points import allowance, at_times, require_trajectory, rows
from dynsys.analysis.report import AssumptionError
from dynsys.cached_call import cached_call
from dynsys.objectives.objective import AbstractObjective, Facts, is_known_smooth
from dynsys.systems.continuous_newton import ContinuousNewton
from dynsys.systems.damped_newton import AbstractDampedNewton
from dynsys.systems.inertial_newton import AbstractInertialNewton
from dynsys.trajectory import Trajectory

EQUAL = 1e-9
"""Relative difference up to which coefficients, starts and objectives are the same."""


class Course(NamedTuple):
    """A coefficient along time, with its derivative."""

    value: OnPanels
    rate: OnPanels


class Pair(NamedTuple):
    """Two runs from one point: a system of order 2, and the flow that it follows.

    Args:
        trajectory: The run of the system of order 2.
        reference: The run of the flow.
        beta: The common factor of the Hessian.
        speed: Norm of the first velocity.
        distance: Distance of the two along time, of shape `(times,)`.
        panels: The interval of time, cut for integrals.
        epsilon: The mass.
        alpha: The viscous damping.
        surveys: The objective along each of the two.
        facts: What is known of the objective.
    """

    trajectory: Trajectory
    reference: Trajectory
    beta: float
    speed: float
    distance: np.ndarray
    panels: Panels
    epsilon: Course
    alpha: Course
    surveys: tuple[Survey, Survey]
    facts: Facts

    @property
    def fade(self) -> OnPanels:
        r"""The factor $e^{-(t-t_0)/\beta}$."""
        t = self.panels.t
        return OnPanels(*(np.exp((t.edges[0] - times) / self.beta) for times in t))

    @property
    def allowance(self) -> float:
        """How far the distance may be off."""
        return allowance(self.trajectory, self.reference)

    @property
    def constants(self) -> dict[str, float]:
        """What every bound is told with."""
        epsilon0 = float(self.epsilon.value.edges[0])
        return {"beta": self.beta, "epsilon0": epsilon0, "speed0": self.speed}

    @property
    def kick(self) -> OnPanels:
        r"""The part $e^{-(t-t_0)/\beta}\varepsilon_0\|\dot x_0\|$ of the first velocity."""
        first = self.epsilon.value.edges[0] * self.speed
        return OnPanels(*(first * fade for fade in self.fade))

    def at_outputs(self, edges: np.ndarray) -> np.ndarray:
        """Values at the output times, from those at the edges of panels."""
        return edges[self.panels.outputs]

    def memory(self, source: np.ndarray) -> OnPanels:
        r"""The integral $\int_{t_0}^t e^{(s-t)/\beta}\,w(s)\,ds$ of values at nodes."""
        return fading_integral(self.panels, 1 / self.beta, source)


def pair(
    caller: str, trajectory: Any, reference: Any, flow: type[AbstractDampedNewton]
) -> Pair:
    """Two runs that a theorem can compare.

    Args:
        caller: Name of the function in messages.
        trajectory: A run of a system of order 2.
        reference: A run of the flow.
        flow: The class of the flow.

    Raises:
        TypeError: An argument is not a trajectory of such a system.
        ValueError: One is a batch or failed, or they differ in times, start, objective or
            beta, or the gradient has another factor than 1.
        AssumptionError: The objective is not smooth, or a coefficient is out of range.
    """
    _require_kinds(caller, trajectory, reference, flow)
    _require_same_run(trajectory, reference)
    beta = float(reference.system.beta)
    panels = cut(np.asarray(trajectory.t, dtype=float), longest=beta)
    epsilon, alpha = _coefficients(trajectory.system, panels, beta)
    surveys = _survey_both(trajectory, reference)
    objective = trajectory.system.objective
    return Pair(
        trajectory,
        reference,
        beta,
        float(np.linalg.norm(rows(trajectory.v)[0])),
        np.linalg.norm(rows(trajectory.x) - rows(reference.x), axis=1).astype(float),
        panels,
        epsilon,
        alpha,
        surveys,
        objective.facts if isinstance(objective, AbstractObjective) else Facts(),
    )


def newton_pair(caller: str, trajectory: Any, newton: Any) -> Pair:
    """A system of order 2 and continuous Newton.

    Args:
        caller: Name of the function in messages.
        trajectory: A run of the system of order 2.
        newton: A run of continuous Newton.

    Raises:
        TypeError: As for `pair`.
        ValueError: As for `pair`, or `newton` is regularised.
        AssumptionError: As for `pair`.
    """
    runs = pair(caller, trajectory, newton, ContinuousNewton)
    regularization = float(newton.system.regularization)
    if regularization != 0:
        raise ValueError(
            f"`newton` must have no regularization, but has {regularization:g}: then its "
            f"gradient leaves its ray. Simulate `ContinuousNewton(f, beta)` without it."
        )
    return runs


def _require_kinds(
    caller: str, trajectory: Any, reference: Any, flow: type[AbstractDampedNewton]
) -> None:
    for one, kind in ((trajectory, AbstractInertialNewton), (reference, flow)):
        require_trajectory(caller, one)
        if not isinstance(one.system, kind):
            raise TypeError(
                f"`{caller}` compares a run of VMDINAVD, DIN or InertialNewton with a run "
                f"of {flow.__name__}, in this order, but got a run of "
                f"{type(one.system).__name__} in the place of {kind.__name__}."
            )
    if is_known_smooth(trajectory.system.objective) is False:
        raise AssumptionError(
            f"The objective {type(trajectory.system.objective).__name__} is not smooth, "
            f"and the theorem needs two derivatives."
        )


def _require_same_run(trajectory: Trajectory, reference: Trajectory) -> None:
    times, others = np.asarray(trajectory.t), np.asarray(reference.t)
    # Evenly spaced times may differ by rounding.
    rounding = 8 * np.finfo(times.dtype).eps * np.abs(times).max()
    if times.shape != others.shape or np.abs(times - others).max() > rounding:
        raise ValueError(
            f"The two trajectories must have the same output times, but have {len(times)} "
            f"from {times[0]:g} to {times[-1]:g} and {len(others)} from {others[0]:g} to "
            f"{others[-1]:g}. Simulate both with the same `times` and `t1`."
        )
    start, other = rows(trajectory.x)[0], rows(reference.x)[0]
    scale = np.abs(start).max()
    if start.shape != other.shape or np.abs(start - other).max() > EQUAL * scale:
        raise ValueError(
            f"The two trajectories must start at the same point, but start at {start} and "
            f"{other}. Simulate both from the same `x0`."
        )


def _with_rates(t: Any, system: Any) -> Any:
    """The coefficients at a time, and their derivatives."""
    return jax.jvp(system.coefficients, (t,), (jnp.ones_like(t),))


def _coefficients(
    system: AbstractInertialNewton, panels: Panels, beta: float
) -> tuple[Course, Course]:
    """Mass and damping, of a system that is VM-DIN-AVD."""
    edges, nodes = panels.t
    times = np.concatenate([edges, nodes.reshape(-1)])
    # Coefficients know nothing of the objective: so one program serves all.
    bare = eqx.tree_at(lambda tree: tree.objective, system, None)
    now, rate = at_times(_with_rates, times, bare)
    for name, value, expected in (("beta", now.beta, beta), ("b", now.b, 1.0)):
        wrong = ~(np.abs(value - expected) <= EQUAL * expected)
        if wrong.any():
            i = np.argmax(wrong)
            raise ValueError(
                f"The theorem needs `{name}` = {expected:g} at all times, as in the flow "
                f"that the system is compared with, but it is {value[i]:g} at t = "
                f"{times[i]:g}."
            )
    for name, fine, value in (
        ("epsilon", now.epsilon > 0, now.epsilon),
        ("alpha", now.alpha >= 0, now.alpha),
    ):
        wrong = ~(fine & np.isfinite(value))
        if wrong.any():
            i = np.argmax(wrong)
            raise AssumptionError(
                f"The theorem needs a finite mass above 0 and a finite damping of at least "
                f"0, but `{name}` is {value[i]:g} at t = {times[i]:g}."
            )
    split = lambda flat: OnPanels(
        flat[: len(edges)], flat[len(edges) :].reshape(nodes.shape)
    )
    return (
        Course(split(now.epsilon), split(rate.epsilon)),
        Course(split(now.alpha), split(rate.alpha)),
    )


def _survey_both(trajectory: Trajectory, reference: Trajectory) -> tuple[Survey, Survey]:
    """The objective along two paths, which must be the same one."""
    objective, other = trajectory.system.objective, reference.system.objective
    found = survey(objective, trajectory.x), survey(objective, reference.x)
    if eqx.tree_equal(objective, other):
        return found
    # It may be the same function in another form.
    values = np.asarray(_values(other, reference.x))
    wrong = ~(np.abs(found[1].f - values) <= EQUAL * (1 + np.abs(values)))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(
            f"The two trajectories must minimise the same objective, but at the second "
            f"one's position at t = {float(reference.t[i]):g} theirs are "
            f"{found[1].f[i]:g} and {values[i]:g}."
        )
    return found


@cached_call
def _values(objective: Callable[[Any], Any], points: Any) -> Any:
    return jax.vmap(objective)(points)

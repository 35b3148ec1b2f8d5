"""Runs of every system, smooth and with kinks: stiff, stopped, continued, and so on."""

from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

import dynsys as ds
from scripts.studies import certified_systems as systems
from scripts.studies.certified_systems import FIRST_ORDER, LOSSES

OUTPUTS = 17


class Kind(NamedTuple):
    """What runs share that share a compiled program.

    Args:
        row: Its row in the table.
        system: From a loss, parameters and a system.
        loss: Name of the loss.
        dim: Dimension.
        solver: The solver, `None` for the default.
        single: Whether in single precision.
        series: Whether it starts at t = 0 along the series.
        stop: `None`, a norm of gradients over that at the start, or `"position"`.
        continued: Whether it goes on from the last state of another run.
    """

    row: str
    system: Callable[..., Any]
    loss: str
    dim: int
    solver: Any = None
    single: bool = False
    series: bool = False
    stop: Any = None
    continued: bool = False

    @property
    def name(self) -> str:
        """Its system, loss and dimension."""
        return f"{self.system.__name__}, {self.loss} in {self.dim}"

    @property
    def is_inertial(self) -> bool:
        """Whether it has an initial velocity."""
        return self.system not in FIRST_ORDER


class Run(NamedTuple):
    """A run, and how to make it again with other numbers.

    Args:
        kind: Its kind.
        trajectory: It.
        again: The same with another system, tolerance or start.
        start: Where it starts.
        scale: The scale of positions.
    """

    kind: Kind
    trajectory: Any
    again: Callable[..., Any]
    start: np.ndarray
    scale: float


TSIT5, DOPRI8, KVAERNO5 = diffrax.Tsit5(), diffrax.Dopri8(), diffrax.Kvaerno5()
BOSH3, FRUGAL = diffrax.Bosh3(), ds.integrators.LowStorageRK4()

KINDS = (
    Kind("smooth", systems.flow, "bowl", 1),
    Kind("smooth", systems.newton, "bowl", 3),
    Kind("smooth", systems.levenberg_marquardt, "bowl", 2),
    Kind("smooth", systems.heavy_ball, "bowl", 5),
    Kind("smooth", systems.avd, "bowl", 3, series=True),
    Kind("smooth", systems.din_avd, "bowl", 4, series=True),
    Kind("smooth", systems.gdin, "bowl", 16),
    Kind("smooth", systems.with_hessian, "bowl", 6),
    Kind("other solvers", systems.flow, "bowl", 16, TSIT5),
    Kind("other solvers", systems.newton, "bowl", 2, KVAERNO5),
    Kind("other solvers", systems.heavy_ball, "bowl", 2, DOPRI8),
    Kind("other solvers", systems.avd, "bowl", 8, BOSH3),
    Kind("other solvers", systems.din, "bowl", 4, FRUGAL),
    Kind("other solvers", systems.din_avd, "bowl", 2, diffrax.HalfSolver(diffrax.Heun())),
    Kind("stiff", systems.flow, "stiff", 8),
    Kind("stiff", systems.din, "stiff", 16),
    Kind("stiff", systems.light, "stiff", 2),
    Kind("stiff", systems.gdin, "stiff", 3, KVAERNO5),
    Kind("stiff", systems.heavy_ball, "stiff", 4, TSIT5),
    Kind("l1", systems.flow, "l1", 4),
    Kind("l1", systems.din, "l1", 1),
    Kind("l1", systems.gdin, "l1", 8),
    Kind("l1", systems.light, "l1", 3),
    Kind("max", systems.gdin, "max", 3),
    Kind("max", systems.flow, "max", 4),
    Kind("max", systems.din_avd, "max", 2, series=True),
    Kind("ReLU network", systems.gdin, "network", 9),
    Kind("ReLU network", systems.din, "network", 9),
    Kind("Piecewise", systems.heavy_ball_piecewise, "bowl", 2),
    Kind("Piecewise", systems.mass_jumps, "bowl", 3, TSIT5),
    Kind("Piecewise", systems.mass_jumps, "l1", 2),
    Kind("where", systems.all_jump, "bowl", 4),
    Kind("where", systems.levenberg_marquardt_where, "bowl", 2),
    Kind("float32", systems.gdin, "bowl", 2, single=True),
    Kind("float32", systems.avd, "bowl", 4, TSIT5, single=True),
    Kind("float32", systems.gdin, "l1", 2, single=True),
    Kind("continued", systems.din, "bowl", 2, continued=True),
    Kind("continued", systems.gdin, "l1", 2, continued=True),
    Kind("stopped", systems.gdin, "bowl", 3, stop=1e-2),
    Kind("stopped", systems.heavy_ball, "bowl", 2, TSIT5, stop="position"),
    Kind("stopped", systems.gdin, "l1", 2, stop="position"),
    Kind("not unique", systems.gdin, "branching", 2),
    Kind("first order", systems.heavy_ball, "l1", 1),
)


def passed(share: Any, t: Any, x: Any, v: Any) -> Any:
    """Falls to 0 where the first coordinate does to a share of another one."""
    del t, v
    level, sign = share
    return sign * (x[0] - level)


def draw(kind: Kind, seed: int, number: int) -> Run:
    """A run of a kind, by its number.

    Raises:
        RuntimeError: It did not reach its end.
    """
    rng = np.random.default_rng([seed, number])
    dtype = np.float32 if kind.single else np.float64
    cast = lambda tree: jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), tree)
    dim, scale = kind.dim, 10 ** rng.uniform(-6, 6)
    turn = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    weights = 10 ** rng.uniform(-0.5, 4 if kind.loss == "stiff" else 1, dim)
    data = cast((scale, weights, turn, rng.normal(size=dim)))
    system = kind.system(Partial(LOSSES[kind.loss], data), cast(rng.uniform(0.3, 1.5, 5)))
    start = scale * rng.normal(0, 1.5, dim)
    if kind.loss == "branching":
        start[0] = 0.0
    speed = scale * rng.normal(size=dim) * (rng.random() < 0.5)
    rtol = 10 ** (rng.uniform(-5, -3) if kind.single else rng.uniform(-10, -3))
    atol = rtol * scale * 10 ** rng.uniform(-4, -1)
    is_released = not kind.is_inertial or kind.series or kind.loss == "branching"
    t0 = 0.0 if kind.series or kind.system not in (systems.avd, systems.din_avd) else 1.0
    options: dict[str, Any] = {
        "t0": t0,
        "t1": t0 + rng.uniform(1, 8),
        "times": OUTPUTS,
        "solver": kind.solver,
        "dense": True,
        "max_steps": 4096,
        "stop": _stop(kind, data, start, rng),
    }

    def again(system: Any = system, start: Any = start, factor: float = 1.0) -> Any:
        velocity = None if is_released else cast(speed)
        more: dict[str, Any] = {**options, "rtol": factor * rtol, "atol": factor * atol}
        if not kind.continued:
            return ds.simulate(system, cast(start), velocity, throw=False, **more)
        middle = 0.5 * (more["t0"] + more["t1"])
        first = ds.simulate(
            system, cast(start), velocity, throw=False, **more | {"t1": middle}
        )
        return ds.simulate(system, first.final_state, throw=False, **more | {"t0": middle})

    trajectory = again()
    if not bool(trajectory.result.ok):
        raise RuntimeError(trajectory.result.message)
    return Run(kind, trajectory, again, start, scale)


def _stop(kind: Kind, data: Any, start: Any, rng: np.random.Generator) -> Any:
    if kind.stop is None:
        return None
    slope = jax.grad(lambda x: LOSSES[kind.loss](data, x))(jnp.asarray(start))
    if kind.stop == "position":
        level = jnp.asarray([rng.uniform(0.0, 0.5), 1.0]) * start[0]
        return Partial(passed, (level[0], jnp.sign(level[1])))
    return float(kind.stop * jnp.linalg.norm(slope))

"""Ways to solve many trajectories, which return the last positions."""

from collections.abc import Callable, Sequence
from typing import Any

import diffrax
import jax
import numpy as np
import scipy.integrate

import dynsys as ds
from scripts.benchmarks.small_problems import Problem
from scripts.benchmarks.timing import Contestant, Timing

Case = Callable[..., tuple[Any, ...]]


def ensemble(
    case: Case, x0: np.ndarray, devices: Sequence[jax.Device], **options: Any
) -> Contestant:
    """`dynsys.simulate_ensemble`."""

    def solve() -> np.ndarray:
        return np.asarray(
            ds.simulate_ensemble(case, x0=x0, devices=devices, reduce=_last, **options)
        )

    return Contestant("dynsys", solve)


def one_at_a_time(case: Case, x0: np.ndarray, **options: Any) -> Contestant:
    """`dynsys.simulate` under `jax.jit`, called for each start."""

    @jax.jit
    def one(start: Any) -> Any:
        system, x0 = case(start)
        return _last(ds.simulate(system, x0, throw=False, **options))

    solve = lambda: np.stack([np.asarray(one(start)) for start in x0])
    return Contestant("one at a time", solve)


def naive(
    problem: Problem, begin: np.ndarray, end: float, tolerance: float, device: jax.Device
) -> Contestant:
    """`diffrax.diffeqsolve` under `jax.vmap` and `jax.jit`, as a user would write it."""

    def one(state: Any) -> Any:
        return diffrax.diffeqsolve(
            diffrax.ODETerm(problem.jax_field),
            diffrax.Tsit5(),
            0.0,
            end,
            None,
            state,
            saveat=diffrax.SaveAt(t1=True),
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
            max_steps=65_536,
            throw=False,
        ).ys

    run = jax.jit(jax.vmap(one))
    states = jax.device_put(begin, device)
    solve = lambda: np.asarray(run(states))[:, 0, : problem.dimension]
    return Contestant("diffrax Tsit5 under `vmap`", solve)


def last_by_lsoda(problem: Problem, begin: np.ndarray, end: float) -> np.ndarray:
    """The last positions by `scipy.integrate.odeint` at a tolerance of 1e-12."""
    ends = [
        scipy.integrate.odeint(
            problem.fast_field,
            state,
            (0.0, end),
            tfirst=True,
            Dfun=problem.fast_jacobian,
            rtol=1e-12,
            atol=1e-12,
            mxstep=100_000,
        )[-1, : problem.dimension]
        for state in begin
    ]
    return np.stack(ends)


def against(
    contestant: Contestant, true: np.ndarray, *, every: int = 1, few: int | None = None
) -> Contestant:
    """The errors of some members, for a race of contestants that solve different ones."""
    solve = lambda: contestant.solve()[:few:every] - true
    return Contestant(contestant.name, solve)


def scaled(timing: Timing, factor: int) -> Timing:
    """The time of all members, of that of one in so many."""
    return timing._replace(seconds=factor * timing.seconds, ratio=factor * timing.ratio)


def _last(trajectory: ds.Trajectory) -> Any:
    """The last position, which comes first in a state; no other outputs are computed."""
    return trajectory.final_state[0]

"""What a user would otherwise write, for a problem of `small_problems`."""

from collections.abc import Callable
from typing import Any

import diffrax
import heyoka
import jax
import jax.numpy as jnp
import numba
import numpy as np
import scipy.integrate
import sksundae.cvode

import dynsys as ds
from scripts.benchmarks.small_problems import END, OUTPUTS, TIMES, Problem
from scripts.benchmarks.timing import Contestant

Maker = Callable[[float, float], Contestant]
"""Makes the contestant of given tolerances, rtol and atol."""


def reference(problem: Problem) -> np.ndarray:
    """Positions by SciPy's Radau at tolerances that leave an error below 1e-10."""
    solution = scipy.integrate.solve_ivp(
        problem.fast_field, (0, END), problem.state, "Radau", TIMES, rtol=1e-12, atol=1e-14
    )
    return solution.y[: problem.dimension].T


def dynsys(problem: Problem, solver: diffrax.AbstractSolver | None = None) -> Maker:
    """`dynsys.simulate`, as it is or with a given solver."""

    def solve(rtol: float, atol: float) -> np.ndarray:
        x0, v0 = problem.start
        run = ds.simulate(
            problem.system,
            x0,
            v0,
            t1=END,
            times=OUTPUTS,
            rtol=rtol,
            atol=atol,
            solver=solver,
        )
        return np.asarray(run.x)

    return _maker("dynsys", solve)


def plain_diffrax(problem: Problem, solver: diffrax.AbstractSolver) -> Maker:
    """`diffrax.diffeqsolve` under `jax.jit`."""

    @jax.jit
    def run(state: Any, rtol: Any, atol: Any) -> Any:
        return diffrax.diffeqsolve(
            diffrax.ODETerm(problem.jax_field),
            solver,
            0.0,
            END,
            None,
            state,
            saveat=diffrax.SaveAt(ts=jnp.asarray(TIMES)),
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
            max_steps=65_536,
            throw=False,
        ).ys

    state = jnp.asarray(problem.state)

    def solve(rtol: float, atol: float) -> np.ndarray:
        return np.asarray(run(state, rtol, atol))[:, : problem.dimension]

    return _maker(f"diffrax {type(solver).__name__}", solve)


def lsoda(problem: Problem) -> Maker:
    """LSODA through `scipy.integrate.solve_ivp`, with a field of NumPy."""
    field = problem.fast_field.py_func  # pyright: ignore

    def solve(rtol: float, atol: float) -> np.ndarray:
        solution = scipy.integrate.solve_ivp(
            field, (0, END), problem.state, "LSODA", TIMES, rtol=rtol, atol=atol
        )
        return solution.y[: problem.dimension].T

    return _maker("SciPy LSODA, NumPy", solve)


def odeint(problem: Problem) -> Maker:
    """LSODA through `scipy.integrate.odeint`, all in compiled code, with a Jacobian."""

    def solve(rtol: float, atol: float) -> np.ndarray:
        states = scipy.integrate.odeint(
            problem.fast_field,
            problem.state,
            TIMES,
            tfirst=True,
            Dfun=problem.fast_jacobian,
            rtol=rtol,
            atol=atol,
            mxstep=100_000,
        )
        return states[:, : problem.dimension]

    return _maker("SciPy odeint, numba", solve)


def cvode(problem: Problem) -> Maker:
    """SUNDIALS' CVODE (BDF) with a field and a Jacobian of numba."""
    field, jacobian = problem.fast_field, problem.fast_jacobian

    @numba.njit
    def write(t: float, y: np.ndarray, out: np.ndarray) -> None:
        out[:] = field(t, y)

    @numba.njit
    def write_jacobian(t: float, y: np.ndarray, _: np.ndarray, out: np.ndarray) -> None:
        out[:] = jacobian(t, y)

    def make(rtol: float, atol: float) -> Contestant:
        solver = sksundae.cvode.CVODE(
            write, rtol=rtol, atol=atol, max_num_steps=100_000, jacfn=write_jacobian
        )
        solve = lambda: np.asarray(solver.solve(TIMES, problem.state).y)
        return Contestant("CVODE, numba", lambda: solve()[:, : problem.dimension])

    return make


def taylor(problem: Problem) -> Maker:
    """The Taylor method of heyoka, on the Rosenbrock problem; it has one tolerance."""
    x, y, p, q = heyoka.make_vars("x", "y", "p", "q")
    step = y - x * x
    g0, g1 = -2.0 * (1.0 - x) - 400.0 * x * step, 200.0 * step
    c0, c1 = 8.0 * x - 10.0 * p, 8.0 * y - 10.0 * q
    equations = [(x, c0 - 0.1 * g0), (y, c1 - 0.1 * g1), (p, c0), (q, c1)]

    def make(rtol: float, _: float) -> Contestant:
        integrator = heyoka.taylor_adaptive(equations, problem.state.tolist(), tol=rtol)

        def solve() -> np.ndarray:
            integrator.time = 0.0
            integrator.state[:] = problem.state
            return integrator.propagate_grid(TIMES)[5][:, :2]

        return Contestant("heyoka", solve)

    return make


def _maker(name: str, solve: Callable[[float, float], np.ndarray]) -> Maker:
    return lambda rtol, atol: Contestant(name, lambda: solve(rtol, atol))

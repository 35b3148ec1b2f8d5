"""Runs as users make them, in a process without the flags of the tests.

`python -m tests.user_conditions` prints a line for each run, with what came out.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np

import dynsys as ds
from tests.integrators.kinked import TIGHT, talk

HESSIAN = np.diag([1.0, 10.0])
STARTS = np.random.default_rng(0).normal(size=(80, 2))
TIMES = np.linspace(0.0, 4.0, 5)
DATA = np.linalg.qr(np.random.default_rng(1).normal(size=(30, 6)))[0]
TARGET = 3 * np.random.default_rng(2).normal(size=30)
WEIGHT = 2.5
OFFSETS = np.linspace(-3.0, 3.0, 80)


def quadratic(x):
    return 0.5 * x @ jnp.asarray(HESSIAN) @ x


def lasso(x):
    residual = jnp.asarray(DATA) @ x - jnp.asarray(TARGET)
    return 0.5 * residual @ residual + WEIGHT * jnp.sum(jnp.abs(x))


def shifted(offset):
    return lambda x: 0.5 * (x - offset) ** 2 + jnp.abs(x)


def smooth():
    run = ds.simulate(ds.DIN(quadratic, 1.0, 0.1), STARTS[0], t1=4.0, times=TIMES, **TIGHT)
    return run.x, run.stats


def inclusion():
    system = ds.GDIN(talk, 1.3, 0.1)
    start = system.state([-1.0, 1.5], system.initial_psi([-1.0, 1.5], speed=0.1))
    times = jnp.array([0.0, 0.5, 1.0, 2.0, 5.0, 10.0])
    run = ds.simulate(system, start, t1=10.0, times=times, **TIGHT)
    return run.x[1:], run.stats


def smooth_ensemble():
    case = lambda x0: (ds.DIN(quadratic, 1.0, 0.1), x0)
    run = ds.simulate_ensemble(case, x0=STARTS, t1=4.0, times=TIMES, **TIGHT)
    return run.x, run.stats


def kinked_ensemble():
    case = lambda offset: (ds.GDIN(shifted(offset), 2.0, 0.5), 2.0)
    run = ds.simulate_ensemble(case, offset=OFFSETS, t1=40.0, times=2)
    return run.x[:, -1], run.stats


def shrinkage():
    run = ds.simulate(ds.GDIN(lasso, 2.0, 0.5), np.ones(6), t1=40.0, times=2)
    return run.x[-1], run.stats


def calls_a_kernel(function, *args):
    """Whether the compiled program has a kernel that was asked for as one."""
    program = jax.jit(function).lower(*args).compile().runtime_executable()
    return b"jit_plain" in program.serialize()


RUNS = (smooth, inclusion, smooth_ensemble, kinked_ensemble, shrinkage)


def main():
    for run in RUNS:
        x, stats = run()
        told = {"x": np.asarray(x).tolist(), "loop": stats.loop}
        sys.stdout.write(f"{run.__name__}: {json.dumps(told)}\n")
    heeded = calls_a_kernel(
        lambda x0: ds.simulate(ds.DIN(quadratic, 1.0, 0.1), x0, t1=4.0).x, STARTS[0]
    )
    sys.stdout.write(f"heeded: {json.dumps(heeded)}\n")


if __name__ == "__main__":
    main()

"""What a call costs besides the solution: Python, tracing and compilation."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

import dynsys as ds
from scripts.benchmarks.small_problems import END, OUTPUTS, Problem

FIRST_CALL = """
import time
import jax, jax.numpy as jnp
import dynsys as ds
jax.config.update("jax_enable_x64", True)
loss = lambda x: (x[0] ** 2 + 10 * x[1] ** 2) / 2 + jnp.sum(jnp.log(jnp.cosh(x)))
mass, damping = ds.schedules.PowerLaw(1e-4, 4.0), ds.schedules.PowerLaw(5e-5, 4.0)
start = time.perf_counter()
system = ds.VMDINAVD(loss, mass, damping, 1.0)
run = ds.simulate(system, [1.0, 2.0], [1.0, -1.0], t1=20.0, times=201)
run.x.block_until_ready()
print(time.perf_counter() - start)
"""
"""A first call in two dimensions, timed after the imports."""


CACHE = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
"""The environment variables of JAX's persistent cache."""


class Overhead(NamedTuple):
    """Seconds of a warm call, and of the compiled program in it; medians."""

    call: float
    program: float
    difference: float


def overhead(problem: Problem, rtol: float, atol: float, rounds: int) -> Overhead:
    """Time `simulate` against the same call under `jax.jit`, in turn."""
    x0, v0 = problem.start

    def call(x0: Any, v0: Any) -> Any:
        run = ds.simulate(
            problem.system, x0, v0, t1=END, times=OUTPUTS, rtol=rtol, atol=atol
        )
        return jax.tree.leaves(run)

    compiled = jax.jit(call)
    pairs = []
    for _ in range(rounds + 2):
        pairs.append((_seconds(call, x0, v0), _seconds(compiled, x0, v0)))
    warm = pairs[2:]
    return Overhead(
        statistics.median(a for a, _ in warm),
        statistics.median(b for _, b in warm),
        statistics.median(a - b for a, b in warm),
    )


def _seconds(function: Callable[..., Any], *args: Any) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function(*args))
    return time.perf_counter() - start


def first_calls(repeats: int) -> tuple[float, float]:
    """Seconds of a first call in a fresh process: as it is, and from a warm cache."""
    with tempfile.TemporaryDirectory() as folder:
        cache = dict(zip(CACHE, (folder, "0"), strict=True))
        _first_call(cache)
        pairs = [(_first_call({}), _first_call(cache)) for _ in range(repeats)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def _first_call(settings: dict[str, str]) -> float:
    inherited = {k: v for k, v in os.environ.items() if k not in CACHE}
    done = subprocess.run(
        [sys.executable, "-c", FIRST_CALL],
        env=inherited | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)

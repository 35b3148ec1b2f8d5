"""What first calls take, which compile: each in a fresh process, against diffrax.

`python -m scripts.benchmarks.first_calls NAME` prints the seconds of one.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

import dynsys as ds
from scripts.benchmarks import page

REPEATS = 3
SINGLE, BATCHED = "diffrax", "diffrax, `vmap`"


def main() -> None:
    """Make one first call, and print how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    call = CALLS[parser.parse_args().name][0]
    # The constants of a loss are made before, and so is what JAX does once a process.
    jax.block_until_ready(jnp.zeros(2) + 1.0)
    run = call()
    begin = time.perf_counter()
    jax.block_until_ready(run())
    print(time.perf_counter() - begin)


def _smooth() -> Callable[[], Any]:
    system = ds.DIN(lambda x: jnp.sum(jnp.cosh(x)), 1.0, 0.1)
    return lambda: ds.simulate(system, jnp.ones(2), t1=10.0).x


def _diffrax(starts: Any = None) -> Callable[[], Any]:
    gradient = jax.grad(lambda x: jnp.sum(jnp.cosh(x)))

    def field(t: Any, state: Any, args: Any) -> Any:
        del t, args
        x, p = state
        v = p - 0.1 * gradient(x)
        return v, -v - gradient(x)

    def solve(x: Any) -> Any:
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Tsit5(),
            0.0,
            10.0,
            None,
            (x, 0.1 * gradient(x)),
            stepsize_controller=diffrax.PIDController(rtol=1e-6, atol=1e-9),
            saveat=diffrax.SaveAt(ts=jnp.linspace(0.0, 10.0, 200)),
        )
        return solution.ys

    if starts is None:
        return lambda: jax.jit(solve)(jnp.ones(2))
    return lambda: jax.jit(jax.vmap(solve))(starts)


def _talk() -> Callable[[], Any]:
    system = ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.0, 1.0)
    return lambda: ds.simulate(system, jnp.array([-1.5, 1.0]), t1=12.0).x


def _slope_of_talk() -> Callable[[], Any]:
    system = ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.0, 1.0)
    last = lambda x0: jnp.sum(ds.simulate(system, x0, t1=12.0).x[-1])
    return lambda: jax.grad(last)(jnp.array([-1.5, 1.0]))


def _lasso() -> Callable[[], Any]:
    random = np.random.default_rng(0)
    data, right = random.normal(size=(40, 20)), random.normal(size=40)
    loss = lambda x: 0.5 * jnp.sum((data @ x - right) ** 2) + jnp.sum(jnp.abs(x))
    return lambda: ds.simulate(ds.GDIN(loss, 1.0, 0.1), jnp.ones(20), t1=5.0).x


def _network() -> Callable[[], Any]:
    random = np.random.default_rng(0)
    inputs, wanted = random.normal(size=(30, 2)), random.normal(size=30)
    begin = {"inner": random.normal(size=(10, 2)), "outer": random.normal(size=10)}

    def loss(weights: Any) -> Any:
        hidden = jax.nn.relu(inputs @ weights["inner"].T)
        return jnp.mean((hidden @ weights["outer"] - wanted) ** 2)

    return lambda: ds.simulate(ds.GDIN(loss, 1.0, 0.5), begin, t1=0.5).x


def _ensemble(dimension: int) -> Callable[[], Any]:
    system = ds.DIN(lambda x: jnp.sum(jnp.cosh(x)), 1.0, 0.1)
    starts = np.random.default_rng(0).uniform(-1, 1, (1024, dimension))
    case = lambda x0: (system, x0)
    return lambda: ds.simulate_ensemble(case, x0=starts, t1=10.0, reduce=_last)


def _inclusions() -> Callable[[], Any]:
    system = ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.0, 1.0)
    starts = np.random.default_rng(0).uniform(-2, 2, (1024, 2))
    case = lambda x0: (system, x0)
    return lambda: ds.simulate_ensemble(case, x0=starts, t1=12.0, reduce=_last)


def _last(trajectory: ds.Trajectory) -> Any:
    return trajectory.final_state


CALLS: dict[str, tuple[Callable[[], Any], str]] = {
    SINGLE: (_diffrax, SINGLE),
    BATCHED: (lambda: _diffrax(np.ones((1024, 2))), BATCHED),
    "smooth, 2-D": (_smooth, SINGLE),
    "talk's function": (_talk, SINGLE),
    "its gradient": (_slope_of_talk, SINGLE),
    "lasso, 20 kinks": (_lasso, SINGLE),
    "network, 300 kinks": (_network, SINGLE),
    "ensemble, 2-D": (lambda: _ensemble(2), BATCHED),
    "ensemble, 8-D": (lambda: _ensemble(8), BATCHED),
    "ensemble, 32-D": (lambda: _ensemble(32), BATCHED),
    "ensemble of inclusions": (_inclusions, BATCHED),
}
"""What is called, and what it is compared with."""


def section(repeats: int = REPEATS) -> str:
    """Time all first calls in turn."""
    rounds = [{name: _measure(name) for name in CALLS} for _ in range(repeats)]
    rows = []
    for name, (_, against) in CALLS.items():
        seconds = statistics.median(times[name] for times in rounds)
        ratio = statistics.median(times[name] / times[against] for times in rounds)
        rows.append([name, f"{seconds:.2f}", f"{ratio:.1f}"])
    return page.section(
        "First calls",
        f"Each in a fresh process without a cache of programs, after the imports, medians "
        f"of {repeats}; ratios to Tsit5 of diffrax on a smooth function in two dimensions, "
        f"alone or under `vmap` of 1,024 members. Programs with kinks are large, and "
        f"slower to compile for it.",
        page.table(["what", "first call in s", "ratio"], rows),
    )


def _measure(name: str) -> float:
    """Seconds of a first call in a fresh process."""
    inherited = {k: v for k, v in os.environ.items() if "CACHE" not in k}
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name, name],
        env=inherited | {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


if __name__ == "__main__":
    main()

r"""Runs that end at a minimiser in which three kinks meet and no slope is left.

$$f(x) = h \max\bigl(|y|^2,\; 2y_1 + y_2^2,\; |y_2 - y_1|\bigr), \quad
y = Q^\top(x - c)/s$$

is convex with its minimiser at $c$. Between the first and the last of the three lies a cusp
that ends there, so runs come in along a slit that gets narrower than any rounding. Random
dampings, starts, rotations $Q$, shifts $c$ and scales $s$, $h$; each should reach its end,
and be where Euler's method with small steps is.

    python -m scripts.studies.degenerate_minimiser --cases 100
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

import dynsys as ds
from scripts.studies.verdicts import Outcome, Verdict, parser, report, set_up, work_off

SYSTEMS = ("gradient flow", "DIN", "g-DIN", "heavy ball")
END, STEPS = 60.0, 60_000
"""The interval, in units of the time that the scales make, and the steps of the oracle."""
CLOSE = 0.05
"""Distance from the oracle, in units of the scale: it chatters at kinks."""


def corner(y: Any) -> Any:
    """The loss without its data."""
    parts = (y[0] ** 2 + y[1] ** 2, 2 * y[0] + y[1] ** 2, jnp.abs(y[1] - y[0]))
    return jnp.maximum(jnp.maximum(parts[0], parts[1]), parts[2])


def moved(data: Any, x: Any) -> Any:
    """The loss, rotated, shifted and scaled."""
    rotation, shift, scale, height = data
    return height * corner(rotation.T @ (x - shift) / scale)


def system_of(name: str, f: Any, alpha: Any, beta: Any) -> Any:
    """The system of a name."""
    if name == "gradient flow":
        return ds.GradientFlow(f)
    if name == "heavy ball":
        return ds.HeavyBall(f, alpha=alpha)
    return (ds.DIN if name == "DIN" else ds.GDIN)(f, alpha=alpha, beta=beta)


def drawn(case: int, seed: int) -> tuple[str, float, float, np.ndarray, tuple[Any, ...]]:
    """System, dampings, start without the data, and the data of a case."""
    random = np.random.default_rng([seed, case])
    alpha, beta = 10 ** random.uniform(-1, 1), 10 ** random.uniform(-2, 0.5)
    angle, start = random.uniform(0, 2 * np.pi), 2 * random.normal(size=2)
    scale, height, far = 10 ** random.uniform(-2, 2, 3)
    turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    data = (np.eye(2), np.zeros(2), 1.0, 1.0)
    if case // len(SYSTEMS) % 2:
        data = (np.array(turn), far * random.normal(size=2), scale, height)
    return SYSTEMS[case % len(SYSTEMS)], alpha, beta, start, data


@jax.jit
def euler(alpha: Any, beta: Any, start: Any, order: Any) -> Any:
    """The end by Euler's method, for the loss without its data."""
    slope, h = jax.grad(corner), END / STEPS

    def step(_: Any, now: Any) -> Any:
        y, p = now
        g = slope(y)
        v = jnp.where(order == 1, -g, p - beta * g)
        return y + h * v, p + h * (-alpha * v - g)

    begin = jnp.where(order == 1, 0, beta) * slope(start)
    return jax.lax.fori_loop(0, STEPS, step, (start, begin))[0]


def study(cases: Sequence[int], seed: int = 0) -> list[Outcome]:
    """What became of each case."""
    outcomes = []
    for case in cases:
        name, alpha, beta, start, data = drawn(case, seed)
        rotation, shift, scale, height = data
        order = 1 if name == "gradient flow" else 2
        unit = scale**2 / height if order == 1 else scale / height**0.5
        loss = Partial(moved, tuple(map(jnp.asarray, data)))
        run = ds.simulate(
            system_of(name, loss, alpha / unit, beta * unit),
            shift + scale * rotation @ start,
            t1=END * unit,
            times=2,
            atol=1e-9 * scale,
            throw=False,
        )
        end = (np.asarray(run.x[-1]) - shift) @ rotation / scale
        damped = 0.0 if name == "heavy ball" else beta
        error = float(np.abs(end - euler(alpha, damped, start, order)).max())
        verdict = Verdict.RIGHT if error < CLOSE else Verdict.WRONG
        verdict = verdict if bool(run.result.ok) else Verdict.REFUSED
        outcomes.append(Outcome(case, name, verdict, error, str(run.result.message)))
    return outcomes


def main() -> int:
    """Run the study; the exit status is 1 if a case is silently wrong."""
    arguments = parser(__doc__, 100).parse_args()
    set_up()
    cases = arguments.only or range(arguments.cases)
    groups = [[case for case in cases if case % len(SYSTEMS) == i] for i in range(4)]
    run = functools.partial(study, seed=arguments.seed)
    return report(work_off(run, groups, arguments.jobs))


if __name__ == "__main__":
    raise SystemExit(main())

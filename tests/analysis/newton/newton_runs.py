"""Runs of VM-DIN-AVD for tests of its distances: all of them share one program."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import dynsys as ds
from dynsys.schedules import Constant, Exponential, PowerLaw

END, BETA = 4.0, 1.0
X0 = np.array([1.5, -1.0])
MASSES = (1.0, 1e-2, 1e-4, 1e-6, 1e-8)
DECAYS = ((0, 0), (1, 0), (1.5, 0), (0, 0.5), (0, 1.9))
"""Exponents and rates of the mass."""
SPEEDS = (lambda epsilon: 0.0, lambda epsilon: 2.0, lambda epsilon: epsilon**-0.5)
"""First speeds: at rest, of one size for all masses, and with one kinetic energy."""

# Dense in the initial layer, where bounds are tight.
TIMES = np.concatenate([[0.0], np.geomspace(1e-9, END, 160)])


class Fading(eqx.Module):
    """Power laws, exponentials and constants in one class, and so in one program."""

    value: Any
    exponent: Any
    rate: Any

    def __call__(self, t):
        return self.value * (1 + t) ** -self.exponent * jnp.exp(-self.rate * t)


def fading(value, exponent=0.0, rate=0.0):
    return Fading(*(jnp.asarray(float(number)) for number in (value, exponent, rate)))


def _in_known_form(schedule):
    value, exponent, rate = schedule.value, schedule.exponent, schedule.rate
    if rate != 0:
        return Exponential(value, rate)
    return PowerLaw(value, exponent) if exponent != 0 else Constant(value)


def in_numpy(schedule):
    """A schedule of the library as a function of NumPy."""
    value, *others = (float(leaf) for leaf in jax.tree.leaves(schedule))
    match schedule:
        case Exponential():
            return lambda t: value * np.exp(-others[0] * t)
        case PowerLaw():
            return lambda t: value * (others[1] + t) ** -others[0]
    return lambda t: value + 0 * t


def with_known_schedules(trajectory):
    """The same run, its schedules in the classes of the library."""
    system = trajectory.system
    return with_system(
        trajectory,
        epsilon=_in_known_form(system.epsilon),
        alpha=_in_known_form(system.alpha),
    )


def with_system(trajectory, **fields):
    """The same numbers as a run of another system."""
    for name, value in fields.items():
        where = lambda tree, name=name: getattr(tree.system, name)
        trajectory = eqx.tree_at(where, trajectory, value)
    return trajectory


def valley(curvature=(1.0, 4.0), weight=1.0):
    """Strongly convex with mu = min(curvature) and L = max(curvature) + weight."""
    return ds.objectives.LogCosh(list(curvature), weight)


FUNCTIONS = (valley(), valley((0.5, 20.0), 5.0), valley((1.0, 3.0), 0.0))
"""Not quadratic, of condition 50, and quadratic."""


def simulate(f, epsilon, alpha, v0=(0.0, 0.0), x0=X0, **options):
    # The velocity as a state: ten times as accurate where alpha is far above the mass.
    system = ds.VMDINAVD(f, epsilon, alpha, BETA, hessian_free=False)
    options = {"t1": END, "times": TIMES, "rtol": 1e-11, "atol": 1e-14} | options
    return ds.simulate(system, x0, jnp.asarray(v0, float), **options)


def with_numbers(path, x, v, t=TIMES):
    """A trajectory through given positions and velocities, exact to rounding."""
    where = lambda tree: (tree.t, tree.x, tree.v, tree.rtol, tree.atol)
    return eqx.tree_at(where, path, tuple(map(jnp.asarray, (t, x, v, 1e-14, 1e-15))))


def mixing_quadratic(dim):
    """A quadratic of condition 100 whose eigenvectors are no axes, and a start."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    f = ds.objectives.Quadratic((basis * np.geomspace(0.5, 50.0, dim)) @ basis.T)
    return f, rng.normal(size=dim), rng.normal(size=dim)


def exact_run(path, f, epsilon, alpha, x0, v0):
    """The closed form on a quadratic: two exponentials for each eigen-coordinate."""
    eigenvalues, basis = np.linalg.eigh(np.asarray(f.matrix))
    b, t = alpha + BETA * eigenvalues, TIMES[:, None]
    # The slow root in a form without cancellation.
    large = b + np.emath.sqrt(b**2 - 4 * epsilon * eigenvalues)
    slow, fast = -2 * eigenvalues / large, -large / (2 * epsilon)
    y0, w0 = basis.T @ x0, basis.T @ v0
    first, second = (w0 - fast * y0) / (slow - fast), (slow * y0 - w0) / (slow - fast)
    y = first * np.exp(slow * t) + second * np.exp(fast * t)
    w = first * slow * np.exp(slow * t) + second * fast * np.exp(fast * t)
    schedules = {"epsilon": Constant(epsilon), "alpha": Constant(alpha)}
    path = with_system(path, objective=f, **schedules)
    return with_numbers(path, np.real(y) @ basis.T, np.real(w) @ basis.T)

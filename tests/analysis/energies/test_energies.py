"""Every energy against its exact rate: by the chain rule, at random states, no solver."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.analysis.energies import Minimum, gdin, moment
from dynsys.analysis.energies.catalogue import ENERGIES
from dynsys.analysis.energies.tikhonov_din_avd import tikhonov_din_avd
from dynsys.analysis.energies.vm_din_avd import exponential_mass
from dynsys.cached_call import cached_call
from dynsys.schedules import Exponential, PowerLaw

CENTRE, LOWEST = jnp.array([0.4, -0.7, 0.3]), jnp.asarray(0.6)
A = jnp.array([[1.0, 0.4, 0.0], [-0.3, 0.9, 0.2], [0.1, 0.0, 1.1]])
MINIMUM = Minimum(CENTRE, LOWEST)


def objective(x):
    """Strongly convex, not quadratic, not separable; neither minimiser nor minimum is 0."""
    y = x - CENTRE
    return jnp.sum(jnp.cosh(A @ y) - 1) + 0.25 * jnp.dot(y, y) + LOWEST


def mass(t):
    return 1 + 0.5 * jnp.sin(t)


def damping(t):
    return 0.3 + 0.2 * jnp.cos(2 * t)


def geometric(t):
    return 0.4 + 0.1 * jnp.sin(3 * t)


def force(t):
    return 1 + 0.5 / (1 + t)


s = ds.systems
WAVING = ds.InertialNewton(objective, mass, damping, geometric, force)
TIKHONOV = s.TikhonovDINAVD(objective, 3.3, 0.2, PowerLaw(0.7, 1.6, shift=0.2))
GENERAL = s.AttouchChbaniFadiliRiahi(objective, 3.4, geometric, force)


def own(system):
    """The energies of the class of a system; what it inherits is tested once."""
    kinds = [kind for kind in type(system).__mro__ if kind in ENERGIES]
    return ENERGIES[kinds[0]]


BY_CLASS = {
    "gradient_flow": ds.GradientFlow(objective),
    "newton": ds.ContinuousNewton(objective, 0.7),
    "newton_regularized": ds.ContinuousNewton(objective, 0.7, regularization=0.2),
    "levenberg_marquardt": ds.LevenbergMarquardt(objective, damping, 0.7),
    "gdin": ds.GDIN(objective, 0.8, 0.3),
    "inertial_newton": WAVING,
    "inertial_newton_hessian": ds.InertialNewton(
        objective, mass, damping, geometric, force, hessian_free=False
    ),
    "avd": ds.AVD(objective, 3.0),
    "avd_beyond_3": ds.AVD(objective, 4.2),
    "din_avd": ds.DINAVD(objective, 3.2, beta=0.3),
    "attouch_chbani_fadili_riahi": GENERAL,
    "strongly_convex_din": s.StronglyConvexDIN(objective, 0.4, 0.3),
    "nag_sc": s.HighResolutionNAGSC(objective, 0.4, 0.3),
    "heavy_ball": s.HighResolutionHeavyBall(objective, 0.4, 0.3),
    "nag_c": s.HighResolutionNAGC(objective, 0.3),
    "h_nag": s.HNAG(objective, 0.4, 1.7, beta=geometric),
    "isihd": s.ISIHD(objective, 3.3, 0.4, -0.2),
    "tikhonov": TIKHONOV,
}
MORE = {
    "gdin_0.3": (BY_CLASS["gdin"], functools.partial(gdin, lam=0.3)),
    "gdin_2.5": (BY_CLASS["gdin"], functools.partial(gdin, lam=2.5)),
    "tikhonov_2.1": (TIKHONOV, functools.partial(tikhonov_din_avd, q=2.1)),
    "exponential_mass": (
        ds.VMDINAVD(objective, Exponential(1.4, 0.6), Exponential(0.84, 0.6), 0.5),
        exponential_mass,
    ),
}

TABLE = {
    f"{name}: {make(system).name}": (system, make)
    for name, system in BY_CLASS.items()
    for make in own(system)
} | MORE

points = np.random.default_rng(0)
TIMES = points.uniform(0.5, 3.0, 8)
POSITIONS = np.asarray(CENTRE) + points.normal(size=(8, 3))
VELOCITIES = points.normal(size=(8, 3))


@cached_call
def identity(make, system):
    """Value, rate, and derivative of the value along the field, at all points."""

    def at(t, x, v):
        state = system.initial_state(t, x, None if system.order == 1 else v)
        energy = make(system)

        def value(t, state):
            now = moment(system, MINIMUM, t, state)
            return energy.value(now), now

        along = (jnp.ones_like(t), system.vector_field(t, state))
        number, derivative, now = jax.jvp(value, (t, state), along, has_aux=True)
        return number, energy.rate(now), derivative

    return jax.vmap(at)(TIMES, POSITIONS, VELOCITIES)


@pytest.mark.parametrize("name", TABLE)
def test_rate_is_the_derivative_along_the_field(name):
    system, make = TABLE[name]
    value, rate, derivative = identity(make, system)
    scale = np.abs(rate) + np.abs(value)
    assert np.max(np.abs(rate - derivative) / scale) < 1e-12
    # None of the points is one at which nothing happens.
    assert np.min(np.abs(rate)) > 1e-3


def test_every_energy_of_the_catalogue_is_in_the_table():
    makes = {make for _, make in TABLE.values()}
    assert all(make in makes for kind in ENERGIES.values() for make in kind)


@pytest.mark.parametrize("name", TABLE)
def test_energy_that_needs_a_minimiser_says_so(name):
    system, make = TABLE[name]
    energy = make(system)
    state = system.initial_state(jnp.asarray(1.0), POSITIONS[0], None)
    unknown = jax.eval_shape(
        lambda t: moment(system, Minimum(None, LOWEST), t, state), jnp.asarray(1.0)
    )
    values = lambda: [jax.eval_shape(f, unknown) for f in (energy.value, energy.rate)]
    if energy.needs_minimiser:
        with pytest.raises((AttributeError, TypeError, ValueError)):
            values()
    else:
        values()

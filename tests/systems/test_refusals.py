"""Every wrong argument of a system is answered with what, why and the remedy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds

f = lambda x: 0.5 * jnp.sum(x**2)

REFUSED = {
    "negative alpha": (lambda: ds.DIN(f, -0.1, 0.1), "`alpha` must be at least 0"),
    "heavy ball": (lambda: ds.HeavyBall(f, -1), "`alpha` must be at least 0"),
    "avd": (lambda: ds.AVD(f, -1), "`alpha` must be at least 0"),
    "din-avd": (lambda: ds.DINAVD(f, 3.0, beta=-1), "`beta` must be at least 0"),
    "negative beta": (lambda: ds.DIN(f, 1.0, -0.1), "`beta` must be at least 0"),
    "beta of g-DIN": (lambda: ds.GDIN(f, 1.0, 0.0), "`beta` must be positive.*HeavyBall"),
    "beta of CN": (lambda: ds.ContinuousNewton(f, 0.0), "`beta` must be positive"),
    "beta of LM": (
        lambda: ds.LevenbergMarquardt(f, 1.0, 0.0),
        "`beta` must be positive.*GradientFlow",
    ),
    "alpha of LM": (
        lambda: ds.LevenbergMarquardt(f, -1.0),
        "`alpha` must be at least 0",
    ),
    "regularization": (
        lambda: ds.ContinuousNewton(f, regularization=-1.0),
        "`regularization` must be at least 0",
    ),
    "epsilon": (lambda: ds.VMDINAVD(f, 0.0, 1.0, 1.0), "`epsilon` must be positive"),
    "general": (lambda: ds.InertialNewton(f, -1.0, 1.0, 1.0), "`epsilon` must be pos"),
    "infinite": (lambda: ds.DIN(f, np.inf, 0.1), "`alpha` must be finite"),
    "not a number": (lambda: ds.DIN(f, np.nan, 0.1), "`alpha` must be finite"),
    "vector": (lambda: ds.DIN(f, jnp.ones(2), 0.1), "scalar.*jax.vmap"),
    "nag_sc": (
        lambda: ds.systems.HighResolutionNAGSC(f, 0.0, 0.1),
        "`mu` must be positive",
    ),
    "heavy ball s": (
        lambda: ds.systems.HighResolutionHeavyBall(f, 1.0, 0.0),
        "`s` must be positive",
    ),
    "nag_c": (lambda: ds.systems.HighResolutionNAGC(f, -1.0), "`s` must be positive"),
    "h_nag": (
        lambda: ds.systems.HNAG(f, 1.0, 0.0, beta=0.1),
        "`gamma0` must be positive",
    ),
    "mu of h_nag": (
        lambda: ds.systems.HNAG(f, -1.0, 1.0, beta=0.1),
        "`mu` must be at least 0",
    ),
    "beta of h_nag": (
        lambda: ds.systems.HNAG(f, 1.0, 1.0, beta=-0.1),
        "`beta` must be at least 0",
    ),
    "acfr": (
        lambda: ds.systems.AttouchChbaniFadiliRiahi(f, -3.0, 0.1, 1.0),
        "`alpha` must be at least 0",
    ),
    "beta of acfr": (
        lambda: ds.systems.AttouchChbaniFadiliRiahi(f, 3.0, -0.1, 1.0),
        "`beta` must be at least 0",
    ),
    "strongly convex": (
        lambda: ds.systems.StronglyConvexDIN(f, 0.0, 0.1),
        "`mu` must be positive",
    ),
    "beta of strongly convex": (
        lambda: ds.systems.StronglyConvexDIN(f, 1.0, -0.1),
        "`beta` must be at least 0",
    ),
    "isihd": (lambda: ds.systems.ISIHD(f, -3.0, 0.1, 0.1), "`alpha` must be at least 0"),
    "gamma of isihd": (
        lambda: ds.systems.ISIHD(f, 3.0, -0.1, 0.1),
        "`gamma` must be at least 0",
    ),
    "tikhonov": (
        lambda: ds.systems.TikhonovDINAVD(f, 3.0, -0.1, 1.0),
        "`beta` must be at least 0",
    ),
    "epsilon of tikhonov": (
        lambda: ds.systems.TikhonovDINAVD(f, 3.0, 0.1, -1.0),
        "`epsilon` must be at least 0",
    ),
    "psi from two": (
        lambda: ds.GDIN(f, 1.0, 0.1).initial_psi(1.0, 0.0, speed=1.0),
        "Pass one",
    ),
    "state of two shapes": (
        lambda: ds.GDIN(f, 1.0, 0.1).state([1.0, 2.0], [1.0]),
        "same structure and shapes",
    ),
}

WRONG_TYPE = {
    "objective": (lambda: ds.GradientFlow(3.0), "must be a callable"),
    "string": (lambda: ds.DIN(f, "1", 0.1), "`alpha` must be a real number"),
    "complex": (lambda: ds.DIN(f, 1j, 0.1), "`alpha` must be a real number"),
    "boolean": (lambda: ds.DIN(f, True, 0.1), "`alpha` must be a real number"),
    "schedule for beta": (
        lambda: ds.DIN(f, 1.0, lambda t: t),
        "`beta` must be a number here.*InertialNewton",
    ),
    "too few components": (
        lambda: ds.GDIN(f, 1.0, 0.1).state(1.0),
        "components",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_value_out_of_range_is_refused(name):
    build, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("name", WRONG_TYPE)
def test_wrong_type_is_refused(name):
    build, message = WRONG_TYPE[name]
    with pytest.raises(TypeError, match=message):
        build()


def test_message_shows_the_value():
    with pytest.raises(ValueError, match=r"has value -0.1"):
        ds.GDIN(f, 1.0, -0.1)


def test_traced_parameters_pass_the_constructors():
    values = jax.vmap(lambda a: ds.DIN(f, a, 0.1).alpha(0.0))(jnp.array([-1.0, 2.0]))
    np.testing.assert_array_equal(values, [-1.0, 2.0])


def test_initial_psi_gives_the_velocity_asked_for():
    system = ds.GDIN(f, 1.3, 0.1)
    theta, velocity = jnp.array([1.0, -2.0]), jnp.array([0.3, 0.4])
    state = system.state(theta, system.initial_psi(theta, velocity))
    np.testing.assert_allclose(system.velocity(jnp.array(0.0), state), velocity)
    at_rest = system.state(theta, system.initial_psi(theta))
    np.testing.assert_allclose(system.velocity(jnp.array(0.0), at_rest), 0, atol=1e-15)
    keras = system.state(theta, system.initial_psi(theta, speed=1.0))
    np.testing.assert_allclose(system.velocity(jnp.array(0.0), keras), -theta)


def test_initial_psi_with_speed_beta_is_the_authors_start():
    system = ds.GDIN(f, 1.3, 0.1)
    psi = system.initial_psi([1.0, -2.0], speed=0.1)
    np.testing.assert_allclose(psi, (1 - 0.13) * np.array([1.0, -2.0]))


def test_plain_times_are_taken():
    for system in (ds.DIN(f, 1.0, 0.1), ds.LevenbergMarquardt(f, 0.5)):
        state = system.initial_state(0.0, jnp.ones(2), None)
        assert system.velocity(0.0, state).shape == (2,)
        assert system.vector_field(0.0, state)[0].shape == (2,)

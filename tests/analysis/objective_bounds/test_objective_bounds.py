"""Proven bounds: they hold, they are not vacuous, they are refused where they fail."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.analysis import AssumptionError
from dynsys.analysis.objective_bounds import objective_bound
from dynsys.analysis.objective_bounds.catalogue import THEOREMS
from dynsys.objectives import AbstractObjective
from dynsys.schedules import Constant, Exponential, PowerLaw
from dynsys.trajectory import KinkEvents

s = ds.systems
QUIET = np.zeros(2)


class Well(AbstractObjective):
    """Log-cosh and a quadratic about a point: one program for all of them."""

    shape: ds.objectives.LogCosh
    centre: jax.Array

    def __init__(self, curvature, weight, centre=(0.0, 0.0)):
        self.shape = ds.objectives.LogCosh(curvature, weight)
        self.centre = jnp.asarray(centre)

    def __call__(self, x):
        return self.shape(x - self.centre)

    @property
    def smooth(self):
        return True

    @property
    def facts(self):
        return self.shape.facts._replace(minimisers=self.centre[None])


class Mix(eqx.Module):
    """The schedule a + b / t + c exp(-rate t)."""

    a: jax.Array
    b: jax.Array
    c: jax.Array
    rate: jax.Array

    def __call__(self, t):
        vanishing = jnp.where(self.b == 0, 0, self.b / t)
        return self.a + vanishing + self.c * jnp.exp(-self.rate * t)


def mix(a=0.0, b=0.0, c=0.0, rate=1.0):
    return Mix(*(jnp.asarray(float(number)) for number in (a, b, c, rate)))


def root(number):
    return float(number) ** 0.5


def decaying_mass(y, factor, shift=0.0):
    """The number shift + factor gamma(t) of H-NAG."""
    return mix(shift + factor * y.mu, c=factor * (y.gamma0 - y.mu))


COEFFICIENTS = {
    ds.AVD: lambda y: (mix(1), mix(b=y.alpha), mix(0), mix(1)),
    ds.DINAVD: lambda y: (mix(1), mix(b=y.alpha), mix(y.beta), mix(1)),
    s.AttouchChbaniFadiliRiahi: lambda y: (
        mix(1),
        mix(b=y.alpha),
        mix(y.b.beta),
        mix(1, y.b.beta),
    ),
    s.StronglyConvexDIN: lambda y: (mix(1), mix(2 * root(y.mu)), mix(y.beta), mix(1)),
    s.HighResolutionNAGSC: lambda y: (
        mix(1),
        mix(2 * root(y.mu)),
        mix(root(y.s)),
        mix(1 + root(y.mu * y.s)),
    ),
    s.HighResolutionHeavyBall: lambda y: (
        mix(1),
        mix(2 * root(y.mu)),
        mix(0),
        mix(1 + root(y.mu * y.s)),
    ),
    s.HighResolutionNAGC: lambda y: (
        mix(1),
        mix(b=3),
        mix(root(y.s)),
        mix(1, 1.5 * root(y.s)),
    ),
    s.HNAG: lambda y: (
        decaying_mass(y, 1.0),
        decaying_mass(y, 1.0, y.mu),
        decaying_mass(y, y.beta.value),
        mix(1 + y.mu * y.beta.value),
    ),
    ds.VMDINAVD: lambda y: (
        mix(c=y.epsilon.value, rate=y.epsilon.rate),
        mix(c=y.alpha.value, rate=y.alpha.rate),
        mix(y.beta),
        mix(1),
    ),
}
"""Most systems are cases of one equation whose coefficients are data: one program."""


def run(system, x0, v0=QUIET, *, t0=0.0, t1=20.0):
    options = {"t0": t0, "t1": t1, "times": 401, "rtol": 1e-9, "atol": 1e-12}
    x0 = np.array(x0, float)
    if isinstance(system, ds.AVD) and t0 == 0:
        return ds.simulate(system, x0, **options)
    if type(system) not in COEFFICIENTS:
        return ds.simulate(system, x0, v0, **options)
    case = ds.InertialNewton(system.objective, *COEFFICIENTS[type(system)](system))
    path = ds.simulate(case, x0, v0, **options)
    return eqx.tree_at(lambda path: path.system, path, system)


class Balanced(eqx.Module):
    """The gradient factor 1 + beta / t, for which w = 1."""

    beta: jax.Array

    def __call__(self, t):
        return 1 + self.beta.astype(t.dtype) / t


def balanced(f, alpha, beta):
    beta = jnp.asarray(beta)
    return s.AttouchChbaniFadiliRiahi(f, alpha, Constant(beta), Balanced(beta))


def decaying(f, mass, c, beta):
    return ds.VMDINAVD(f, Exponential(mass, c), Exponential(c * mass, c), beta)


def paper(system, x0, t1=20.0):
    """A run from the start of the paper of a high-resolution equation."""
    t0 = float(getattr(system, "start_time", 0.0))
    return run(system, x0, system.initial_velocity(np.array(x0, float)), t0=t0, t1=t0 + t1)


def moving(system, x0, t0=0.0):
    return run(system, x0, np.array([1.5, -2.0]), t0=t0)


FLAT = Well([1e-9, 1e-9], 1.0)
"""At a distance the sum of absolute values, less ln 2 each."""

WELLS = {
    "round": (Well([0.1, 1.0], 0.5, [0.3, -0.2]), [2.0, -1.0]),
    "flat": (Well([0.01, 0.01], 1.0, [-2.0, 1.0]), [30.0, -12.0]),
    "steep": (Well([2.0, 9.0], 3.0, [0.0, 0.4]), [0.5, 1.0]),
}

FAMILY = {
    "avd": lambda f, x0: run(ds.AVD(f, 3.0), x0),
    "avd_5": lambda f, x0: run(ds.AVD(f, 5.0), x0),
    "avd_later": lambda f, x0: moving(ds.AVD(f, 3.5), x0, 0.7),
    "din_avd": lambda f, x0: moving(ds.DINAVD(f, 3.5, beta=0.3), x0, 0.1),
    "attouch_chbani_fadili_riahi": lambda f, x0: moving(balanced(f, 3.0, 0.3), x0, 0.4),
    "strongly_convex_din": lambda f, x0: moving(s.StronglyConvexDIN(f, f.mu, 0.1), x0),
    "nag_sc": lambda f, x0: paper(s.HighResolutionNAGSC(f, f.mu, 1 / f.L), x0),
    "heavy_ball": lambda f, x0: paper(s.HighResolutionHeavyBall(f, f.mu, 1 / f.L), x0),
    "nag_c": lambda f, x0: paper(s.HighResolutionNAGC(f, 0.5 / f.L), x0),
    "h_nag": lambda f, x0: moving(s.HNAG(f, f.mu, 2.0, beta=0.2), x0),
    "exponential_mass": lambda f, x0: moving(decaying(f, 1.3, 0.4, 0.5), x0),
    "isihd": lambda f, x0: moving(s.ISIHD(f, 3.1, 0.3, 0.1), x0, 0.7),
    "tikhonov": lambda f, x0: moving(
        s.TikhonovDINAVD(f, 3.5, 0.2, PowerLaw(0.5, 1.5, 0.0)), x0, 0.3
    ),
}


@pytest.mark.parametrize("name", FAMILY)
def test_run_of_the_one_equation_is_one_of_the_system(name):
    """The coefficients above are those of the systems."""
    system, t = FAMILY[name](*WELLS["round"]).system, jnp.asarray(1.3)
    if type(system) in COEFFICIENTS:
        found = [one(t) for one in COEFFICIENTS[type(system)](system)]
        np.testing.assert_allclose(found, system.coefficients(t), rtol=1e-14)


@pytest.mark.parametrize("well", WELLS)
@pytest.mark.parametrize("name", FAMILY)
def test_bound_holds(name, well):
    bound = objective_bound(FAMILY[name](*WELLS[well]))
    assert bound.holds, str(bound)
    trusted = [one.statement for one in bound.assumptions if not one.checked]
    # What is said of all of f, and what outputs cannot show.
    assert trusted[0] == "a differentiable f"
    assert all(one.startswith(("f to be", "a gradient that is")) for one in trusted[1:])
    assert 2 <= len(trusted) <= 3
    assert np.isfinite(bound.bound[-100:]).all()
    assert 0 < bound.tightness <= 1


def test_every_system_with_a_theorem_is_in_the_family():
    runs = {type(make(*WELLS["round"]).system) for make in FAMILY.values()}
    assert runs == set(THEOREMS)


FAR = [1000.0, 0.0]
CRAWL = np.sqrt(8 * 1000.0)
"""When AVD on |x| with alpha = 3, from 1000, reaches 0."""

TIGHT = {
    # On |x| the bound with alpha = 3 is attained at t = 2 sqrt(x0), beyond 3 the ratio is
    # alpha + 1 over the square of alpha - 1.
    "avd": (lambda: run(ds.AVD(FLAT, 3.0), FAR, t1=CRAWL), 0.998, 0.9999),
    "avd_4": (lambda: run(ds.AVD(FLAT, 4.0), FAR, t1=CRAWL), 0.554, 0.556),
    "din_avd": (
        lambda: run(ds.DINAVD(FLAT, 3.0, beta=0.0), FAR, t0=0.1, t1=CRAWL),
        0.998,
        0.9999,
    ),
    "attouch_chbani_fadili_riahi": (
        lambda: run(balanced(FLAT, 3.0, 1e-3), FAR, t0=0.1, t1=CRAWL),
        0.998,
        0.9999,
    ),
    "isihd": (lambda: run(s.ISIHD(FLAT, 3.0, 0.0, 0.0), FAR, t0=0.1, t1=CRAWL), 0.998, 1),
    "tikhonov": (
        lambda: run(
            s.TikhonovDINAVD(FLAT, 3.0, 0.0, PowerLaw(0.0, 1.5, 0.0)), FAR, t0=0.1, t1=CRAWL
        ),
        0.998,
        0.9999,
    ),
    # On |x| and without beta, w reaches 0 at t = ln(1 + gamma0 x0), where E = f - f*.
    "h_nag": (lambda: run(s.HNAG(FLAT, 0.0, 0.02, beta=0.0), FAR, t1=4.0), 0.99, 0.9999),
    "exponential_mass": (
        lambda: run(decaying(FLAT, 2.0, 0.1, 0.0), FAR, t1=40.0),
        0.99,
        0.9999,
    ),
    # At the start, on a quadratic function with curvature L: half of L d^2 against the
    # constants of the theorems with s = 1 / L.
    "nag_sc": (lambda: paper(steepest(s.HighResolutionNAGSC), [0.0, 3.0]), 0.2499, 0.2501),
    "heavy_ball": (
        lambda: paper(steepest(s.HighResolutionHeavyBall), [0.0, 3.0]),
        0.152,
        0.153,
    ),
    "strongly_convex_din": (
        lambda: run(s.StronglyConvexDIN(Well([0.5, 8.0], 0.0), 0.5, 0.0), [0.0, 3.0]),
        0.888,
        0.889,
    ),
    "nag_c": (lambda: paper(s.HighResolutionNAGC(FLAT, 0.5), FAR, 300.0), 0.02, 0.2),
}


def steepest(kind):
    return kind(Well([0.5, 8.0], 0.0), 0.5, 1 / 8)


@pytest.mark.parametrize("name", TIGHT)
def test_bound_is_not_vacuous(name):
    make, low, high = TIGHT[name]
    bound = objective_bound(make())
    assert bound.holds
    assert low < bound.tightness < high


def squares(row):
    return float(np.dot(row, row))


class First(NamedTuple):
    """What the formulas of the papers take: all times, and the first point from x*."""

    t: np.ndarray
    tau: np.ndarray
    x: np.ndarray
    v: np.ndarray
    g: np.ndarray
    gap: float
    d2: float


def first_of(path):
    f, t = path.system.objective, np.asarray(path.t)
    x, v = np.asarray(path.x[0]), np.asarray(path.v[0])
    offset, g = x - np.asarray(f.centre), np.asarray(jax.grad(f)(x))
    return First(t, t - t[0], offset, v, g, float(f(x)), squares(offset))


ROOT = np.sqrt(0.1)
"""The square root of mu in the round well, whose L is 1.5."""

STEP = np.sqrt(0.5 / 1.5)
"""The square root of s for NAG-C in it."""

BY_HAND = {
    "avd_5": lambda at: 4**2 * at.d2 / (2 * at.t**2),
    "attouch_chbani_fadili_riahi": lambda at: (
        (0.4**2 * at.gap + 0.5 * squares(2 * at.x + 0.4 * (at.v + 0.3 * at.g))) / at.t**2
    ),
    "strongly_convex_din": lambda at: (
        (at.gap + 0.1 * at.d2 + squares(at.v + 0.1 * at.g)) * np.exp(-ROOT / 2 * at.tau)
    ),
    "nag_sc": lambda at: 2 * at.d2 * 1.5 * np.exp(-ROOT / 4 * at.tau),
    "heavy_ball": lambda at: 3.5 * at.d2 * 1.5 * np.exp(-ROOT / 4 * at.tau),
    "nag_c": lambda at: (12 + 9 * 0.5) * at.d2 / (2 * STEP * (at.t**3 - (1.5 * STEP) ** 3)),
    "h_nag": lambda at: (at.gap + squares(at.x + at.v + 0.2 * at.g)) * np.exp(-at.tau),
    "exponential_mass": lambda at: (
        (at.gap + 1.3 * squares(0.4 * at.x + at.v + 0.5 / 1.3 * at.g) / (2 * (1 - 0.2)))
        * np.exp(-0.4 * at.tau)
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_bound_is_the_formula_of_the_theorem(name):
    path = FAMILY[name](*WELLS["round"])
    with np.errstate(divide="ignore"):
        exact = BY_HAND[name](first_of(path))
    np.testing.assert_allclose(objective_bound(path).bound[1:], exact[1:], rtol=1e-8)


def test_bound_of_din_avd_begins_where_its_conditions_do():
    """alpha = 3.5: from t = beta (alpha - 2) / (alpha - 3) = 3 beta on."""
    path = FAMILY["din_avd"](*WELLS["round"])
    bound = objective_bound(path)
    t, late = bound.t, bound.t >= 0.9 - 1e-9
    assert np.isinf(bound.bound[~late]).all()
    first = int(np.argmax(late))
    assert bound.constants["t1"] == t[first]
    f, x, v = path.system.objective, np.asarray(path.x[first]), np.asarray(path.v[first])
    push = v + 0.3 * np.asarray(jax.grad(f)(x))
    energy = t[first] * (t[first] - 0.3) * float(f(x))
    energy += 0.5 * squares(2.5 * (x - np.asarray(f.centre)) + t[first] * push)
    exact = energy / (t[late] * (t[late] - 0.3))
    np.testing.assert_allclose(bound.bound[late], exact, rtol=1e-8)


@pytest.mark.parametrize("beta", [0.1, -0.2])
def test_bound_of_isihd_is_of_the_point_ahead(beta):
    """It begins where kappa > 0, or for beta < 0 where delta' <= (alpha - 1) t."""
    f, x0 = WELLS["round"]
    path = moving(s.ISIHD(f, 3.1, 0.3, beta), x0, 0.7)
    bound = objective_bound(path)
    t = bound.t
    h = 0.3 + beta / t
    ahead = np.asarray(path.x) + h[:, None] * np.asarray(path.v)
    measured = np.asarray(jax.vmap(path.system.objective)(ahead))
    np.testing.assert_allclose(bound.measured, measured, rtol=1e-10)
    kappa = lambda t: 1 - beta / t**2 - 3.1 * (0.3 + beta / t) / t
    delta = lambda t: t * (t - 2.1 * (0.3 + beta / t)) / kappa(t)
    slope = (delta(t + 1e-6) - delta(t - 1e-6)) / 2e-6
    fine = (kappa(t) > 0) & (delta(t) >= 0) & (slope <= 2.1 * t)
    first = int(np.flatnonzero(~fine)[-1]) + 1
    assert 0 < first < 100
    assert np.isinf(bound.bound[:first]).all()
    x, v = np.asarray(path.x[first]), np.asarray(path.v[first])
    offset = x - np.asarray(path.system.objective.centre)
    energy = delta(t[first]) * measured[first] + 0.5 * squares(2.1 * offset + t[first] * v)
    np.testing.assert_allclose(bound.bound[first:], energy / delta(t[first:]), rtol=1e-8)


def test_bound_of_tikhonov_begins_where_its_conditions_do():
    """alpha = 3.5, beta = 0.2: from t = 3 beta on, as for DIN-AVD; epsilon = t^-1.5 / 2."""
    path = FAMILY["tikhonov"](*WELLS["round"])
    bound = objective_bound(path)
    f, t = path.system.objective, bound.t
    first = int(np.argmax(t >= 0.6 - 1e-9))
    assert first > 0
    assert np.isinf(bound.bound[:first]).all()
    x, v, late = np.asarray(path.x[first]), np.asarray(path.v[first]), t[first:]
    push = v + 0.2 * np.asarray(jax.grad(f)(x))
    centre, t1 = np.asarray(f.centre), t[first]
    energy = t1 * (t1 - 0.2) * float(f(x)) + t1**0.5 / 4 * squares(x)
    energy += 0.5 * squares(2.5 * (x - centre) + t1 * push)
    pulled = late**0.5 - t1**0.5
    exact = (energy + 0.5 * 2.5 * squares(centre) * pulled) / (late * (late - 0.2))
    np.testing.assert_allclose(bound.bound[first:], exact, rtol=1e-8)


def test_tikhonov_needs_its_integral_where_the_minimiser_is_not_0():
    """A regularization that fades slowly, from the minimiser: it is dragged away."""
    f = Well([1.0, 0.1], 0.0, [4.0, -2.0])
    system = s.TikhonovDINAVD(f, 3.1, 0.0, PowerLaw(0.3, 0.5, 0.0))
    path = run(system, f.minimiser, t0=1.0, t1=60.0)
    bound = objective_bound(path)
    t, square = bound.t, squares(np.asarray(f.minimiser))
    energy = 0.5 * 0.3 * square
    pulled = 0.3 * (t**1.5 - 1) / 1.5
    exact = (energy + 0.5 * 2.1 * square * pulled) / t**2
    np.testing.assert_allclose(bound.bound, exact, rtol=1e-9)
    assert bound.holds
    assert (bound.measured > energy / t**2).any()


def test_smallest_gradient_so_far_is_measured_for_nag_c():
    path = FAMILY["nag_c"](*WELLS["round"])
    bound = objective_bound(path)
    g = np.asarray(jax.vmap(jax.grad(path.system.objective))(path.x))
    exact = np.minimum.accumulate(np.sum(g**2, axis=1))
    np.testing.assert_allclose(bound.measured, exact, rtol=1e-10)


def test_hessians_are_not_formed_beyond_128_coordinates():
    """A path in two dimensions, 65 times side by side: f is a sum over coordinates."""
    path = FAMILY["nag_c"](*WELLS["round"])
    tile = lambda leaf: jnp.tile(leaf, 65)
    f = path.system.objective
    wide = Well(tile(f.shape.curvature), 0.5, tile(f.centre))
    beside = lambda leaf: jnp.tile(leaf, (1, 65))
    path = eqx.tree_at(
        lambda path: (path.system.objective, path.x, path.v, path.state),
        path,
        (wide, beside(path.x), beside(path.v), jax.tree.map(beside, path.state)),
    )
    bound = objective_bound(path)
    assert bound.holds
    found = {one.statement: (one.found, one.checked) for one in bound.assumptions}
    there = "at the outputs and the minimiser"
    tangents = ("no tangent at 401 outputs passes above f*", True)
    assert found[f"f to be convex {there}"] == tangents
    assert found["f to be convex"] == ("mu = 0.1, of the objective", False)
    smooth = "a gradient that is Lipschitz with L = 1.5"
    assert found[smooth] == ("of the objective", False)
    assert found[f"{smooth} {there}"][1]
    with pytest.raises(AssumptionError, match=r"Lipschitz with L = 0.3, but .* differs by"):
        objective_bound(path, L=0.3)
    wide = eqx.tree_at(
        lambda path: path.system,
        path,
        s.StronglyConvexDIN(path.system.objective, 0.11, 0.1),
    )
    with pytest.raises(AssumptionError, match="known of f is mu = 0.1, of the objective"):
        objective_bound(wide)


ROUND, START = WELLS["round"]
HOLLOW = eqx.tree_at(lambda f: f.shape.weight, ROUND, jnp.asarray(-2.0, float))
"""0.05 u^2 + 0.5 w^2 - 2 log cosh u - 2 log cosh w: not convex around its saddle."""


def lowest():
    """Its minimiser, where c u = 2 tanh u: at that a contraction settles."""
    curvature, u = np.array([0.1, 1.0]), np.full(2, 9.0)
    for _ in range(200):
        u = 2 * np.tanh(u) / curvature
    return u + np.asarray(ROUND.centre)


def swapped(system):
    """A run whose system is said to be another."""
    return eqx.tree_at(lambda path: path.system, FAMILY["avd"](ROUND, START), system)


def kinked():
    at = KinkEvents(jnp.asarray(1), jnp.array([2.5]), jnp.array([0]), jnp.array([0]))
    return eqx.tree_at(lambda path: path.events, FAMILY["avd"](ROUND, START), at)


REFUSED = {
    "alpha of avd": (
        lambda: run(ds.AVD(ROUND, 2.5), START),
        {},
        "alpha >= 3.*alpha is 2.5",
    ),
    "din_avd with 3": (
        lambda: run(ds.DINAVD(ROUND, 3.0, beta=0.3), START, t0=0.1),
        {},
        r"t w' <= \(alpha - 3\) w.*at t = 20 the difference is -0.3",
    ),
    "din_avd too short": (
        lambda: run(ds.DINAVD(ROUND, 3.5, beta=9.0), START, t0=0.1),
        {},
        "w' <=.*run longer",
    ),
    "alpha of acfr": (
        lambda: run(balanced(ROUND, 0.5, 0.1), START, t0=0.4),
        {},
        "alpha >= 1.*alpha is 0.5",
    ),
    "negative w": (
        lambda: swapped(
            s.AttouchChbaniFadiliRiahi(ROUND, 3.0, 0.0, lambda t: 0.5 - 0.1 * t)
        ),
        {},
        "w >= 0, but at t = 20 the difference is -30",
    ),
    "large beta": (
        lambda: run(s.StronglyConvexDIN(ROUND, 0.1, 2.0), START),
        {},
        r"beta <= 1 / \(2 sqrt\(mu\)\).*beta is 2 and that is 1.58",
    ),
    "large mu": (
        lambda: run(s.StronglyConvexDIN(ROUND, 0.7, 0.1), START),
        {},
        "strongly convex with mu = 0.7.*smaller `mu`",
    ),
    "mu that is vouched for": (
        lambda: run(s.StronglyConvexDIN(ROUND, 0.1, 0.1), START),
        {"mu": 0.05},
        "known of f is mu = 0.05, passed as `mu`",
    ),
    "mu of h_nag": (
        lambda: run(s.HNAG(ROUND, 0.7, 2.0, beta=0.2), START),
        {},
        "strongly convex with mu = 0.7",
    ),
    "step of nag_sc": (
        lambda: paper(s.HighResolutionNAGSC(ROUND, 0.1, 0.7), START),
        {},
        "s <= 1 / L.*s L is 1.05",
    ),
    "start of nag_sc": (
        lambda: run(s.HighResolutionNAGSC(ROUND, 0.1, 0.1), START),
        {},
        "start of its paper.*initial_velocity",
    ),
    "start of nag_c": (
        lambda: run(s.HighResolutionNAGC(ROUND, 0.1), START, t0=0.7),
        {},
        "start time of its paper.*start_time",
    ),
    "small L": (
        lambda: paper(s.HighResolutionNAGC(ROUND, 0.1), START),
        {"L": 1.0},
        "Lipschitz with L = 1,.*Pass a larger `L`",
    ),
    "not convex": (
        lambda: run(ds.AVD(HOLLOW, 3.0), [0.5, 0.5]),
        {"minimiser": lowest()},
        "f to be convex.*tangent at t = 0 passes above",
    ),
    "not convex beside the way": (
        # Tangents stay below the minimum.
        lambda: run(ds.AVD(HOLLOW, 3.0), [19.0, 0.5]),
        {"minimiser": lowest()},
        "f to be convex.*smallest eigenvalue of its Hessian at t = 0 is -0.269",
    ),
    "not strongly convex on the way": (
        # At both ends it is, with 0.1.
        lambda: run(
            s.StronglyConvexDIN(HOLLOW, 0.05, 0.1), lowest() - np.array([0.0, 2 * 1.915])
        ),
        {"minimiser": lowest()},
        "strongly convex with mu = 0.05, but its tangent at t = 0",
    ),
    "regularization that lasts": (
        lambda: run(
            s.TikhonovDINAVD(ROUND, 3.5, 0.2, PowerLaw(1.0, 0.0, 0.0)), START, t0=0.7
        ),
        {},
        r"beta t\^3 epsilon\^2 <= 4 \(t - beta\) K, but at t = 20 ",
    ),
    "regularization that grows": (
        lambda: run(
            s.TikhonovDINAVD(ROUND, 3.5, 0.0, PowerLaw(0.01, -2.0, 0.0)), START, t0=0.7
        ),
        {},
        "K >= 0, but at t = 20 ",
    ),
    "tikhonov with 3": (
        lambda: run(
            s.TikhonovDINAVD(ROUND, 3.0, 0.2, PowerLaw(0.5, 1.5, 0.0)), START, t0=0.7
        ),
        {},
        r"\(alpha - 3\) t >= beta \(alpha - 2\)",
    ),
    "alpha of tikhonov": (
        lambda: run(
            s.TikhonovDINAVD(ROUND, 2.5, 0.0, PowerLaw(0.0, 1.5, 0.0)), START, t0=0.7
        ),
        {},
        "alpha >= 3.*alpha is 2.5",
    ),
    "no minimum": (
        lambda: FAMILY["avd"](ROUND, START),
        {"minimiser": np.ones(2)},
        r"attained at the minimiser, but f - f\* is -1.15\d* at t = ",
    ),
    "another minimum": (
        lambda: FAMILY["avd"](ROUND, START),
        {"minimiser": np.array([0.3, -0.2]), "minimum": -0.5},
        r"f - f\* is 0.5 at the minimiser",
    ),
    "beta of mass": (
        lambda: run(decaying(ROUND, 1.3, 0.4, 2.6), START),
        {},
        "beta c < 1.*beta c is 1.04",
    ),
    "kink": (kinked, {}, "differentiable f.*met a kink at t = 2.5"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_assumption_that_fails_is_named(name):
    make, options, message = REFUSED[name]
    with pytest.raises(AssumptionError, match=message):
        objective_bound(make(), **options)


def test_a_point_with_a_slope_is_no_minimiser():
    """Past the minimum, where the values of a short run stay above: the slope is 1."""
    f = lambda x: jnp.sum(x**2) / 2
    path = ds.simulate(ds.AVD(f, 3.0), [3.0, 0.0], t1=0.5, times=11)
    assert objective_bound(path, minimiser=QUIET).holds
    with pytest.raises(AssumptionError, match="gradient at the minimiser is 1, where"):
        objective_bound(path, minimiser=[1.0, 0.0])
    assert objective_bound(path, minimiser=[1e-7, 0.0]).holds


def test_terms_that_cancel_do_not_make_a_convex_function_another():
    """Values next to the minimum are rounding errors of terms of size 1, of both signs."""
    f = lambda x: jnp.sum(x**2 - 2 * x + 1)
    path = ds.simulate(ds.AVD(f, 3.0), [1 + 1e-7, 1 - 2e-7], t1=9.0)
    found = objective_bound(path, minimiser=np.ones(2))
    assert not found.fails.any()


@pytest.mark.slow
def test_a_loss_with_kinks_is_refused_even_if_none_was_met():
    """And one whose Hessian alone jumps is not."""
    kinked = lambda x: jnp.sum(x**2) / 2 + jnp.maximum(x[0] - 9.0, 0.0)
    path = ds.simulate(ds.AVD(kinked, 3.0), [1.0, 0.0], t1=1.0, times=11)
    assert int(path.events.count) == 0
    with pytest.raises(AssumptionError, match="differentiable f, but it has a kink: `max`"):
        objective_bound(path, minimiser=QUIET)
    bent = lambda x: jnp.sum(x**2) / 2 + jnp.maximum(x[0] - 9.0, 0.0) ** 2
    path = ds.simulate(ds.AVD(bent, 3.0), [1.0, 0.0], t1=1.0, times=11)
    found = objective_bound(path, minimiser=QUIET).assumptions[0]
    assert found == ("a differentiable f", "its program has no kink", True)
    lasso = ds.objectives.Lasso(np.eye(2), np.ones(2), 0.1)
    with pytest.raises(AssumptionError, match="Lasso says of itself that it has kinks"):
        objective_bound(swapped(ds.AVD(lasso, 3.0)), minimiser=QUIET)


def test_mass_that_does_not_decay_exponentially_is_refused():
    schedules = Exponential(1.3, 0.4), Exponential(0.6, 0.4)
    path = run(ds.VMDINAVD(ROUND, *schedules, 0.5), START)
    with pytest.raises(AssumptionError, match=r"alpha is 0.46\d* and -epsilon' 0.4 times"):
        objective_bound(path)


UNKNOWN = {
    "minimiser": (
        lambda: swapped(ds.AVD(lambda x: jnp.sum(x**2), 3.0)),
        "needs a minimiser.*Pass `minimiser",
    ),
    "L": (
        lambda: swapped(s.HighResolutionNAGC(lambda x: jnp.sum(x**2), 0.1)),
        "Lipschitz constant.*Pass `L",
    ),
    "system": (
        lambda: swapped(ds.GDIN(ROUND, 1.0, 0.1)),
        "No bound of the objective is known for GDIN.*AVD",
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_asked_for(name):
    make, message = UNKNOWN[name]
    options = {"minimiser": QUIET} if name == "L" else {}
    with pytest.raises(ValueError, match=message):
        objective_bound(make(), **options)


def test_constants_must_be_positive_numbers():
    path = FAMILY["avd"](ROUND, START)
    for name in ("mu", "L"):
        with pytest.raises(ValueError, match=f"`{name}` must be positive"):
            objective_bound(path, **{name: 0.0})
        with pytest.raises(TypeError, match=f"`{name}` must be a real number"):
            objective_bound(path, **{name: "1"})

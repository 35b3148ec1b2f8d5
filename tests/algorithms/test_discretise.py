"""Each discrete method tends to its flow with order 1, and the baselines of optax."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest

from dynsys.algorithms.discretise import METHODS, discretise
from dynsys.algorithms.iterate import iterate
from dynsys.algorithms.mini_batches import MiniBatches
from dynsys.objectives import Quadratic
from dynsys.schedules import PowerLaw
from dynsys.systems import (
    AVD,
    DIN,
    DINAVD,
    GDIN,
    HNAG,
    AttouchChbaniFadiliRiahi,
    ContinuousNewton,
    GradientFlow,
    HeavyBall,
    LevenbergMarquardt,
    StronglyConvexDIN,
)
from tests import oracles

LAMBDA = np.array([0.7, 3.0])
START = np.array([1.0, -0.6])
TIMES = np.linspace(0, 3, 11)
F = Quadratic(jnp.diag(jnp.asarray(LAMBDA)))


def each(path):
    """The paths of both eigen-coordinates."""
    return lambda: np.stack([path(*pair) for pair in zip(LAMBDA, START, strict=True)], 1)


def from_rest(alpha, beta):
    """DIN with constant coefficients, by the matrix exponential."""
    matrix = oracles.second_order_matrix(1.0, alpha, beta, 1.0, np.diag(LAMBDA))
    start = np.concatenate([START, np.zeros(2)])
    return lambda: oracles.linear(matrix, start, TIMES)[:, :2]


def regular(alpha, beta, c):
    """x'' + (alpha/t + beta lam) x' + (1 + c/t) lam x = 0, the one regular at 0."""

    def path(lam, x0):
        k = (beta * lam + mpmath.sqrt(mpmath.mpf(beta) ** 2 * lam**2 - 4 * lam)) / 2
        m = beta * lam - 2 * k
        first = (lam * c - alpha * k) / m
        value = lambda t: mpmath.exp(-k * t) * mpmath.hyp1f1(first, alpha, -m * t)
        return x0 * np.array([float(mpmath.re(value(t))) for t in TIMES])

    return each(path)


def exponential(rate):
    return each(lambda lam, x0: x0 * np.exp(-rate(lam) * TIMES))


IGAHD_FLOW = AttouchChbaniFadiliRiahi(F, 3.5, 0.4, lambda t: 1 + 0.4 / t)
CASES = {
    "gradient flow": (GradientFlow(F), exponential(lambda lam: lam)),
    "heavy ball": (HeavyBall(F, 0.8), from_rest(0.8, 0.0)),
    "AVD": (AVD(F, 3.0), each(lambda lam, x0: oracles.avd(lam, 3.0, x0, TIMES))),
    "DIN-AVD without its Hessian": (
        DINAVD(F, 4.0, beta=0.0),
        each(lambda lam, x0: oracles.avd(lam, 4.0, x0, TIMES)),
    ),
    "IGAHD": (IGAHD_FLOW, regular(3.5, 0.4, 0.4)),
    "strongly convex": (StronglyConvexDIN(F, 0.7, 0.3), from_rest(2 * 0.7**0.5, 0.3)),
    "DIN": (DIN(F, 0.8, 0.3), from_rest(0.8, 0.3)),
    "DIN without its Hessian": (DIN(F, 0.8, 0.0), from_rest(0.8, 0.0)),
    "g-DIN": (GDIN(F, 0.8, 0.3), from_rest(0.8, 0.3)),
    "continuous Newton": (ContinuousNewton(F, 0.9), exponential(lambda lam: 1 / 0.9)),
    "regularised Newton": (
        ContinuousNewton(F, 0.9, regularization=0.5),
        exponential(lambda lam: lam / (0.5 + 0.9 * lam)),
    ),
    "Levenberg-Marquardt": (
        LevenbergMarquardt(F, 0.5, 0.9),
        exponential(lambda lam: lam / (0.5 + 0.9 * lam)),
    ),
}


def error(system, exact, steps):
    found = discretise(system, 3.0 / steps)
    path = iterate(found.method, F, START, steps, every=steps // 10)
    np.testing.assert_allclose(found.time_per_step * np.asarray(path.k), TIMES)
    return np.abs(np.asarray(path.x) - exact).max()


def test_every_system_of_the_table_is_tested():
    assert {type(system) for system, _ in CASES.values()} == set(METHODS)


@pytest.mark.parametrize("name", CASES)
def test_the_iterates_tend_to_the_flow_with_order_1(name):
    system, exact = CASES[name]
    path = exact()
    coarse, fine = error(system, path, 100), error(system, path, 400)
    assert np.log(coarse / fine) / np.log(4) == pytest.approx(1, abs=0.05)
    assert fine < 5e-3


def test_igahd_does_not_tend_to_din_avd():
    path = regular(3.5, 0.4, 0.0)()
    assert error(IGAHD_FLOW, path, 400) > 0.9 * error(IGAHD_FLOW, path, 100) > 0.1


def test_the_heavy_ball_of_optax_is_the_difference_quotient_of_the_equation():
    h, alpha = 0.1, 0.8
    x = [START, START]
    for _ in range(200):
        before, now = x[-2:]
        x.append(2 * now - before - h * alpha * (now - before) - h**2 * LAMBDA * now)
    found = iterate(discretise(HeavyBall(F, alpha), h).method, F, START, 200).x
    np.testing.assert_allclose(found, x[1:], rtol=0, atol=1e-12)


def test_sgd_on_mini_batches_is_a_loop_over_their_gradients():
    data = np.random.default_rng(0).normal(size=(12, 2))
    sample_loss = lambda x, a: 0.25 * jnp.sum((x - a) ** 4)
    batches = MiniBatches(sample_loss, jnp.asarray(data), 3, jax.random.key(1))
    x = [START]
    for drawn in data[np.asarray(jax.vmap(batches.indices)(jnp.arange(200)))]:
        x.append(x[-1] - 0.05 * np.mean((x[-1] - drawn) ** 3, axis=0))
    found = iterate(optax.sgd(0.05), batches.objective, START, 200, gradient=batches).x
    np.testing.assert_allclose(found, x, rtol=0, atol=1e-12)


def test_the_limit_of_igahd_needs_no_warning():
    discretise(IGAHD_FLOW, 1e-3)


def test_a_step_of_inna_beyond_beta_is_warned_of():
    with pytest.warns(UserWarning, match="is not below `beta`"):
        discretise(GDIN(F, 0.8, 0.3), 0.3)


@pytest.mark.parametrize("what", [GradientFlow, F])
def test_what_is_no_system_is_refused_by_its_name(what):
    name = "the class GradientFlow: give it" if what is GradientFlow else type(F).__name__
    with pytest.raises(TypeError, match=name):
        discretise(what, 0.1)


def test_other_systems_are_refused_with_those_that_are_known():
    with pytest.raises(TypeError, match="known.*`GradientFlow`, `Heavy.*It is a HNAG"):
        discretise(HNAG(F, mu=0.1, beta=0.1, gamma0=1.0), 0.1)


@pytest.mark.parametrize(
    ("system", "step", "match"),
    [
        (GradientFlow(F), 0.0, "`step_size` must be positive"),
        (HeavyBall(F, PowerLaw(3.0, 1.0)), 0.1, "`alpha` must be constant"),
        (HeavyBall(F, 4.0), 0.3, "at most 1 / alpha, which is 0.25, but has value 0.3"),
        (StronglyConvexDIN(F, 4.0, 0.1), 0.6, r"at most 1 / sqrt\(mu\), which is 0.5, but"),
        (DINAVD(F, 3.0, beta=0.2), 0.1, "with the factor 1 \\+ beta / t of the gradient"),
        (AttouchChbaniFadiliRiahi(F, 3.0, 0.2, 1.0), 0.1, "`b` must be the schedule 1 \\+"),
        (
            AttouchChbaniFadiliRiahi(F, 3.0, lambda t: 1 / t, 1.0),
            0.1,
            "`beta` must be constant",
        ),
    ],
)
def test_what_has_no_method_is_refused(system, step, match):
    with pytest.raises(ValueError, match=match):
        discretise(system, step)


@pytest.mark.parametrize("what", ["step_size", "alpha", "b"])
def test_traced_numbers_are_refused(what):
    def build(number):
        if what == "step_size":
            return discretise(GradientFlow(F), number)
        if what == "alpha":
            return discretise(HeavyBall(F, number), 0.1)
        return discretise(IGAHD_FLOW, 0.1)

    with pytest.raises(ValueError, match=f"`{what}` is traced"):
        jax.eval_shape(build, 1.0)

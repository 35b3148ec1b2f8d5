"""INNA near a critical point: spirals, and for which steps its map is stable."""

import numpy as np
import pytest

from dynsys.analysis.inna.linear_stability import (
    inna_matrix,
    inna_spectrum,
    inna_stability_limit,
    inna_stable_curvatures,
    inna_step_limits,
    spiral_interval,
)


def by_size(values):
    return values[np.lexsort((-values.imag.round(9), -values.real.round(9)))]


def test_spirals_begin_and_end_at_the_interval():
    low, high = spiral_interval(2.0, 0.1)
    np.testing.assert_allclose([low, high], [1.11456, 358.885], rtol=4e-6)
    for alpha, beta in np.random.default_rng(0).uniform(0.1, 3.0, (20, 2)):
        if alpha * beta >= 1:
            assert spiral_interval(alpha, beta) is None
            continue
        turns = [
            np.iscomplex(np.roots([1, alpha + beta * lam, lam])).any()
            for end in spiral_interval(alpha, beta)
            for lam in (end * (1 - 1e-6), end * (1 + 1e-6))
        ]
        assert turns == [False, True, True, False]
    assert spiral_interval(3.0, 0.0) == (2.25, np.inf)
    # The form in the published code gives 0 here.
    np.testing.assert_allclose(spiral_interval(2.0, 1e-8)[0], 1 + 1e-8, rtol=1e-12)


def test_the_map_of_inna_is_one_step_of_it_and_its_eigenvalues_are_those():
    random = np.random.default_rng(1)
    for alpha, beta, gamma in random.uniform(0.05, 2.0, (20, 3)):
        lam = random.uniform(-8, 8)
        matrix = inna_matrix(alpha, beta, lam, gamma)
        theta, psi = random.normal(size=2)
        common = (1 / beta - alpha) * theta - psi / beta
        step = [theta + gamma * (common - beta * lam * theta), psi + gamma * common]
        np.testing.assert_allclose(matrix @ [theta, psi], step, rtol=1e-12, atol=1e-12)
        found = inna_spectrum(alpha, beta, lam, gamma)
        expected = np.linalg.eigvals(matrix).astype(complex)
        np.testing.assert_allclose(by_size(found), by_size(expected), atol=1e-6)
        assert abs(found[0]) >= abs(found[1])
        if lam < 0:
            assert (expected.real > 1).any()


def determinants(alpha, beta, gamma, L):
    lams = np.linspace(-L, L, 201)
    return np.array([np.linalg.det(inna_matrix(alpha, beta, lam, gamma)) for lam in lams])


def test_below_the_natural_limit_the_map_is_invertible_and_just_above_it_is_not():
    random, singular = np.random.default_rng(2), 0
    for alpha, beta in random.uniform(0.05, 2.0, (12, 2)):
        L = random.uniform(1, 60)
        found = inna_step_limits(alpha, beta, L)
        assert (determinants(alpha, beta, 0.999 * found.natural, L) > 0).all()
        if found.gamma_minus < beta:
            singular += 1
            assert (determinants(alpha, beta, 1.001 * found.gamma_minus, L) < 0).any()
            roots = np.sort(np.roots([L, -(alpha + beta * L), 1]))
            np.testing.assert_allclose(found[:2], roots, rtol=1e-10)
    assert singular > 5


def test_the_cap_of_the_published_code_lets_the_map_be_singular():
    found = inna_step_limits(1.0, 1.1, 50.0)
    np.testing.assert_allclose(found.gamma_minus, 0.0182, atol=5e-5)
    assert found.repository == 0.02
    assert found.natural == found.gamma_minus
    assert (determinants(1.0, 1.1, found.repository, 50.0) < 0).any()
    none = inna_step_limits(0.1, 0.1, 10.0)
    assert none == (np.inf, np.inf, 0.1, 0.1)
    assert (determinants(0.1, 0.1, 0.0999, 10.0) > 0).all()


def test_a_minimum_is_stable_up_to_its_limit_and_not_beyond():
    assert inna_stability_limit(0.3, 0.01, 400.0) == pytest.approx(0.01075, rel=1e-12)
    random, kinds = np.random.default_rng(4), set()
    for alpha, beta in random.uniform(0.05, 2.0, (20, 2)):
        lam = random.uniform(0.1, 50)
        limit = inna_stability_limit(alpha, beta, lam)
        kinds.add(bool(limit < beta + alpha / lam))
        for part in (0.01, 0.5, 0.999, 1.001):
            values = np.linalg.eigvals(inna_matrix(alpha, beta, lam, part * limit))
            assert (np.abs(values).max() < 1) == (part < 1)
    assert kinds == {True, False}


def test_the_stable_curvatures_are_those_whose_matrix_shrinks():
    random, kinds = np.random.default_rng(6), set()
    lams = np.geomspace(1e-3, 1e5, 161)
    cases = [*random.uniform(0.05, (3.0, 1.0, 3.0), (60, 3)), (1.0, 0.1, 3.0)]
    for alpha, beta, gamma in cases:
        found = inna_stable_curvatures(alpha, beta, gamma)
        low, high = (0.0, 0.0) if found is None else found
        matrices = [inna_matrix(alpha, beta, lam, gamma) for lam in lams]
        shrinks = np.abs(np.linalg.eigvals(matrices)).max(axis=1) < 1
        np.testing.assert_array_equal(shrinks, (low < lams) & (lams < high))
        kinds.add((bool(gamma > beta), bool(gamma > 2 * beta), found is None, low > 0))
    # Steps below beta, below 2 beta and above; intervals that are empty, and within.
    assert {kind[:2] for kind in kinds} == {(False, False), (True, False), (True, True)}
    assert {kind[2:] for kind in kinds} == {(False, False), (True, False), (False, True)}


def test_the_step_is_at_its_limit_at_both_ends_of_the_stable_curvatures():
    random, ends = np.random.default_rng(7), 0
    for alpha, beta, part in random.uniform((0.05, 0.05, 0.0), (2.0, 2.0, 1.0), (60, 3)):
        gamma = beta * 4 ** (2 * part - 1)
        for end in inna_stable_curvatures(alpha, beta, gamma) or ():
            if end > 0:
                ends += 1
                limit = inna_stability_limit(alpha, beta, end)
                np.testing.assert_allclose(limit, gamma, rtol=1e-9)
    assert ends > 40
    # Where alpha * beta < 1, two curvatures may share a limit above 2 / alpha.
    low, high = inna_stable_curvatures(1.0, 0.1, 3.0)
    np.testing.assert_allclose([low, high], [2 / 8.4, 1 / 2.9], rtol=1e-12)
    for end in (low, high):
        np.testing.assert_allclose(inna_stability_limit(1.0, 0.1, end), 3.0, rtol=1e-9)


def test_no_curvature_is_stable_where_the_interval_is_empty():
    assert inna_stable_curvatures(0.0, 0.5, 0.5) == pytest.approx((0.0, 16.0))
    assert inna_stable_curvatures(0.0, 0.5, 0.6) is None
    # A step of 2 beta: the second condition is the same for all curvatures.
    assert inna_stable_curvatures(1.0, 0.5, 1.0) == pytest.approx((0.0, 2.0))
    assert inna_stable_curvatures(2.0, 0.5, 1.0) is None
    assert inna_stable_curvatures(1.0, 3.0, 2.5) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spiral_interval(-1.0, 1.0), "`alpha` must be at least 0"),
        (lambda: inna_matrix(1.0, 0.0, 1.0, 0.1), "`beta` must be positive"),
        (lambda: inna_spectrum(1.0, 1.0, 1.0, 0.0), "`gamma` must be positive"),
        (lambda: inna_matrix(1.0, 1.0, np.inf, 0.1), "`eigenvalue` must be finite"),
        (lambda: inna_step_limits(1.0, 1.0, 0.0), "`L` must be positive"),
        (lambda: inna_stability_limit(1.0, 1.0, -1.0), "At a saddle or a maximum no step"),
        (lambda: inna_stable_curvatures(1.0, 1.0, 0.0), "`gamma` must be positive"),
        (lambda: inna_stable_curvatures(1.0, 0.0, 1.0), "`beta` must be positive"),
    ],
)
def test_refusals_of_numbers(call, message):
    with pytest.raises(ValueError, match=message):
        call()

import numpy as np
import pytest

from scripts.saddle_quadratic import (
    CASES,
    EIGENVALUES,
    STEP,
    decades,
    follow,
    main,
    numbers,
    radii,
    sign_changes,
    slowest_mode,
    spirals,
    value,
)

pytestmark = pytest.mark.slow

# J at k = 100, 1000, 2000 of the paper's code.
KNOWN = {
    0: (5.955880e-01, 4.775516e-10, 1.468963e-19),
    3: (3.366886e-01, 4.617495e-10, 4.005047e-18),
}


@pytest.fixture(scope="module")
def paths():
    return [follow(case) for case in CASES]


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "saddle_quadratic", tmp_path)


@pytest.mark.parametrize("index", KNOWN)
def test_the_objective_is_that_of_the_papers_code(paths, index):
    # Half a unit of the seventh digit.
    found = value(paths[index])[[100, 1000, 2000]]
    np.testing.assert_allclose(found, KNOWN[index], rtol=4e-7)


def test_a_coordinate_changes_its_sign_again_and_again_if_and_only_if_it_spirals(paths):
    for case, path in zip(CASES, paths, strict=True):
        many = [20 if turns else 0 for turns in spirals(case)]
        changes = sign_changes(path)
        assert (changes >= many).all()
        assert not changes[~spirals(case)].any()
    assert [spirals(case).tolist() for case in CASES] == [
        [True, True],
        [False, False],
        [True, True],
        [True, False],
    ]


def test_signs_change_every_half_turn_of_the_map(paths):
    """The argument of the eigenvalue 1 + gamma r of the map, r^2 + 2.2 r + 2 = 0."""
    turn = np.angle(1 + STEP * np.roots([1, 2.2, 2])[0])
    first = paths[0][:, 0]
    when = np.flatnonzero(np.sign(first[1:]) != np.sign(first[:-1]))
    np.testing.assert_allclose(np.diff(when).mean(), np.pi / abs(turn), rtol=1e-3)


def test_the_slowest_mode_is_all_that_is_left_without_spirals(paths):
    k = np.arange(3000, 7001)
    expected = value(paths[1][k])
    np.testing.assert_allclose(slowest_mode(CASES[1], k), expected, rtol=1e-4)


def test_with_spirals_the_slowest_mode_is_the_envelope_of_its_coordinate(paths):
    k = np.arange(7001)
    part = EIGENVALUES[0] / 2 * paths[0][:, 0] ** 2 / slowest_mode(CASES[0], k)
    assert part.max() <= 1 + 1e-9
    # Iterates come near each of its peaks.
    peaks = part[1:-1][(part[1:-1] > part[:-2]) & (part[1:-1] > part[2:])]
    assert len(peaks) >= 20
    assert peaks.min() > 1 - 1e-4


def test_the_objective_falls_at_the_rate_of_the_map(paths):
    found = [decades(path) for path in paths]
    expected = [-2000 * np.log10(radii(case).max()) for case in CASES]
    np.testing.assert_allclose(found[:2], expected[:2], rtol=5e-3)
    # Without damping in the limit, J also has a factor of about t^-0.2.
    np.testing.assert_allclose(found[2:], expected[2:], rtol=0, atol=0.05)
    roots = np.roots([1, 2 + 1 * 2.0, 2.0])
    assert radii(CASES[1])[0] == pytest.approx(1 + STEP * roots.max(), rel=1e-12)


def test_the_caption_says_what_was_measured(paths):
    text = numbers(paths)
    assert "20 and 36; 0 and 0; 31 and 45; 22 and 0 times" in text
    assert "from 1.1146 to 358.89 spiral" in text

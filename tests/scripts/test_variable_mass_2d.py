import numpy as np
import pytest

from scripts.variable_mass_2d import CASES, main, solve_cases, solve_references

pytestmark = pytest.mark.slow

TIMES = 101


@pytest.fixture(scope="module")
def distances():
    """Largest distance to CN, LM and DIN after the initial layer, one row a case."""
    references = solve_references(TIMES)
    return np.array(
        [
            [np.linalg.norm(path.x - one.x, axis=1)[20:].max() for one in references]
            for path in solve_cases(TIMES)
        ]
    )


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "variable_mass_2d", tmp_path)


def test_each_solution_is_closest_to_the_one_in_its_title(distances):
    assert [case.title for case in CASES] == ["Approaches CN", "Follows LM", "Is DIN"]
    np.testing.assert_array_equal(np.argmin(distances, axis=1), [0, 1, 2])


def test_what_a_solution_follows_is_ten_times_closer_than_the_others(distances):
    nearest, second = np.sort(distances, axis=1).T[:2]
    assert (10 * nearest < second).all()


def test_mass_one_and_constant_damping_is_din(distances):
    # Two forms of one equation, each with a relative tolerance of 1e-9 a step.
    assert distances[2, 2] < 1e-7

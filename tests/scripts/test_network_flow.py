import jax
import numpy as np
import pytest
from jax.tree_util import Partial

from scripts.network_flow import cross_entropy, flows, follow, load, main

pytestmark = pytest.mark.slow

END, OUTPUTS = 20.0, 12


@pytest.fixture(scope="module")
def courses():
    """Gradient flow and the first two flows of g-DIN, for a short while."""
    train, test = load()
    systems = flows(Partial(cross_entropy, *train))[:3]
    return [follow(system, test, END, OUTPUTS) for system in systems]


def by_hand(digits, course, i):
    """Loss and test error of the parameters at one output, in NumPy and float64."""
    leaf = {name: np.asarray(value[i], np.float64) for name, value in course.path.x.items()}
    inputs, labels = np.asarray(digits.inputs, np.float64), np.asarray(digits.labels)
    hidden = np.tanh(inputs @ leaf["first"] + leaf["first_bias"])
    powers = np.exp(hidden @ leaf["second"] + leaf["second_bias"])
    chances = powers / powers.sum(axis=1, keepdims=True)
    loss = -np.log(chances[np.arange(len(labels)), labels]).mean()
    return loss, (chances.argmax(axis=1) != labels).mean()


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "network_flow", tmp_path)


def test_loss_falls_along_gradient_flow(courses):
    assert (np.diff(courses[0].loss) < 0).all()
    assert courses[0].loss[-1] < 0.2 * courses[0].loss[0]


def test_loss_and_test_error_are_those_computed_by_hand(courses):
    train, test = load()
    for course in courses:
        for i in (0, -1):
            assert course.loss[i] == pytest.approx(by_hand(train, course, i)[0], rel=1e-4)
            assert course.test_error[i] == pytest.approx(by_hand(test, course, i)[1])


def test_with_less_viscous_damping_the_loss_is_lower_at_the_end(courses):
    _, one, tenth = (course.loss[-1] for course in courses)
    assert tenth < one / 2


def test_no_image_is_in_both_parts():
    train, test = (np.asarray(digits.inputs) for digits in load())
    assert len(train) + len(test) == 1797
    assert not {row.tobytes() for row in train} & {row.tobytes() for row in test}


def test_flows_are_in_single_precision(courses):
    kinds = {leaf.dtype for course in courses for leaf in jax.tree.leaves(course.path.x)}
    assert kinds == {np.dtype("float32")}

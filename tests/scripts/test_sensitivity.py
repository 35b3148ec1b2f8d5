import numpy as np
import pytest
import scipy.stats
from matplotlib.figure import Figure

from dynsys.analysis import inna_spectrum
from scripts.learning.datasets import load
from scripts.learning.loop import Recipe, compile_program
from scripts.learning.optimisers import Hyperparameters
from scripts.learning.runs import Keeping, train
from scripts.sensitivity import (
    Map,
    _draw,
    border,
    entropy,
    main,
    measure,
    numbers,
    place,
)

ALPHAS, BETAS = np.array([0.0, 0.1, 1.0]), np.array([0.01, 0.1, 1.0, 10.0])


@pytest.fixture
def example():
    """Two seeds: one cell diverges, one learns nothing with its second seed."""
    loss = np.full((3, 4, 2), 0.1)
    loss[2, 1] = [0.01, 0.03]
    loss[0, 0, 1], loss[0, 3, 1] = np.nan, 2.4
    return Map(0.1, ALPHAS, BETAS, loss, 1 - loss / 3, 2.3)


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "sensitivity", tmp_path)


def test_the_best_constant_guess_has_the_entropy_of_the_labels_as_its_loss():
    labels = np.array([0, 0, 1, 3, 3, 3])
    assert entropy(labels) == pytest.approx(scipy.stats.entropy([2, 1, 0, 3]))


def test_a_cell_fails_if_one_of_its_seeds_does(example):
    assert np.argwhere(example.diverged).tolist() == [[0, 0]]
    assert np.argwhere(example.idle).tolist() == [[0, 3]]
    assert example.failed.sum() == 2


def test_the_caption_has_the_best_cell_the_failures_and_the_pairs(example):
    text = numbers([example])
    assert r"smallest loss is $2.0\cdot10^{-2}$ at $\alpha = 1$, $\beta = 0.1$" in text
    assert (
        r"it is $1.0\cdot10^{-1}$ near (0.1, 0.1), $2.0\cdot10^{-2}$ near (0.5, 0.1)"
        in text
    )
    assert r"1 of the 3 cells with $\beta < \gamma$ and 1 of the 9 cells with" in text
    assert "(1 diverge, 1 learn nothing)" in text


def test_the_caption_says_so_if_every_cell_fails(example):
    text = numbers([example._replace(loss=np.full((3, 4, 2), np.inf))])
    assert "every cell fails; it is none (failed) near (0.1, 0.1)" in text
    assert "nan" not in text


def test_cells_that_fail_are_hatched_and_told_in_the_legend(example):
    figure = Figure()
    _draw(figure, [example])
    hatches = [patch.get_hatch() for patch in figure.axes[0].patches]
    assert sorted(hatches) == ["////", "xxxx"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[-2:] == ["has learnt nothing", "diverged"]


def test_values_lie_in_the_middle_of_their_cells():
    np.testing.assert_allclose(place(BETAS, BETAS), [0.5, 1.5, 2.5, 3.5])
    # The first of these cells is that of 0.
    np.testing.assert_allclose(place([0.1, 1.0], ALPHAS), [1.5, 2.5])


def test_the_border_is_where_an_eigenvalue_of_a_step_leaves_the_unit_disc():
    inside = border(0.3, 3.0, np.geomspace(0.03, 3, 7), np.geomspace(0.01, 10, 9)) > 1
    sizes = [
        [abs(inna_spectrum(a, b, 3.0, 0.3)[0]) for b in np.geomspace(0.01, 10, 9)]
        for a in np.geomspace(0.03, 3, 7)
    ]
    np.testing.assert_array_equal(inside, np.array(sizes) < 1)
    assert 0 < inside.mean() < 1


def test_a_cell_is_the_end_of_the_run_with_its_dampings(tmp_path):
    program = compile_program(Recipe("mlp", 4, "inna", 32), load("digits", tmp_path))
    found = measure(program, 0.3, ([0.1, 0.5], [0.1, 1.0, 2.0]), 2, 1)
    hyper = Hyperparameters(0.3, 0.0, np.full(6, 0.5), np.full(6, 2.0))
    history = train(program, "one", hyper, np.ones(6), 1, Keeping())
    assert found.loss.shape == (2, 3, 2)
    # The same lane of another group: sums are taken in the same order.
    assert found.loss[1, 2, 1] == history.training_loss[1, 5]
    assert found.accuracy[1, 2, 1] == history.test_accuracy[1, 5]

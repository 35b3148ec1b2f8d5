import numpy as np
import pytest
import scipy.stats
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from dynsys.analysis import inna_spectrum
from scripts.learning.damping_map import (
    Map,
    damping,
    entropy,
    measure,
    numbers,
    strip,
    unpredicted,
)
from scripts.learning.datasets import load
from scripts.learning.loop import Recipe, compile_program
from scripts.learning.optimisers import Hyperparameters
from scripts.learning.runs import Keeping, train
from scripts.sensitivity import GAP, _draw, bottoms_of, main, place

pytestmark = pytest.mark.slow

ALPHAS, BETAS = np.array([0.0, 0.1, 1.0]), np.array([0.01, 0.1, 1.0, 10.0])


@pytest.fixture
def example():
    """Two seeds: one cell diverges, one learns nothing with its second seed."""
    loss = np.full((3, 4, 2), 0.1)
    loss[2, 1] = [0.01, 0.03]
    loss[0, 0, 1], loss[0, 3, 1] = np.nan, 2.4
    return Map(0.1, ALPHAS, BETAS, loss, loss / 3, 2.3)


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
    assert "pairs of the authors' poster" in labels


def test_the_row_of_no_viscous_damping_is_cut_off_by_a_gap(example):
    """Rows of the mesh: that of 0, an empty one as high as the gap, the others."""
    figure = Figure()
    _draw(figure, [example])
    np.testing.assert_allclose(bottoms_of(ALPHAS), [0, 1 + GAP, 2 + GAP])
    for axes, values in zip(figure.axes, (example.loss, example.error), strict=False):
        mesh = axes.collections[0]
        heights = mesh.get_coordinates()[:, 0, 1]
        np.testing.assert_allclose(heights, [0, 1, 1 + GAP, 2 + GAP, 3 + GAP])
        shown = np.ma.filled(mesh.get_array(), np.nan).reshape(4, 4)
        assert np.isnan(shown[1]).all()
        means = np.where(example.failed, np.nan, values.mean(axis=2))
        np.testing.assert_array_equal(shown[[0, 2, 3]], means)
        assert axes.get_ylim() == (0, 3 + GAP)
        bottoms = {patch.get_y() for patch in axes.patches}
        assert bottoms == {0.0}


def test_errors_and_losses_are_drawn_on_logarithmic_scales(example):
    figure = Figure()
    _draw(figure, [example])
    assert all(isinstance(axes.collections[0].norm, LogNorm) for axes in figure.axes[:2])


def test_values_lie_in_the_middle_of_their_cells():
    np.testing.assert_allclose(place(BETAS, BETAS), [0.5, 1.5, 2.5, 3.5])
    # The first of these cells is that of 0, and a gap follows.
    np.testing.assert_allclose(place([0.1, 1.0], ALPHAS), [1.5 + GAP, 2.5 + GAP])


def test_the_strip_is_where_no_eigenvalue_of_a_step_leaves_the_unit_disc():
    pairs = (np.geomspace(0.03, 3, 7), np.geomspace(0.01, 10, 9))
    low, high = strip(0.3, 3.0)
    dampings = damping(*pairs, 3.0)
    inside = (low < dampings) & (dampings < high)
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
    assert found.error[1, 2, 1] == 1 - history.test_accuracy[1, 5]


def test_failures_inside_of_the_strip_are_those_that_theory_does_not_predict():
    """With lambda = 3 the strip of the step 0.1 is 0.3 < alpha + 3 beta < 20.15."""
    loss = np.full((3, 4, 1), 9.0)
    loss[1, 1] = 0.1
    failed = Map(0.1, ALPHAS, BETAS, loss, loss, 2.3)
    assert np.argwhere(unpredicted(failed)).tolist() == [
        [0, 2],
        [1, 2],
        [2, 0],
        [2, 1],
        [2, 2],
    ]
    text = numbers([failed])
    assert "Of all 11 failures 5 lie between both sides of the strip" in text
    assert r"they have $\alpha \le 1$." in text


def test_the_pair_that_is_best_for_all_steps_is_named(example):
    other = np.full((3, 4, 2), 0.1)
    other[1, 2] = 0.001
    other[2, 1] = 0.2
    text = numbers([example, example._replace(step=0.3, loss=other)])
    assert (
        r"at $\alpha = 0.1$, $\beta = 1$: $1.0\cdot10^{-1}$ and $1.0\cdot10^{-3}$." in text
    )


def test_a_pair_that_fails_with_one_step_is_never_the_best_for_all(example):
    failed = example._replace(loss=np.full((3, 4, 2), 9.0))
    assert "No pair learns with all step sizes." in numbers([example, failed])

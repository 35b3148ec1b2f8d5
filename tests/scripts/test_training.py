import numpy as np
import pytest

from scripts.learning.history import History
from scripts.learning.optimisers import Hyperparameters
from scripts.learning.tuning import Tuned
from scripts.training import BUDGET, LOOKS, POWERS, SHARED, main, numbers, standing


def tuned(name, losses, accuracies, power=0.25, at_end=False):
    history = History.empty(0, len(losses)).written(0, losses, accuracies)
    return Tuned(name, Hyperparameters(0.1, power), np.zeros(3), at_end, history)


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "training", tmp_path)


def test_inna_is_called_third_where_two_are_lower():
    values = {
        "SGD": np.array([0.5, 0.7]),
        "INNA": np.array([0.3, 0.4]),
        "Adam": np.array([0.1, 0.35]),
        "Adagrad": np.array([0.1, 0.2]),
    }
    assert standing("INNA", values, "loss") == (
        "By the mean loss INNA is third of 4; lower: Adagrad and Adam; its seeds overlap "
        "with those of Adam."
    )


@pytest.mark.parametrize(
    ("mine", "place"), [(0.1, "first of 2; no"), (0.9, "last of 2; lower: SGD; no")]
)
def test_the_first_and_the_last_place_are_called_so(mine, place):
    values = {"INNA": np.full(2, mine), "SGD": np.full(2, 0.5)}
    assert place in standing("INNA", values, "loss")


def test_the_caption_has_means_with_the_least_and_the_largest_and_the_ends_of_the_grid():
    found = [
        tuned("inna", [0.1, 0.3], [0.9, 0.8]),
        tuned("adam", [0.01, 0.03], [1, 0.9], at_end=True),
    ]
    text = numbers(found, found[:1], BUDGET)
    first = r"Adam $2.0\cdot10^{-2}$ ($1.0\cdot10^{-2}$ to $3.0\cdot10^{-2}$) and INNA"
    assert first in text
    assert "INNA 85.0% (80.0 to 90.0) and Adam 95.0% (90.0 to 100.0)" in text
    assert "Adam at an end of the candidates" in text
    assert r"for $q = 1/4$ ($\gamma_0 = 0.1$)" in text


def test_the_caption_says_how_many_seeds_diverged():
    found = [tuned("inna", [0.1, np.nan], [0.9, 0.8]), tuned("sgd", [0.1, 0.1], [1, 1])]
    assert "SGD" in numbers(found, found[:1], BUDGET)
    assert "INNA diverged for 1 seeds" in numbers(found, found[:1], BUDGET)


def test_the_exponents_are_those_of_the_paper_and_optimisers_look_different():
    assert POWERS == (0.5, 0.25, 0.125, 0.0625)
    assert POWERS[SHARED] == 0.25
    assert len(set(LOOKS.values())) == 5
    assert len({color for color, _ in LOOKS.values()}) == 5

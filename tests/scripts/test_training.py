import numpy as np
import pytest
from matplotlib.figure import Figure

from scripts import sensitivity
from scripts.learning.history import History
from scripts.learning.optimisers import Hyperparameters
from scripts.learning.standings import label_of, numbers, standing
from scripts.learning.tuning import Tuned
from scripts.training import (
    BUDGET,
    LOOKS,
    MAPPED,
    POWERS,
    QUICK,
    SCHEDULES,
    SHARED,
    Curve,
    draw,
    main,
    measure,
    shown,
)

pytestmark = pytest.mark.slow


def tuned(name, losses, accuracies, power=0.25, at_end=False, **dampings):
    history = History.empty(0, len(losses)).written(0, losses, accuracies)
    hyper = Hyperparameters(0.1, power, **dampings)
    return Tuned(name, hyper, np.zeros(3), at_end, history)


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
    text = numbers(found, found[:1], BUDGET, 360)
    first = r"Adam $2.0\cdot10^{-2}$ ($1.0\cdot10^{-2}$ to $3.0\cdot10^{-2}$) and INNA"
    assert first in text
    assert "INNA (0.5, 0.1) 15.0% (10.0 to 20.0) and Adam 5.0% (0.0 to 10.0)" in text
    assert "one of the 360 images is 0.28%" in text
    assert "Adam at an end of the candidates" in text
    assert r"for $q = 1/4$ ($\gamma_0 = 0.1$)" in text


def test_the_caption_says_how_many_seeds_diverged():
    found = [tuned("inna", [0.1, np.nan], [0.9, 0.8]), tuned("sgd", [0.1, 0.1], [1, 1])]
    text = numbers(found, found[:1], BUDGET, 360)
    assert "SGD" in text
    assert "INNA (0.5, 0.1) diverged for 1 seeds" in text


def test_both_pairs_of_inna_are_named_by_their_dampings_and_placed():
    found = [
        tuned("inna", [0.3], [0.8]),
        tuned("inna", [0.1], [0.9], alpha=0.1, beta=2.0),
        tuned("adam", [0.2], [0.95]),
    ]
    assert [label_of(one) for one in found] == ["INNA (0.5, 0.1)", "INNA (0.1, 2)", "Adam"]
    assert shown(found[1]) == r"INNA, $\alpha = 0.1$, $\beta = 2$"
    assert set(map(label_of, found)) < set(LOOKS)
    text = numbers(found, found[:1], BUDGET, 360)
    assert "By the mean training loss INNA (0.5, 0.1) is last of 3" in text
    assert "By the mean training loss INNA (0.1, 2) is first of 3" in text
    assert "By the mean test error INNA (0.1, 2) is second of 3; lower: Adam" in text


def test_overlap_with_all_others_is_told_in_short():
    values = {name: np.array([0.1, 0.2]) for name in ("INNA", "SGD", "Adam")}
    assert "overlap with those of all others." in standing("INNA", values, "loss")


def test_the_exponents_are_those_of_the_paper_and_optimisers_look_different():
    assert POWERS == (0.5, 0.25, 0.125, 0.0625)
    assert POWERS[SHARED] == 0.25
    assert len({look.color for look in LOOKS.values()}) == 6
    assert len({look.color for look in SCHEDULES}) == 4


def test_the_second_pair_gets_the_budget_of_the_first(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "scripts.training.tune",
        lambda recipe, dataset, choices, budget, *rest: (
            asked.append(([*choices], budget)) or [*choices]
        ),
    )
    monkeypatch.setattr("scripts.training.compare", lambda *arguments: [])
    found, _ = measure(None, QUICK, [])
    ((choices, budget),) = asked
    assert budget is QUICK
    assert found == [choices[SHARED], choices[-1]]
    assert choices[-1] == choices[SHARED]._replace(alpha=MAPPED[0], beta=MAPPED[1])


def test_the_seeds_of_the_figure_are_those_of_no_map():
    first = BUDGET.first_seed + BUDGET.tuning_seeds
    assert not set(range(sensitivity.SEEDS)) & set(range(first, first + BUDGET.seeds))


def test_bands_are_drawn_for_few_and_the_error_from_the_accuracy():
    losses = np.array([[2.0, 1.0], [0.1, 0.3]], np.float32)
    history = History(losses, 1 - losses / 4)
    row = Figure().subplots(1, 2)
    looks = [LOOKS["Adam"], LOOKS["SGD"]]
    draw(row, [Curve(str(look), look, history) for look in looks], "title")
    for axes, scale in zip(row, (1, 4), strict=True):
        assert len(axes.collections) == 1
        assert axes.get_yscale() == "log"
        for line in axes.lines:
            mean = np.array([1.5, 0.2]) / scale
            np.testing.assert_allclose(line.get_ydata(), mean, rtol=1e-6)
        ends = axes.collections[0].get_paths()[0].get_extents().get_points()[:, 1]
        np.testing.assert_allclose(ends, np.array([0.1, 2.0]) / scale, rtol=1e-6)

import json

import numpy as np
import pytest

from scripts.learning.loop import Recipe
from scripts.learning.optimisers import Hyperparameters
from scripts.learning.runs import Keeping
from scripts.learning.tuning import Budget, compare, lanes_of, rates_between, tune

BUDGET = Budget((1e-3, 0.3, 1e30), tuning_seeds=2, seeds=2, epochs=3, first_seed=7)
RECIPE = Recipe("mlp", 4, "sgd", 4)
CHOICE = Hyperparameters(0.0, 0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("comparison")


@pytest.fixture(scope="module")
def found(tiny, folder):
    names = ["sgd", "momentum"]
    return compare(RECIPE, tiny, names, CHOICE, BUDGET, Keeping(folder))


def runs(folder, name):
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob(f"{name}*.json"))]


def test_the_best_step_size_is_the_one_with_the_smallest_mean_loss(found, folder):
    for one in found:
        parts = runs(folder, f"{one.optimiser}-tuning")
        ends = [[np.inf if v is None else v for v in p["training_loss"][-1]] for p in parts]
        np.testing.assert_allclose(one.losses, np.mean(ends, axis=0), rtol=1e-6)
        assert one.hyper.rate == BUDGET.rates[int(np.argmin(np.mean(ends, axis=0)))]


def test_a_step_size_that_diverges_is_the_worst(found):
    assert all(np.isinf(one.losses[2]) and one.hyper.rate == 0.3 for one in found)


def test_every_optimiser_gets_the_same_candidates_epochs_and_seeds(found, folder):
    del found
    budgets = [
        [
            (run["rate"], run["seeds"], run["epochs"], run["batch_size"])
            for run in (part["configuration"] for part in runs(folder, f"{name}-tuning"))
        ]
        for name in ("sgd", "momentum")
    ]
    assert budgets[0] == budgets[1]
    rates = [float(np.float32(rate)) for rate in BUDGET.rates]
    assert budgets[0] == [(rates, [seed] * 3, 3, 4) for seed in (7, 8)]


def test_the_seeds_that_are_reported_are_not_those_of_the_tuning(found, folder):
    del found
    for name in ("sgd", "momentum"):
        (part,) = runs(folder, f"{name}-seeds")
        assert part["configuration"]["seeds"] == [9, 10, 10]  # The last fills up.
        assert part["configuration"]["rate"] == [float(np.float32(0.3))] * 3


def test_the_history_is_that_of_the_fresh_seeds(found, folder):
    for one in found:
        (part,) = runs(folder, f"{one.optimiser}-seeds")
        written = np.array(part["training_loss"], np.float32)[:, :2]
        assert one.history.training_loss.tolist() == written.tolist()


def test_a_comparison_that_stopped_goes_on_with_what_is_missing(found, folder, tiny):
    files = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    lost = folder / "momentum-seeds.json"
    content = lost.read_bytes()
    lost.unlink()
    again = compare(RECIPE, tiny, ["sgd", "momentum"], CHOICE, BUDGET, Keeping(folder))
    assert lost.read_bytes() == content
    assert {path.name for path in folder.iterdir()} == {path.name for path in files}
    for path, when in files.items():
        assert path == lost or path.stat().st_mtime_ns == when
    for one, other in zip(found, again, strict=True):
        assert one.history.training_loss.tolist() == other.history.training_loss.tolist()


def test_a_best_step_size_at_an_end_of_the_candidates_is_told(tiny):
    for rates, at_end in (
        ((1e-3, 1e-2), True),
        ((1e-3, 0.3, 1e30), False),
        ((1e29, 1e30), True),
    ):
        budget = BUDGET._replace(rates=rates, seeds=1, tuning_seeds=1)
        (one,) = tune(RECIPE, tiny, [CHOICE], budget, Keeping())
        assert one.at_end is at_end


def test_candidates_have_equal_ratios():
    assert rates_between(1e-4, 10, 6) == (1e-4, 1e-3, 1e-2, 0.1, 1, 10)
    assert rates_between(1, 10, 3.0) == (1, 3.16, 10)


@pytest.mark.parametrize(
    "wrong", [(0, 1, 3), (2, 1, 3), (1, 2, 1), (1, float("inf"), 3), (1, 2, 2.5)]
)
def test_candidates_that_do_not_increase_are_refused(wrong):
    with pytest.raises(ValueError, match="two positive, increasing step sizes"):
        rates_between(*wrong)


def test_networks_with_convolutions_train_one_after_the_other():
    assert lanes_of("nin", BUDGET) == 1
    assert lanes_of("mlp", BUDGET) == 3
    assert lanes_of("mlp", BUDGET._replace(seeds=5)) == 5

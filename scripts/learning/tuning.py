"""Optimisers compared: the same budget to tune the step size of each, then fresh seeds."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from scripts.learning.history import History
from scripts.learning.images import Dataset
from scripts.learning.loop import Recipe, compile_program
from scripts.learning.models import MODELS
from scripts.learning.optimisers import Hyperparameters
from scripts.learning.runs import Keeping, train


class Budget(NamedTuple):
    """What every optimiser gets.

    Args:
        rates: Step sizes to try, increasing.
        tuning_seeds: Runs of each of them.
        seeds: Runs with the best one, of other seeds.
        epochs: Epochs of each run.
        first_seed: Seeds are counted from here.
    """

    rates: tuple[float, ...]
    tuning_seeds: int = 2
    seeds: int = 10
    epochs: int = 30
    first_seed: int = 0


class Tuned(NamedTuple):
    """What came out for one optimiser.

    Args:
        optimiser: Its name.
        hyper: Its hyperparameters, with the best step size.
        losses: Mean final training loss of each step size; infinite if a run diverged.
        at_end: Whether the best step size is the first or the last, or none was good.
        history: The runs of the fresh seeds.
    """

    optimiser: str
    hyper: Hyperparameters
    losses: np.ndarray
    at_end: bool
    history: History


def rates_between(low: float, high: float, count: float) -> tuple[float, ...]:
    """Step sizes at equal ratios, to three digits.

    Raises:
        ValueError: They are not positive and increasing, or their number is not a whole
            one of at least 2.
    """
    if not (0 < low < high < float("inf")) or not (count >= 2 and count % 1 == 0):
        raise ValueError(
            f"`--rates` must be two positive, increasing step sizes and a whole number of "
            f"at least 2, but is {low:g} {high:g} {count:g}."
        )
    return tuple(float(f"{rate:.3g}") for rate in np.geomspace(low, high, int(count)))


def lanes_of(model: str, budget: Budget) -> int:
    """How many runs go side by side: one number for tuning and for what follows."""
    return max(len(budget.rates), budget.seeds) if MODELS[model].side_by_side else 1


def compare(
    recipe: Recipe,
    dataset: Dataset,
    optimisers: Iterable[str],
    hyper: Hyperparameters,
    budget: Budget,
    keeping: Keeping,
) -> list[Tuned]:
    """Tune and train each optimiser of those that are named."""
    return [
        tune(recipe._replace(optimiser=name), dataset, (hyper,), budget, keeping)[0]
        for name in optimisers
    ]


def tune(
    recipe: Recipe,
    dataset: Dataset,
    choices: Iterable[Hyperparameters],
    budget: Budget,
    keeping: Keeping,
    names: Iterable[str] = ("",),
) -> list[Tuned]:
    """Tune and train one optimiser for each choice of its other hyperparameters.

    Args:
        recipe: Network and optimiser; compiled once for all choices.
        dataset: The data set.
        choices: Hyperparameters, whose step size is not looked at.
        budget: What each choice gets.
        keeping: What is written and shown.
        names: What the files of each choice are called, after the optimiser.
    """
    program = compile_program(recipe, dataset)
    common: Any = (budget.epochs, keeping, lanes_of(recipe.model, budget))
    found = []
    for choice, name in zip(choices, names, strict=True):
        label = f"{recipe.optimiser}{name}"
        seeds, rates = _grid(budget)
        options = choice._replace(rate=rates)
        history = train(program, f"{label}-tuning", options, seeds, *common)
        losses = history.final_loss.reshape(budget.tuning_seeds, -1).mean(axis=0)
        best = int(np.argmin(losses))
        tuned = choice._replace(rate=budget.rates[best])
        fresh = budget.first_seed + budget.tuning_seeds + np.arange(budget.seeds)
        history = train(program, f"{label}-seeds", tuned, fresh, *common)
        at_end = best in (0, len(losses) - 1) or not np.isfinite(losses[best])
        found.append(Tuned(recipe.optimiser, tuned, losses, at_end, history))
    return found


def _grid(budget: Budget) -> tuple[np.ndarray, np.ndarray]:
    """Seed and step size of each run of the tuning, all step sizes of a seed together."""
    seeds = budget.first_seed + np.arange(budget.tuning_seeds)
    count = len(budget.rates)
    return np.repeat(seeds, count), np.tile(budget.rates, budget.tuning_seeds)

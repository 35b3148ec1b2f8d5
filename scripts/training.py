r"""INNA and four other optimisers that train a network, each with a step size tuned alike.

A network with two hidden layers of 64 units and ReLU learns the digits of scikit-learn in
mini-batches of 32. Above, training loss and test accuracy along the epochs for INNA with
$\alpha = 0.5$, $\beta = 0.1$, SGD, SGD with momentum, Adam and Adagrad, all with step sizes
$\gamma_0 (k + 1)^{-1/4}$. Below, INNA with $\gamma_0 (k + 1)^{-q}$ for the exponents of the
paper. The $\gamma_0$ of each curve is the candidate with the smallest mean training loss at
the end over two seeds: the same candidates, epochs and seeds for all. Lines are means over
ten other seeds, bands go from the least to the largest of them.

The other numbers of an optimiser are not tuned: the dampings of INNA are a pair of the
paper, momentum is 0.9, and the rest is as in optax.

Source: C. Castera, J. Bolte, C. Fevotte, E. Pauwels, JMLR 22(134), 2021, compares INNA with
SGD, Adagrad and Adam on MNIST and CIFAR, with mini-batches of 32. Data, network, momentum
and budget are chosen here.
"""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import dynsys as ds
from scripts.command_line import run
from scripts.learning.datasets import load
from scripts.learning.history import History
from scripts.learning.images import Dataset
from scripts.learning.loop import Recipe
from scripts.learning.models import MODELS
from scripts.learning.optimisers import OPTIMISERS, Hyperparameters
from scripts.learning.runs import Keeping
from scripts.learning.tuning import Budget, Tuned, compare, rates_between, tune
from scripts.measured import listed, power, write_measured

NAME = "training"
POWERS = (1 / 2, 1 / 4, 1 / 8, 1 / 16)
SHARED = 1
"""Which of the exponents all optimisers have."""
RATES = rates_between(1e-4, 10.0, 16)
BUDGET = Budget(RATES, tuning_seeds=2, seeds=10, epochs=30)
QUICK = Budget(RATES[9:12], tuning_seeds=1, seeds=2, epochs=2)
RANKS = ("first", "second", "third", "fourth", "last")


class Curve(NamedTuple):
    """How the runs of one optimiser are drawn."""

    label: str
    color: str
    linestyle: Any
    history: History


LOOKS: dict[str, tuple[str, Any]] = {
    "inna": ("#8C00FC", "-"),
    "sgd": ("#009E73", (0, (6, 1.5, 1, 1.5))),
    "momentum": ("#E69F00", (0, (5, 2))),
    "adam": ("#0072B2", (0, (3, 1.2))),
    "adagrad": ("#000000", (0, (1, 1.5))),
}
SCHEDULES = (
    ("#000000", (0, (1, 1.5))),
    ("#8C00FC", "-"),
    ("#D55E00", (0, (5, 2))),
    ("#56B4E9", (0, (6, 1.5, 1, 1.5))),
)


def measure(
    dataset: Dataset, budget: Budget, others: Sequence[str]
) -> tuple[list[Tuned], list[Tuned]]:
    """INNA and others with one schedule, and INNA with all schedules."""
    recipe = Recipe("mlp", MODELS["mlp"].width or 0, "inna", 32)
    choices = [Hyperparameters(0.0, decay_power) for decay_power in POWERS]
    names = [f"-{decay_power:g}" for decay_power in POWERS]
    schedules = tune(recipe, dataset, choices, budget, Keeping(), names)
    found = compare(recipe, dataset, others, choices[SHARED], budget, Keeping())
    return [schedules[SHARED], *found], schedules


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `training.pdf` and `.png` into the folder `output`."""
    dataset = load("digits", output)
    budget = QUICK if quick else BUDGET
    others = [name for name in OPTIMISERS if name != "inna"]
    found, schedules = measure(dataset, budget, others[:1] if quick else others)
    optimisers = [
        Curve(OPTIMISERS[one.optimiser].label, *LOOKS[one.optimiser], one.history)
        for one in found
    ]
    powers = [
        Curve(f"$q = 1/{1 / one.hyper.decay_power:g}$", *look, one.history)
        for one, look in zip(schedules, SCHEDULES, strict=True)
    ]
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 5.0), layout="constrained")
        above, below = figure.subplots(2, 2)
        _draw(above, optimisers, r"Tuned $\gamma_0$, step sizes $\gamma_0(k+1)^{-1/4}$")
        _draw(below, powers, r"INNA with $\gamma_0(k+1)^{-q}$, each $\gamma_0$ tuned")
    ds.plots.save(figure, output / NAME)
    write_measured(output, NAME, numbers(found, schedules, budget))


def _draw(row: Sequence[Axes], curves: Sequence[Curve], title: str) -> None:
    """Training loss on the left, test accuracy on the right."""
    left, right = row
    for curve in curves:
        style: Any = {"color": curve.color, "linestyle": curve.linestyle}
        values = (curve.history.training_loss, curve.history.test_accuracy)
        for axes, value in zip((left, right), values, strict=True):
            count = np.arange(len(value))
            axes.fill_between(
                count,
                value.min(axis=1),
                value.max(axis=1),
                color=curve.color,
                alpha=0.13,
                linewidth=0,
            )
            axes.plot(count, value.mean(axis=1), label=curve.label, **style)
    epochs = len(curves[0].history.training_loss) - 1
    left.set(xlim=(0, epochs))
    left.set(yscale="log", xlabel="epoch", ylabel="training loss", title=title)
    right.set(xlim=left.get_xlim(), ylim=(0.9, 1), xlabel="epoch", ylabel="test accuracy")
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.legend(loc="lower right")


def numbers(found: Sequence[Tuned], schedules: Sequence[Tuned], budget: Budget) -> str:
    """What came out, and where INNA is not the best; INNA is the first of `found`."""
    losses = {_label(one): one.history.final_loss for one in found}
    errors = {_label(one): 1 - one.history.final_accuracy for one in found}
    order = sorted(losses, key=lambda name: losses[name].mean())
    ends = [_label(one) for one in found if one.at_end]
    rates = listed(f"{_label(one)} {one.hyper.rate:g}" for one in found)
    accuracy = listed(
        f"{name} {100 - 100 * error.mean():.1f}% ({100 - 100 * error.max():.1f} to "
        f"{100 - 100 * error.min():.1f})"
        for name, error in errors.items()
    )
    return (
        f"training loss after {budget.epochs} epochs, mean over {budget.seeds} seeds with "
        f"least and largest: {listed(f'{name} {_range(losses[name])}' for name in order)}. "
        f"{standing('INNA', losses, 'training loss')} Test accuracy: {accuracy}. "
        f"{standing('INNA', errors, 'test error')} Tuned $\\gamma_0$: {rates}; "
        f"{listed(ends) + ' at an end' if ends else 'none at an end'} of the candidates, "
        f"which go from {budget.rates[0]:g} to {budget.rates[-1]:g}. {_powers(schedules)}"
    )


def standing(name: str, values: dict[str, np.ndarray], what: str) -> str:
    """Where one is among all by its mean, and by whose seeds that is not settled.

    Args:
        name: Whose place is told.
        values: One entry a seed for each, less is better.
        what: What the values are.
    """
    mine = values[name]
    order = sorted(values, key=lambda one: values[one].mean())
    place = RANKS[-1] if order[-1] == name else RANKS[order.index(name)]
    lower = order[: order.index(name)]
    apart = lambda other: other.max() < mine.min() or mine.max() < other.min()
    mixed = [one for one in order if one != name and not apart(values[one])]
    beaten = f"; lower: {listed(lower)}" if lower else ""
    unsure = (
        f"; its seeds overlap with those of {listed(mixed)}" if mixed else "; no overlap"
    )
    return f"By the mean {what} {name} is {place} of {len(values)}{beaten}{unsure}."


def _powers(schedules: Sequence[Tuned]) -> str:
    """The training loss of INNA for each exponent."""
    each = listed(
        f"{_range(one.history.final_loss)} for $q = 1/{1 / one.hyper.decay_power:g}$ "
        f"($\\gamma_0 = {one.hyper.rate:g}${', an end' if one.at_end else ''})"
        for one in schedules
    )
    return f"INNA ends at {each}."


def _range(values: np.ndarray) -> str:
    """Mean, least and largest."""
    if not np.isfinite(values).all():
        return f"diverged for {np.sum(~np.isfinite(values))} seeds"
    mean, low, high = (power(float(one)) for one in _three(values))
    return f"${mean}$ (${low}$ to ${high}$)"


def _three(values: np.ndarray) -> tuple[float, float, float]:
    return values.mean(), values.min(), values.max()


def _label(one: Tuned) -> str:
    return OPTIMISERS[one.optimiser].label


if __name__ == "__main__":
    run(training=main)

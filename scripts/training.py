r"""INNA and four other optimisers that train a network, each with a step size tuned alike.

A network with two hidden layers of 64 units and ReLU learns the digits of scikit-learn in
mini-batches of 32. Above, training loss and test error along the epochs for INNA with two
pairs of dampings, SGD, SGD with momentum, Adam and Adagrad, all with step sizes
$\gamma_0 (k + 1)^{-1/4}$. Below, INNA with $\gamma_0 (k + 1)^{-q}$ for the exponents of the
paper. The $\gamma_0$ of each curve is the candidate with the smallest mean training loss at
the end over two seeds: the same candidates, epochs and seeds for all. Lines are means over
ten other seeds; bands, for some curves only, go from the least to the largest of them.

The dampings $\alpha = 0.5$, $\beta = 0.1$ are a pair of the authors' poster. The second
pair was chosen after the map of `scripts/sensitivity.py`, on the same network and data but
other seeds: the one with the smallest loss for its middle step size, 0.1, rounded. So more
was spent on that pair than on the other curves. The other numbers are not tuned: momentum
is 0.9, and the rest is as in optax.

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
from matplotlib.ticker import NullFormatter

import dynsys as ds
from scripts.command_line import run
from scripts.learning.datasets import load
from scripts.learning.history import History
from scripts.learning.images import Dataset
from scripts.learning.loop import Recipe
from scripts.learning.models import MODELS
from scripts.learning.optimisers import OPTIMISERS, Hyperparameters
from scripts.learning.runs import Keeping
from scripts.learning.standings import label_of, numbers
from scripts.learning.tuning import Budget, Tuned, compare, rates_between, tune
from scripts.measured import write_measured

NAME = "training"
POWERS = (1 / 2, 1 / 4, 1 / 8, 1 / 16)
SHARED = 1
"""Which of the exponents all optimisers have."""
MAPPED = (0.1, 2.0)
"""The dampings that the map shows as the best for its three step sizes, rounded."""
RATES = rates_between(1e-4, 10.0, 16)
# Seeds 3 to 12 are reported: the map has 0 to 2, tuning 1 and 2.
BUDGET = Budget(RATES, tuning_seeds=2, seeds=10, epochs=30, first_seed=1)
QUICK = Budget(RATES[9:12], tuning_seeds=1, seeds=2, epochs=2)
PERCENTS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Look(NamedTuple):
    """How the runs of one optimiser are drawn."""

    color: str
    linestyle: Any
    has_band: bool = False


LOOKS = {
    "INNA (0.5, 0.1)": Look("#8C00FC", "-", True),
    "INNA (0.1, 2)": Look("#D55E00", "-", True),
    "SGD": Look("#009E73", (0, (6, 1.5, 1, 1.5))),
    "SGD with momentum": Look("#E69F00", (0, (5, 2))),
    "Adam": Look("#0072B2", (0, (3, 1.2)), True),
    "Adagrad": Look("#000000", (0, (1, 1.5))),
}
"""Those of the upper row, by their labels."""
SCHEDULES = (
    Look("#000000", (0, (1, 1.5))),
    Look("#8C00FC", "-", True),
    Look("#CC79A7", (0, (5, 2))),
    Look("#56B4E9", (0, (6, 1.5, 1, 1.5))),
)
"""Those of the lower row, by exponent."""


class Curve(NamedTuple):
    """A line with its band."""

    label: str
    look: Look
    history: History


def measure(
    dataset: Dataset, budget: Budget, others: Sequence[str]
) -> tuple[list[Tuned], list[Tuned]]:
    """INNA and others with one schedule, and INNA with all schedules."""
    recipe = Recipe("mlp", MODELS["mlp"].width or 0, "inna", 32)
    choices = [Hyperparameters(0.0, decay_power) for decay_power in POWERS]
    alpha, beta = MAPPED
    mapped = choices[SHARED]._replace(alpha=alpha, beta=beta)
    names = [*(f"-{decay_power:g}" for decay_power in POWERS), "-mapped"]
    tuned = tune(recipe, dataset, [*choices, mapped], budget, Keeping(), names)
    *schedules, second = tuned
    found = compare(recipe, dataset, others, choices[SHARED], budget, Keeping())
    return [schedules[SHARED], second, *found], schedules


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `training.pdf` and `.png` into the folder `output`."""
    dataset = load("digits", output)
    budget = QUICK if quick else BUDGET
    others = [name for name in OPTIMISERS if name != "inna"]
    found, schedules = measure(dataset, budget, others[:1] if quick else others)
    optimisers = [Curve(shown(one), LOOKS[label_of(one)], one.history) for one in found]
    powers = [
        Curve(f"$q = 1/{1 / one.hyper.decay_power:g}$", look, one.history)
        for one, look in zip(schedules, SCHEDULES, strict=True)
    ]
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 5.2), layout="constrained")
        above, below = figure.subplots(2, 2)
        draw(above, optimisers, r"Tuned $\gamma_0$, step sizes $\gamma_0(k+1)^{-1/4}$")
        draw(below, powers, rf"{shown(found[0])}, $\gamma_0(k+1)^{{-q}}$")
    ds.plots.save(figure, output / NAME)
    images = len(dataset.test.labels)
    write_measured(output, NAME, numbers(found, schedules, budget, images))


def shown(one: Tuned) -> str:
    """Its label in the legend."""
    if one.optimiser != "inna":
        return label_of(one)
    return rf"INNA, $\alpha = {one.hyper.alpha:g}$, $\beta = {one.hyper.beta:g}$"


def draw(row: Sequence[Axes], curves: Sequence[Curve], title: str) -> None:
    """Training loss on the left, test error on the right."""
    left, right = row
    for curve in curves:
        values = (curve.history.training_loss, 1 - curve.history.test_accuracy)
        for axes, value in zip((left, right), values, strict=True):
            _line(axes, curve, value)
    epochs = len(curves[0].history.training_loss) - 1
    left.set(xlim=(0, epochs), yscale="log", xlabel="epoch", ylabel="training loss")
    left.set_title(title)
    right.set(xlim=(0, epochs), yscale="log", xlabel="epoch", ylabel="test error")
    right.set_ylim(0.004, 1)
    right.set_yticks(PERCENTS, [f"{100 * one:g}%" for one in PERCENTS])
    right.yaxis.set_minor_formatter(NullFormatter())
    right.legend(loc="upper right")


def _line(axes: Axes, curve: Curve, value: np.ndarray) -> None:
    """The mean over the seeds and, for some, the least and the largest."""
    count, look = np.arange(len(value)), curve.look
    if look.has_band:
        ends = (value.min(axis=1), value.max(axis=1))
        axes.fill_between(count, *ends, color=look.color, alpha=0.16, linewidth=0)
    style: Any = {"color": look.color, "linestyle": look.linestyle}
    axes.plot(count, value.mean(axis=1), label=curve.label, **style)


if __name__ == "__main__":
    run(training=main)

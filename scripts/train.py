r"""Train a network for image classification, or compare optimisers: `-m scripts.train`.

Without `--compare`, one optimiser trains one network. With it, the step size of each
optimiser is tuned with the same budget: the same candidates, epochs and seeds, and the
smallest mean training loss at the end wins, a run that diverged being the worst. Then each
trains again from fresh seeds.

Recorded are the training loss, which is the mean cross-entropy of all training images at
the end of each epoch, and the test accuracy. All step sizes are
$\gamma_0 (k + 1)^{-q}$ in step k. The mini-batches of an epoch are those of a random order
of the images; what does not fill the last one is left out of that epoch.

A run that was stopped, even by a kill, goes on from its last checkpoint when the same
command is given again, with the same bits as if it had never stopped; what is finished is
not done again. A single run also goes on if more epochs are asked for. Histories are JSON
files in the folder of `--output`, and the weights of a single run are its last checkpoint
there.

Source: the setting is that of C. Castera, J. Bolte, C. Fevotte, E. Pauwels, JMLR 22(134),
2021: mini-batches of 32, LeNet and Network-in-Network, the exponents 1/2, 1/4, 1/8, 1/16.
The default, a small network on the digits of scikit-learn, is chosen here.
"""

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scripts.learning.datasets import load
from scripts.learning.images import Dataset
from scripts.learning.loop import Recipe, compile_program
from scripts.learning.models import width_of
from scripts.learning.optimisers import OPTIMISERS, Hyperparameters
from scripts.learning.options import parser
from scripts.learning.runs import Keeping, train
from scripts.learning.tuning import Budget, Tuned, compare, rates_between


class Plan(NamedTuple):
    """What the command line asks for."""

    dataset: Dataset
    recipe: Recipe
    hyper: Hyperparameters
    budget: Budget
    keeping: Keeping


def plan(options: argparse.Namespace) -> Plan:
    """What the options ask for, checked, with the data set loaded."""
    dataset = load(options.dataset, options.data)
    width = width_of(options.model, options.width)
    recipe = Recipe(options.model, width, options.optimiser, options.batch_size)
    rate = options.learning_rate or OPTIMISERS[options.optimiser].usual_rate
    hyper = Hyperparameters(
        rate, options.decay_power, options.alpha, options.beta, options.momentum
    )
    low, high, count = options.rates
    budget = Budget(
        rates_between(low, high, count),
        options.tuning_seeds,
        options.seeds,
        options.epochs,
        options.seed,
    )
    single = options.compare is None
    keeping = Keeping(
        options.output, options.checkpoint_every, not options.no_progress, single
    )
    return Plan(dataset, recipe, hyper, budget, keeping)


def train_one(plan: Plan) -> str:
    """Train one network, and say how well.

    Raises:
        FloatingPointError: The training loss at the end is not a number.
    """
    dataset, recipe, hyper, budget, keeping = plan
    program = compile_program(recipe, dataset)
    seeds = np.array([budget.first_seed])
    history = train(program, recipe.optimiser, hyper, seeds, budget.epochs, keeping)
    label = OPTIMISERS[recipe.optimiser].label
    if not np.isfinite(history.final_loss[0]):
        raise FloatingPointError(
            f"{label} diverged: take a smaller --learning-rate than {hyper.rate:g}, and "
            f"another folder with --output"
        )
    return (
        f"{label}: training loss {history.training_loss[-1, 0]:.4g}, test accuracy "
        f"{100 * history.final_accuracy[0]:.2f}% after {budget.epochs} epochs"
    )


def compare_all(plan: Plan, names: Sequence[str]) -> str:
    """Tune and train several optimisers, and say how well each does."""
    dataset, recipe, hyper, budget, keeping = plan
    return table(compare(recipe, dataset, names, hyper, budget, keeping))


def table(found: Sequence[Tuned]) -> str:
    """A comparison in Markdown: means and standard deviations over the seeds."""
    lines = [
        "| optimiser | step size | final training loss | test accuracy in percent |",
        "|---|---|---|---|",
    ]
    for one in sorted(found, key=lambda one: one.history.final_loss.mean()):
        loss, right = one.history.final_loss, 100 * one.history.final_accuracy
        lines.append(
            f"| {OPTIMISERS[one.optimiser].label} | {one.hyper.rate:g}"
            f"{' (end of the grid)' if one.at_end else ''} | {loss.mean():.2e} ± "
            f"{_deviation(loss):.1e} | {right.mean():.2f} ± {_deviation(right):.2f} |"
        )
    if any(one.at_end for one in found):
        lines.append("\nA best step size is at the end of the grid: widen `--rates`.")
    return "\n".join(lines)


def _deviation(values: np.ndarray) -> float:
    """Standard deviation of a sample; 0 for one value, not a number if a run diverged."""
    if not np.isfinite(values).all():
        return float("nan")
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Train or compare, as the command line asks.

    The exit code is 2 for what is refused, 1 for a run that diverged and 130 for an
    interruption, as shells have it.
    """
    command = parser()
    options = command.parse_args(arguments)
    try:
        asked = plan(options)
        if options.compare is None:
            print(train_one(asked))
        else:
            print(compare_all(asked, options.compare or list(OPTIMISERS)))
    except (FileNotFoundError, ModuleNotFoundError, ValueError) as error:
        command.exit(2, f"{command.prog}: {error}\n")
    except FloatingPointError as error:
        command.exit(1, f"{command.prog}: {error}\n")
    except KeyboardInterrupt as error:
        told = str(error) or "stopped before the first step; the same command goes on"
        command.exit(130, f"{command.prog}: {told}\n")


if __name__ == "__main__":
    main()

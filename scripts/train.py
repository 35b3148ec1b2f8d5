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
not done again. Histories are JSON files in the folder of `--output`, and the weights of a
single run are its last checkpoint there.

Source: the setting is that of C. Castera, J. Bolte, C. Fevotte, E. Pauwels, JMLR 22(134),
2021: mini-batches of 32, LeNet and Network-in-Network, the exponents 1/2, 1/4, 1/8, 1/16.
The default, a small network on the digits of scikit-learn, is chosen here.
"""

import argparse
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from scripts.learning.datasets import DATASETS, load
from scripts.learning.images import Dataset
from scripts.learning.loop import Recipe, compile_program
from scripts.learning.models import MODELS, width_of
from scripts.learning.optimisers import OPTIMISERS, Hyperparameters
from scripts.learning.runs import Keeping, train
from scripts.learning.tuning import Budget, Tuned, compare, rates_between

RATES = (1e-4, 10.0, 16)
"""Three candidates a factor of ten: the default of `--rates`."""


class Plan(NamedTuple):
    """What the command line asks for."""

    dataset: Dataset
    recipe: Recipe
    hyper: Hyperparameters
    budget: Budget
    keeping: Keeping


def number(kind: type, low: float, strict: bool = False) -> Callable[[str], Any]:
    """A number of at least `low`, or above it, for argparse."""

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not (low < value if strict else low <= value) or value == float("inf"):
            what = "a whole number" if kind is int else "a number"
            bound = "above" if strict else "of at least"
            message = f"must be {what} {bound} {low}, but is {text!r}"
            raise argparse.ArgumentTypeError(message)
        return value

    return convert


def parser() -> argparse.ArgumentParser:
    """The options, each with its default in the help."""
    found = argparse.ArgumentParser(
        prog="python -m scripts.train",
        description="Train a network, or compare optimisers with --compare.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_problem(found)
    _add_optimiser(found)
    _add_comparison(found)
    _add_files(found)
    return found


def _add_problem(found: argparse.ArgumentParser) -> None:
    add = found.add_argument_group("data and network").add_argument
    add("--dataset", choices=DATASETS, default="digits", help="data set")
    add(
        "--data",
        type=pathlib.Path,
        default=pathlib.Path("data"),
        help="folder with the original files of MNIST or CIFAR; digits need none",
    )
    add("--model", choices=MODELS, default="mlp", help="network")
    usual = ", ".join(f"{name}: {one.width}" for name, one in MODELS.items() if one.width)
    add(
        "--width",
        type=number(int, 2),
        help=f"units of a hidden layer, or channels; None is that of the model ({usual})",
    )


def _add_optimiser(found: argparse.ArgumentParser) -> None:
    add = found.add_argument_group("training").add_argument
    at_least_0, positive = number(float, 0), number(float, 0, strict=True)
    add("--optimiser", choices=OPTIMISERS, default="inna", help="without --compare")
    usual = ", ".join(f"{name}: {one.usual_rate:g}" for name, one in OPTIMISERS.items())
    add(
        "--learning-rate",
        type=positive,
        help=f"step size gamma_0 without --compare; None is a usual one ({usual})",
    )
    add(
        "--decay-power",
        type=at_least_0,
        default=0.25,
        help="exponent q of the step size gamma_0 (k + 1)^-q; "
        "the paper has 1/2, 1/4, 1/8, 1/16 and 0",
    )
    add("--alpha", type=at_least_0, default=0.5, help="viscous damping of INNA")
    add("--beta", type=positive, default=0.1, help="geometric damping of INNA")
    add("--momentum", type=at_least_0, default=0.9, help="of SGD with momentum")
    add("--batch-size", type=number(int, 1), default=32, help="images in a mini-batch")
    add("--epochs", type=number(int, 1), default=30, help="epochs of each run")
    add("--seed", type=number(int, 0), default=0, help="seed, of the first run if several")


def _add_comparison(found: argparse.ArgumentParser) -> None:
    add = found.add_argument_group("comparison").add_argument
    add(
        "--compare",
        nargs="*",
        choices=OPTIMISERS,
        metavar="OPTIMISER",
        help=f"tune and compare these, or all if none is named: {', '.join(OPTIMISERS)}; "
        "None trains one network",
    )
    add(
        "--rates",
        nargs=3,
        type=number(float, 0, strict=True),
        default=RATES,
        metavar=("LOW", "HIGH", "COUNT"),
        help="candidates for the step size of every optimiser, at equal ratios",
    )
    add("--tuning-seeds", type=number(int, 1), default=2, help="runs of each candidate")
    add("--seeds", type=number(int, 1), default=10, help="fresh runs with the best one")


def _add_files(found: argparse.ArgumentParser) -> None:
    add = found.add_argument_group("files").add_argument
    add(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("runs"),
        help="folder for checkpoints and histories",
    )
    add(
        "--checkpoint-every",
        type=number(int, 0),
        default=1000,
        help="steps between checkpoints; 0 is at the end of each epoch only, where there "
        "is one in any case",
    )
    add(
        "--no-progress",
        action="store_true",
        help="no progress bar on the standard error",
    )


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
        rates_between(low, high, int(count)),
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
    """Train one network, and say how well."""
    dataset, recipe, hyper, budget, keeping = plan
    program = compile_program(recipe, dataset)
    seeds = np.array([budget.first_seed])
    history = train(program, recipe.optimiser, hyper, seeds, budget.epochs, keeping)
    label = OPTIMISERS[recipe.optimiser].label
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
    """Train or compare, as the command line asks."""
    command = parser()
    options = command.parse_args(arguments)
    try:
        asked = plan(options)
        if options.compare is None:
            print(train_one(asked))
        else:
            print(compare_all(asked, options.compare or list(OPTIMISERS)))
    except (FileNotFoundError, ValueError) as error:
        command.exit(2, f"{command.prog}: {error}\n")


if __name__ == "__main__":
    main()

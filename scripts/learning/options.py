"""The command line of `scripts.train`."""

import argparse
import pathlib
from collections.abc import Callable
from typing import Any

from scripts.learning.datasets import DATASETS
from scripts.learning.models import MODELS
from scripts.learning.optimisers import OPTIMISERS

RATES = (1e-4, 10.0, 16)
"""Three candidates a factor of ten: the default of `--rates`."""


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
    )
    _add_problem(found)
    _add_optimiser(found)
    _add_comparison(found)
    _add_files(found)
    return found


def _group(found: argparse.ArgumentParser, title: str) -> Callable[..., None]:
    """A function that adds options, whose help is what they are about and their default."""
    group = found.add_argument_group(title)

    def add(*names: str, about: str, usual: str = "%(default)s", **options: Any) -> None:
        group.add_argument(*names, help=f"{about} (default: {usual})", **options)

    return add


def _add_problem(found: argparse.ArgumentParser) -> None:
    add = _group(found, "data and network")
    add("--dataset", choices=DATASETS, default="digits", about="data set")
    add(
        "--data",
        type=pathlib.Path,
        default=pathlib.Path("data"),
        about="folder with the original files of MNIST or CIFAR; digits need none",
    )
    add("--model", choices=MODELS, default="mlp", about="network")
    widths = (f"{name} {one.width}" for name, one in MODELS.items() if one.width)
    add(
        "--width",
        type=number(int, 2),
        about="units of a hidden layer, or channels",
        usual=", ".join(widths),
    )


def _add_optimiser(found: argparse.ArgumentParser) -> None:
    add = _group(found, "training")
    at_least_0, positive = number(float, 0), number(float, 0, strict=True)
    names = ("--optimiser", "--optimizer")
    add(*names, choices=OPTIMISERS, default="inna", about="that of a run without --compare")
    rates = (f"{name} {one.usual_rate:g}" for name, one in OPTIMISERS.items())
    add(
        "--learning-rate",
        type=positive,
        about="step size gamma_0 without --compare",
        usual=", ".join(rates),
    )
    add(
        "--decay-power",
        type=at_least_0,
        default=0.25,
        about="exponent q of the step size gamma_0 (k + 1)^-q; "
        "the paper has 1/2, 1/4, 1/8, 1/16 and 0",
    )
    add("--alpha", type=at_least_0, default=0.5, about="viscous damping of INNA")
    add("--beta", type=positive, default=0.1, about="geometric damping of INNA")
    add("--momentum", type=at_least_0, default=0.9, about="of SGD with momentum")
    add("--batch-size", type=number(int, 1), default=32, about="images in a mini-batch")
    add(
        "--epochs",
        type=number(int, 1),
        default=30,
        about="epochs of each run; a finished run without --compare goes on from its end "
        "if there are more, a comparison does not",
    )
    add("--seed", type=number(int, 0), default=0, about="seed, of the first run if several")


def _add_comparison(found: argparse.ArgumentParser) -> None:
    add = _group(found, "comparison")
    add(
        "--compare",
        nargs="*",
        choices=OPTIMISERS,
        metavar="OPTIMISER",
        about=f"tune and compare these, or all if none is named: {', '.join(OPTIMISERS)}",
        usual="one network is trained",
    )
    add(
        "--rates",
        nargs=3,
        type=number(float, 0, strict=True),
        default=RATES,
        metavar=("LOW", "HIGH", "COUNT"),
        about="candidates for the step size of every optimiser, at equal ratios",
        usual=" ".join(f"{one:g}" for one in RATES),
    )
    add("--tuning-seeds", type=number(int, 1), default=2, about="runs of each candidate")
    add("--seeds", type=number(int, 1), default=10, about="fresh runs with the best one")


def _add_files(found: argparse.ArgumentParser) -> None:
    add = _group(found, "files")
    add(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("runs"),
        about="folder for checkpoints and histories",
    )
    add(
        "--checkpoint-every",
        type=number(int, 0),
        default=1000,
        about="steps between checkpoints; 0 is at the end of each epoch only, where there "
        "is one in any case",
    )
    add(
        "--no-progress",
        action="store_true",
        about="no progress bar on the standard error",
        usual="there is one",
    )

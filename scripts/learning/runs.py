"""Runs that survive a kill: side by side, with checkpoints, finished ones are kept."""

import contextlib
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from scripts.learning import checkpoints
from scripts.learning.checkpoints import Progress
from scripts.learning.extra import required
from scripts.learning.files import content_of
from scripts.learning.history import History, as_lists, from_lists, side_by_side
from scripts.learning.loop import Program
from scripts.learning.optimisers import Hyperparameters

UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What JSON that is damaged, or another, raises when it is read as a history."""


class Keeping(NamedTuple):
    """What is written, and shown, while runs go on.

    Args:
        folder: Where checkpoints and histories go; `None` for nowhere.
        every: Steps between checkpoints; 0 for the end of each epoch only.
        progress: Whether a progress bar is shown on the standard error.
        keep_weights: Whether the last checkpoint stays when the runs are finished.
    """

    folder: pathlib.Path | None = None
    every: int = 0
    progress: bool = False
    keep_weights: bool = False


class Stopped(KeyboardInterrupt):
    """A run that was interrupted; it says where it goes on."""


class Group(NamedTuple):
    """Runs that go side by side, and share files.

    Args:
        program: The compiled functions.
        name: Name of the files.
        hyper: Hyperparameters, one entry a run.
        seeds: Seed of each run.
        epochs: How often each image is seen.
        keeping: What is written and shown.
    """

    program: Program
    name: str
    hyper: Hyperparameters
    seeds: np.ndarray
    epochs: int
    keeping: Keeping

    def configuration(self) -> dict[str, Any]:
        """All that the bits of the result depend on, but for machine and software."""
        return {
            "dataset": self.program.dataset.name,
            "images": self.program.dataset.fingerprint(),
            **self.program.recipe._asdict(),
            "epochs": self.epochs,
            "seeds": self.seeds.tolist(),
            **{name: array.tolist() for name, array in self.hyper._asdict().items()},
        }


def train(
    program: Program,
    name: str,
    hyper: Hyperparameters,
    seeds: np.ndarray,
    epochs: int,
    keeping: Keeping,
    lanes: int | None = None,
) -> History:
    """Train one network for each seed, `lanes` of them at a time.

    Args:
        program: The compiled functions.
        name: Name of the files.
        hyper: Hyperparameters, numbers or arrays with one entry a run.
        seeds: Seed of each run.
        epochs: How often each image is seen.
        keeping: What is written and shown.
        lanes: How many runs go side by side; by default all. The last group is filled up
            with copies, so that the programs are compiled for one number of lanes only.

    Raises:
        Stopped: It was interrupted while it had a folder.
        ValueError: The folder has files of that name from another configuration.
    """
    lanes = lanes or len(seeds)
    hyper, seeds = hyper.broadcast(len(seeds)), seeds.astype(np.uint32)
    histories = []
    for number, first in enumerate(range(0, len(seeds), lanes)):
        rows = np.minimum(np.arange(first, first + lanes), len(seeds) - 1)
        part = Hyperparameters(*(one[rows] for one in hyper))
        label = name if lanes >= len(seeds) else f"{name}-{number}"
        history = _train_group(Group(program, label, part, seeds[rows], epochs, keeping))
        histories.append(history.first(min(lanes, len(seeds) - first)))
    return side_by_side(histories)


def _train_group(group: Group) -> History:
    """Train unless the history is there already."""
    folder, name = group.keeping.folder, group.name
    if folder is None:
        return _go_on(group, None)
    path, checkpoint = folder / f"{name}.json", folder / f"{name}.checkpoint"
    history = _finished(group, path, checkpoint) if path.exists() else None
    if history is not None:
        return history
    with _told(group, checkpoint):
        history = _go_on(group, checkpoint)
    content = {"configuration": group.configuration(), **as_lists(history)}
    content = {**content, "checksum": _checksum(content)}
    text = json.dumps(content, indent=1).encode() + b"\n"
    checkpoints.write_whole(path, lambda file: file.write(text))
    if not group.keeping.keep_weights:
        checkpoint.unlink(missing_ok=True)
    return history


def _finished(group: Group, path: pathlib.Path, checkpoint: pathlib.Path) -> History | None:
    """The history that is there, or none if its last checkpoint goes on to more epochs."""
    damaged = ValueError(
        f"{path} is not a history of this script, or is damaged. Delete it to train anew."
    )
    text = content_of(path)
    try:
        content = json.loads(text)
        intact = content.pop("checksum") == _checksum(content)
        history, saved = from_lists(content), content["configuration"]
        longer = checkpoints.lengthened(saved, group.epochs)
    except UNREADABLE as error:
        raise damaged from error
    if not intact:
        raise damaged
    goes_on = checkpoint.exists() and longer != saved
    checkpoints.refuse_other(path, longer if goes_on else saved, group.configuration())
    return None if goes_on else history


def _checksum(content: dict[str, Any]) -> str:
    """What changes with every number of a history, and not with spaces between them."""
    return checkpoints.checksum(json.dumps(content).encode())


def _go_on(group: Group, checkpoint: pathlib.Path | None) -> History:
    """Train from the checkpoint, or from the start, to the end."""
    program, configuration = group.program, group.configuration()
    state = _begin(group)
    if checkpoint is not None and checkpoint.exists():
        state = checkpoints.restore(checkpoint, configuration, state)
    with _bar(group, state.epoch * program.steps + state.step) as count:
        while state.epoch < group.epochs:
            before = state.step
            state = _advance(group, state)
            if checkpoint is not None:
                checkpoints.save(checkpoint, configuration, state)
            count((state.step or program.steps) - before)
    return state.history


@contextlib.contextmanager
def _told(group: Group, checkpoint: pathlib.Path) -> Iterator[None]:
    """Make an interruption say what is kept, which is what the checkpoint has."""
    try:
        yield
    except KeyboardInterrupt as error:
        epoch, step = checkpoints.position(checkpoint)
        steps = group.program.steps
        raise Stopped(
            f"{group.name} stopped at step {epoch * steps + step} of "
            f"{group.epochs * steps}; the same command goes on"
        ) from error


def _begin(group: Group) -> Progress:
    weights = group.program.start(group.hyper, group.seeds)
    first = map(np.asarray, group.program.evaluate(weights))
    history = History.empty(group.epochs, len(group.seeds)).written(0, *first)
    return Progress(0, 0, weights, history)


def _advance(group: Group, state: Progress) -> Progress:
    """Steps up to the next checkpoint, which is at the end of the epoch at the latest."""
    program, every = group.program, group.keeping.every
    end = min(state.step + every, program.steps) if every else program.steps
    when = (state.epoch, state.step, end)
    weights = program.advance(state.weights, group.hyper, group.seeds, *when)
    if end < program.steps:
        jax.block_until_ready(weights)
        return state._replace(step=end, weights=weights)
    found = map(np.asarray, program.evaluate(weights))
    history = state.history.written(state.epoch + 1, *found)
    return Progress(state.epoch + 1, 0, weights, history)


@contextlib.contextmanager
def _bar(group: Group, done: int) -> Iterator[Callable[[int], Any]]:
    """A function that is told of steps; it shows them if it should."""
    if not group.keeping.progress:
        yield lambda _: None
        return
    total = group.epochs * group.program.steps
    tqdm = required("tqdm", "tqdm").tqdm
    with tqdm(desc=group.name, initial=done, total=total, unit="step") as bar:
        yield bar.update

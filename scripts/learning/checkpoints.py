"""Checkpoints: a line of JSON, then the arrays; written whole or not at all."""

import json
import os
import pathlib
from typing import Any, NamedTuple

import equinox as eqx

from scripts.learning.history import History
from scripts.learning.loop import Weights

VERSION = 1


class Progress(NamedTuple):
    """Where runs side by side have got.

    Args:
        epoch: Number of epochs that are finished.
        step: Number of steps that are done of the next one.
        weights: The networks and the states of the optimisers.
        history: What was recorded, of full length; rows to come are not numbers.
    """

    epoch: int
    step: int
    weights: Weights
    history: History


def write_whole(path: pathlib.Path, content: Any) -> None:
    """Write a file such that a kill leaves the old one or the new one.

    Args:
        path: The file. Missing folders are made.
        content: A function that writes to an open binary file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.part")
    with temporary.open("wb") as file:
        content(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def save(path: pathlib.Path, configuration: dict[str, Any], progress: Progress) -> None:
    """Write a checkpoint in place of the last one."""
    header = {
        "version": VERSION,
        "configuration": configuration,
        "epoch": progress.epoch,
        "step": progress.step,
    }

    def content(file: Any) -> None:
        file.write(json.dumps(header).encode() + b"\n")
        eqx.tree_serialise_leaves(file, (progress.weights, progress.history))

    write_whole(path, content)


def restore(path: pathlib.Path, configuration: dict[str, Any], like: Progress) -> Progress:
    """Read a checkpoint.

    One of fewer epochs goes on to more: nothing in a run depends on how many there will be.

    Args:
        path: The file.
        configuration: That of the run which goes on.
        like: A progress whose arrays have the right shapes and types; only the number of
            epochs in its history may be another.

    Raises:
        ValueError: The checkpoint is damaged, or of another configuration.
    """
    epochs = configuration["epochs"]
    with path.open("rb") as file:
        header = _header(file.readline(), path)
        saved = header["configuration"]
        refuse_other(path, lengthened(saved, epochs), configuration)
        blank = History.empty(saved["epochs"], like.history.training_loss.shape[1])
        try:
            arrays = eqx.tree_deserialise_leaves(file, (like.weights, blank))
        except (RuntimeError, ValueError, EOFError, OSError) as error:
            raise _damaged(path) from error
    weights, history = arrays
    return Progress(header["epoch"], header["step"], weights, history.lengthened(epochs))


def position(path: pathlib.Path) -> tuple[int, int]:
    """The epoch and the step of a checkpoint, or the start where there is none."""
    if not path.is_file():
        return 0, 0
    with path.open("rb") as file:
        header = _header(file.readline(), path)
    return header["epoch"], header["step"]


def configuration_of(path: pathlib.Path) -> dict[str, Any]:
    """The configuration of the run that a checkpoint is of.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The checkpoint is damaged.
    """
    with path.open("rb") as file:
        return _header(file.readline(), path)["configuration"]


def lengthened(saved: dict[str, Any], epochs: int) -> dict[str, Any]:
    """The configuration of a run that goes on to so many epochs, if it has fewer."""
    return {**saved, "epochs": max(saved["epochs"], epochs)}


def refuse_other(path: pathlib.Path, saved: Any, wanted: dict[str, Any]) -> None:
    """Say in what a file differs from what is asked for.

    Raises:
        ValueError: The configurations differ.
    """
    # Through JSON, as the saved one went: tuples become lists.
    wanted = json.loads(json.dumps(wanted))
    names = sorted({*saved, *wanted})
    other = [name for name in names if saved.get(name) != wanted.get(name)]
    if other:
        what = "; ".join(
            f"{name} is {_shown(saved, name)} there and {_shown(wanted, name)} here"
            for name in other
        )
        raise ValueError(
            f"{path} is of another configuration: {what}. Ask for the same, take another "
            f"folder with `--output`, or delete the file."
        )


def _shown(configuration: dict[str, Any], name: str) -> str:
    """An entry, without the digits that single precision adds."""
    if name not in configuration:
        return "missing"
    value = configuration[name]
    if isinstance(value, list):
        return f"[{', '.join(map(_number, value))}]"
    return _number(value)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _header(line: bytes, path: pathlib.Path) -> dict[str, Any]:
    try:
        header = json.loads(line)
        known = header["version"] == VERSION and "epochs" in header["configuration"]
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path) from error
    if not known:
        raise _damaged(path)
    return header


def _damaged(path: pathlib.Path) -> ValueError:
    return ValueError(
        f"{path} is not a checkpoint of this script, or is damaged. Delete it to start "
        f"anew."
    )

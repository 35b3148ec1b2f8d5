"""Checkpoints: a line of JSON, then the arrays; written whole or not at all.

The line begins with the checksum of its JSON, and that has the checksum of the arrays. What
follows are their bytes, one after the other: shapes and types are those of the network.
"""

import hashlib
import json
import math
import os
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from scripts.learning.files import size_of
from scripts.learning.history import History
from scripts.learning.loop import Weights

VERSION = 2
LONGEST_HEADER = 2**24
"""Bytes of the first line at most, which has a few numbers for each run."""


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
    leaves = jax.tree.leaves((progress.weights, progress.history))
    digest = hashlib.sha256()
    for leaf in leaves:
        digest.update(np.asarray(leaf).tobytes())
    header = {
        "version": VERSION,
        "configuration": configuration,
        "epoch": progress.epoch,
        "step": progress.step,
        "arrays": digest.hexdigest(),
    }
    line = json.dumps(header)

    def content(file: Any) -> None:
        file.write(f"{checksum(line.encode())} {line}\n".encode())
        for leaf in leaves:
            file.write(np.asarray(leaf).tobytes())

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
    header, begin = _header(path)
    saved = header["configuration"]
    refuse_other(path, lengthened(saved, epochs), configuration)
    blank = History.empty(saved["epochs"], like.history.training_loss.shape[1])
    arrays = _arrays(path, begin, (like.weights, blank), header["arrays"])
    weights, history = arrays
    return Progress(header["epoch"], header["step"], weights, history.lengthened(epochs))


def _arrays(path: pathlib.Path, begin: int, like: Any, digest: str) -> Any:
    """The arrays that follow the header, as many bytes as those that they are like."""
    leaves, structure = jax.tree.flatten(like)
    sizes = [math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves]
    if size_of(path) != begin + sum(sizes):
        raise _damaged(path)
    with path.open("rb") as file:
        file.seek(begin)
        contents = [file.read(size) for size in sizes]
    found = hashlib.sha256()
    for content in contents:
        found.update(content)
    if found.hexdigest() != digest:
        raise _damaged(path)

    def array(content: bytes, leaf: Any) -> Any:
        whole = np.frombuffer(content, leaf.dtype).reshape(leaf.shape)
        return whole.copy() if isinstance(leaf, np.ndarray) else jnp.asarray(whole)

    return jax.tree.unflatten(structure, map(array, contents, leaves))


def position(path: pathlib.Path) -> tuple[int, int]:
    """The epoch and the step of a checkpoint, or the start where there is none."""
    if not path.exists():
        return 0, 0
    header, _ = _header(path)
    return header["epoch"], header["step"]


def configuration_of(path: pathlib.Path) -> dict[str, Any]:
    """The configuration of the run that a checkpoint is of.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The checkpoint is damaged.
    """
    header, _ = _header(path)
    return header["configuration"]


def checksum(content: bytes) -> str:
    """What changes with every bit of a content."""
    return hashlib.sha256(content).hexdigest()


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


def _header(path: pathlib.Path) -> tuple[dict[str, Any], int]:
    """The header of a checkpoint, and where the arrays begin."""
    size = size_of(path)
    with path.open("rb") as file:
        line = file.readline(LONGEST_HEADER)
    digest, _, text = line.removesuffix(b"\n").partition(b" ")
    if digest != checksum(text).encode():
        raise _damaged(path)
    try:
        header = json.loads(text)
        epochs = header["configuration"]["epochs"]
        whole = [epochs, header["epoch"], header["step"]]
        known = header["version"] == VERSION and isinstance(header["arrays"], str)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(path) from error
    # A history has at least a number for each epoch.
    numbers = all(type(one) is int and one >= 0 for one in whole) and epochs < size
    if not (known and numbers):
        raise _damaged(path)
    return header, len(line)


def _damaged(path: pathlib.Path) -> ValueError:
    return ValueError(
        f"{path} is not a checkpoint of this script, or is damaged. Delete it to start "
        f"anew."
    )

"""The pickled batches of CIFAR-10 and CIFAR-100, read without running what they ask for."""

import io
import pathlib
import pickle
import tarfile
import zlib
from typing import Any

import numpy as np

PIXELS = 3 * 32 * 32
# How NumPy itself builds an array that was pickled; its module has moved since 2009.
RECONSTRUCT: Any = np.zeros(0).__reduce__()[0]
ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): RECONSTRUCT,
}
"""All that a batch may call: what an array of NumPy is made of."""
DAMAGED = (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError)


class _Arrays(pickle.Unpickler):
    """A pickle can run any function, so only those of arrays are let in."""

    def find_class(self, module: str, name: str) -> Any:
        """The function of that name, if it is one that arrays need."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(
                f"it asks for `{module}.{name}`, which no batch of CIFAR needs"
            )
        return ALLOWED[module, name]


def find(folder: pathlib.Path, archive: str, names: list[str]) -> dict[str, bytes]:
    """The content of those files that are in the folder, or in the archive in it.

    Args:
        folder: Where the files are.
        archive: Name of the original archive.
        names: Paths of the files in the folder, which are those in the archive.

    Raises:
        ValueError: The archive is damaged.
    """
    found = {
        name: (folder / name).read_bytes() for name in names if (folder / name).is_file()
    }
    if len(found) < len(names) and (folder / archive).is_file():
        return _unpacked(folder / archive, names)
    return found


def _unpacked(path: pathlib.Path, names: list[str]) -> dict[str, bytes]:
    found = {}
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name in names else None
                if file is not None:
                    found[member.name] = file.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} cannot be unpacked: {error}. It is damaged: get it again."
        ) from error
    return found


def read(content: bytes, labels: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one batch, a dictionary that Python 2 pickled.

    Args:
        content: The bytes of the file.
        labels: Key of the labels: `labels`, `fine_labels` or `coarse_labels`.
        where: The file, for messages.

    Returns:
        Bytes of shape `(images, 3, 32, 32)`, and the labels.

    Raises:
        ValueError: The file is damaged, has no such entries, or asks for anything else
            than arrays.

    Source:
        A. Krizhevsky, Learning multiple layers of features from tiny images (2009): the
        layout of the "python version".
    """
    try:
        batch = _Arrays(io.BytesIO(content), encoding="bytes").load()
        data, numbers = batch[b"data"], np.asarray(batch[labels.encode()])
    except DAMAGED as error:
        raise ValueError(
            f"{where} is not a batch of CIFAR in its python version: {error}. It is "
            f"another file, or damaged: get it again."
        ) from error
    _check(data, numbers, labels, where)
    return data.reshape(-1, 3, 32, 32), numbers


def _check(data: Any, numbers: np.ndarray, labels: str, where: str) -> None:
    is_bytes = isinstance(data, np.ndarray) and data.dtype == np.uint8
    if not is_bytes or data.ndim != 2 or data.shape[1] != PIXELS:
        what = f"{data.dtype} of shape {data.shape}" if hasattr(data, "dtype") else "none"
        raise ValueError(
            f"`data` in {where} must be bytes with {PIXELS} columns, but is {what}. The "
            f"file is damaged: get it again."
        )
    if numbers.ndim != 1 or not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(
            f"`{labels}` in {where} must be a list of whole numbers, but is not. The file "
            f"is damaged: get it again."
        )

"""The batches of CIFAR-10 and CIFAR-100, in the folder or in their archive."""

import gzip
import io
import pathlib
import tarfile
import zlib
from typing import Any, NamedTuple

import numpy as np

from scripts.learning import pickled_arrays
from scripts.learning.files import LARGEST, content_of, size_of
from scripts.learning.pickled_arrays import PickledArray

PIXELS = 3 * 32 * 32
GZIP = b"\x1f\x8b"
"""How a compressed file begins."""
LARGEST_BATCH = 2**28
"""Bytes of one batch at most; the largest, that of CIFAR-100, has 155 million."""


class Batch(NamedTuple):
    """The bytes of a batch, and where they were found, for messages."""

    content: bytes
    where: str


def find(folder: pathlib.Path, archive: str, names: list[str]) -> dict[str, Batch]:
    """Those batches that are in the folder, or in the archive in it.

    Args:
        folder: Where the files are.
        archive: Name of the original archive.
        names: Paths of the files in the folder, which are those in the archive.

    Raises:
        ValueError: A file is none or too large, or the archive is damaged.
    """
    found = {
        name: Batch(content_of(folder / name, LARGEST_BATCH), str(folder / name))
        for name in names
        if (folder / name).exists()
    }
    if len(found) < len(names) and (folder / archive).exists():
        return _unpacked(folder / archive, names)
    return found


class _Limited(io.RawIOBase):
    """A file of which no more is read than is sane, whatever it decompresses to."""

    def __init__(self, file: io.BufferedIOBase):
        self.file, self.left = file, LARGEST

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        content = self.file.read(min(size, self.left + 1) if size >= 0 else self.left + 1)
        self.left -= len(content)
        if self.left < 0:
            raise ValueError(f"it has more than {LARGEST} bytes when it is decompressed")
        return content


def _unpacked(path: pathlib.Path, names: list[str]) -> dict[str, Batch]:
    size_of(path)
    found = {}
    try:
        with path.open("rb") as raw:
            is_compressed = raw.read(2) == GZIP
            raw.seek(0)
            whole = _Limited(gzip.GzipFile(fileobj=raw) if is_compressed else raw)
            with tarfile.open(fileobj=whole, mode="r|") as archive:
                for member in archive:
                    if member.name in names and member.isreg():
                        found[member.name] = Batch(
                            _member(archive, member), f"{member.name} in {path}"
                        )
            # The checksum is at the end.
            while whole.read(2**20):
                pass
    except (
        tarfile.TarError,
        OSError,
        EOFError,
        zlib.error,
        ValueError,
        OverflowError,
    ) as error:
        raise ValueError(
            f"{path} cannot be unpacked: {error}. It is damaged: get it again."
        ) from error
    return found


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """The content of a file in an archive."""
    if member.size > LARGEST_BATCH or member.issparse():
        raise ValueError(f"{member.name} must have at most {LARGEST_BATCH} bytes")
    file: Any = archive.extractfile(member)
    return file.read()


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
    batch = pickled_arrays.load(content, where)
    keys = (b"data", labels.encode())
    missing = [key for key in keys if not isinstance(batch, dict) or key not in batch]
    if missing:
        raise ValueError(
            f"{where} is not a batch of CIFAR in its python version: it lacks "
            f"{', '.join(f'`{key.decode()}`' for key in missing)}. It is another file, or "
            f"damaged: get it again."
        )
    data, numbers = (batch[key] for key in keys)
    pixels = _pixels(data, where)
    is_list = isinstance(numbers, list) and all(type(one) is int for one in numbers)
    array = np.asarray(numbers if is_list else [0.5])
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"`{labels}` in {where} must be a list of whole numbers, but is not. The "
            f"file is damaged: get it again."
        )
    return pixels, array


def _pixels(data: Any, where: str) -> np.ndarray:
    """Images, from an array of bytes with a row for each."""
    known = data if isinstance(data, PickledArray) else PickledArray()
    if known.kind != "uint8" or len(known.shape) != 2 or known.shape[1] != PIXELS:
        what = f"{known.kind} of shape {known.shape}" if known.kind else "none"
        raise ValueError(
            f"`data` in {where} must be bytes with {PIXELS} columns, but is {what}. The "
            f"file is damaged: get it again."
        )
    if len(known.content) != known.shape[0] * PIXELS:
        raise ValueError(
            f"`data` in {where} must have {known.shape[0]} rows, but has "
            f"{len(known.content)} bytes. The file is damaged: get it again."
        )
    order = "F" if known.is_fortran else "C"
    rows = np.frombuffer(known.content, np.uint8).reshape(known.shape, order=order)
    return np.ascontiguousarray(rows).reshape(-1, 3, 32, 32)

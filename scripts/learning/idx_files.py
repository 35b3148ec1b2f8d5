"""Files in the IDX format of MNIST."""

import contextlib
import gzip
import io
import math
import pathlib
import zlib
from collections.abc import Iterator

import numpy as np

from scripts.learning.files import refuse_larger, size_of

BYTES = 8
"""The code of unsigned bytes, the only type that MNIST has."""
DENSEST = 1032
"""Bytes that one byte of a `.gz` can stand for: 258 by two bits."""


def find(folder: pathlib.Path, name: str) -> pathlib.Path | None:
    """The file of that name, or its compressed form with `.gz`, if there is one."""
    found = [folder / end for end in (name, f"{name}.gz") if (folder / end).exists()]
    return found[0] if found else None


def read(path: pathlib.Path, dimensions: int) -> np.ndarray:
    """The array in an IDX file of unsigned bytes.

    The file has two zero bytes, the code of the type, the number of axes, the length of
    each axis as a big-endian number of four bytes, and the entries.

    Args:
        path: The file; with the suffix `.gz` it is decompressed.
        dimensions: How many axes the array must have.

    Returns:
        The array, in `uint8`.

    Raises:
        FileNotFoundError: There is nothing of that name.
        ValueError: It is no file, is damaged, has another type or number of axes, or would
            take more than a gibibyte.

    Source:
        Y. LeCun, C. Cortes, C. Burges, The MNIST database, "File formats".
    """
    room = size_of(path)
    if path.suffix == ".gz":
        room *= DENSEST
    with _opened(path) as file:
        shape = _shape(path, file.read(4 + 4 * dimensions), dimensions)
        number = math.prod(shape)
        # What the header asks for is compared with the file before memory is taken for it.
        refuse_larger(path, number)
        entries = file.read(number) if number <= room else b""
        more = len(entries) == number and file.read(1)
    if len(entries) != number or more:
        found = "more" if more else "fewer"
        raise ValueError(
            f"{path} must have {number} entries, by its header of shape {shape}, but has "
            f"{found}. It is damaged: get it again."
        )
    return np.frombuffer(entries, np.uint8).reshape(shape)


def _shape(path: pathlib.Path, header: bytes, dimensions: int) -> tuple[int, ...]:
    """The lengths of the axes."""
    expected = bytes([0, 0, BYTES, dimensions])
    if header[:4] != expected:
        raise ValueError(
            f"{path} must be an IDX file of bytes with {dimensions} axes, which begins "
            f"with {expected.hex()}, but begins with {header[:4].hex() or 'nothing'}. It "
            f"is another file, or damaged: get it again."
        )
    if len(header) < 4 + 4 * dimensions:
        raise ValueError(f"{path} ends within its header. It is damaged: get it again.")
    shape = tuple(int(one) for one in np.frombuffer(header, ">u4", offset=4))
    if 0 in shape:
        raise ValueError(
            f"{path} must have entries, but has none by its header of shape {shape}. It is "
            f"damaged: get it again."
        )
    return shape


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[io.BufferedIOBase]:
    """The file, decompressed while it is read; the checksum at its end is looked at."""
    if path.suffix != ".gz":
        with path.open("rb") as file:
            yield file
        return
    try:
        with gzip.open(path) as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} cannot be decompressed: {error}. It is damaged: get it again."
        ) from error

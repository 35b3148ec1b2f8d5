"""Files in the IDX format of MNIST."""

import gzip
import math
import pathlib
import zlib

import numpy as np

BYTES = 8
"""The code of unsigned bytes, the only type that MNIST has."""


def find(folder: pathlib.Path, name: str) -> pathlib.Path | None:
    """The file of that name, or its compressed form with `.gz`, if there is one."""
    found = [folder / end for end in (name, f"{name}.gz") if (folder / end).is_file()]
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
        ValueError: The file is damaged, or has another type or number of axes.

    Source:
        Y. LeCun, C. Cortes, C. Burges, The MNIST database, "File formats".
    """
    content = _content(path)
    expected = bytes([0, 0, BYTES, dimensions])
    if content[:4] != expected:
        raise ValueError(
            f"{path} must be an IDX file of bytes with {dimensions} axes, which begins "
            f"with {expected.hex()}, but begins with {content[:4].hex() or 'nothing'}. It "
            f"is another file, or damaged: get it again."
        )
    begin = 4 + 4 * dimensions
    if len(content) < begin:
        raise ValueError(f"{path} ends within its header. It is damaged: get it again.")
    shape = [int(one) for one in np.frombuffer(content, ">u4", dimensions, 4)]
    if len(content) - begin != math.prod(shape):
        raise ValueError(
            f"{path} must have {math.prod(shape)} entries, by its header of shape "
            f"{tuple(shape)}, but has {len(content) - begin}. It is damaged: get it again."
        )
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)


def _content(path: pathlib.Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} cannot be decompressed: {error}. It is damaged: get it again."
        ) from error

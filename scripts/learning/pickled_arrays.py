"""Pickles of numbers, bytes and arrays, read without running what they ask for."""

import io
import pickle
import pickletools
import re
from typing import Any

import numpy as np

MOST = 2**22
"""Instructions that a pickle may have: each can make an object. A batch of CIFAR-100 has
a tenth."""


class PickledArray:
    """An array in a pickle: what is written of it, and no more.

    Attributes:
        kind: Its type, as NumPy names it; empty where nothing is known.
        shape: Its shape.
        is_fortran: Whether columns are contiguous, in place of rows.
        content: Its bytes.
    """

    def __init__(self):
        self.kind, self.shape, self.is_fortran, self.content = "", (), False, b""

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, is_fortran, content = state
        sizes = all(type(one) is int and one >= 0 for one in shape)
        if not (sizes and type(kind) is _Type and type(content) is bytes):
            raise ValueError("an array in it is not whole")
        self.kind, self.shape, self.is_fortran = kind.name, tuple(shape), bool(is_fortran)
        self.content = content


class _Type:
    """The type of an array in a pickle."""

    def __init__(self, code: bytes, *_: Any):
        text = code.decode("ascii")
        known = re.fullmatch(r"[biuf][1248]|f16", text)
        self.name = np.dtype(text).name if known else text

    def __setstate__(self, state: Any) -> None:
        del state


def _reconstruct(*_: Any) -> PickledArray:
    """An array, whose content comes later."""
    return PickledArray()


ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
}
"""All that a pickle may call: what an array is made of. None of it takes memory."""


class _Arrays(pickle.Unpickler):
    """A pickle can run any function, so only those of arrays are let in."""

    def find_class(self, module: str, name: str) -> Any:
        """The function of that name, if it is one that arrays need."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(
                f"it asks for `{module}.{name}`, which no batch of CIFAR needs"
            )
        return ALLOWED[module, name]


def load(content: bytes, where: str) -> Any:
    """What was pickled, in bytes for strings; arrays are a `PickledArray` each.

    Args:
        content: The pickle.
        where: The file, for messages.

    Raises:
        ValueError: It is damaged, or asks for anything else than arrays.
    """
    try:
        _check(content)
        return _Arrays(io.BytesIO(content), encoding="bytes").load()
    # What a damaged pickle raises depends on where the damage is.
    except Exception as error:
        raise ValueError(
            f"{where} is not a batch of CIFAR in its python version: {error}. It is "
            f"another file, or damaged: get it again."
        ) from error


def _check(content: bytes) -> None:
    """Refuse what takes more memory than it has bytes.

    Raises:
        ValueError: A length is beyond the end, or a number in the memo beyond all so far.
    """
    for count, instruction in enumerate(pickletools.genops(io.BytesIO(content))):
        name, argument = instruction[0].name, instruction[1] or 0
        if count > MOST:
            raise ValueError(f"it has more than {MOST} instructions")
        if name in ("PUT", "BINPUT", "LONG_BINPUT") and argument > count:
            raise ValueError(f"it numbers an object with {argument} that is no later one")

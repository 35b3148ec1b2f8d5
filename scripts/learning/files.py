"""Files that may be anything: nothing is read before its size is known to be sane."""

import pathlib

LARGEST = 2**30
"""Bytes that are taken from one file, compressed or not, at most: five times what the
largest of the data sets has."""


def size_of(path: pathlib.Path) -> int:
    """The number of bytes of a file.

    Raises:
        FileNotFoundError: There is nothing of that name.
        ValueError: It is no file, but a folder or a device.
    """
    if path.exists() and not path.is_file():
        raise ValueError(
            f"{path} must be a file, but is none. Move what is there away, or name "
            f"another folder."
        )
    return path.stat().st_size


def content_of(path: pathlib.Path, most: int = LARGEST) -> bytes:
    """All bytes of a file.

    Args:
        path: The file.
        most: How many it may have.

    Raises:
        FileNotFoundError: There is nothing of that name.
        ValueError: It is no file, or larger than that.
    """
    refuse_larger(path, size_of(path), most)
    return path.read_bytes()


def refuse_larger(path: pathlib.Path, size: int, most: int = LARGEST) -> None:
    """Refuse what would take too much memory.

    Raises:
        ValueError: It would.
    """
    if size > most:
        raise ValueError(
            f"{path} must have at most {most} bytes, but has {size}. It is another file, "
            f"or damaged: get it again."
        )

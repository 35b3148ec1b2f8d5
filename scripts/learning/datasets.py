"""Data sets by name: one that scikit-learn has, and three from files of the user."""

import pathlib
from collections.abc import Callable

import numpy as np

from scripts.learning import cifar_files, idx_files
from scripts.learning.extra import required
from scripts.learning.images import Dataset, Images, checked

MNIST = {
    part: (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte")
    for part in ("train", "t10k")
}
"""The two files of each part of MNIST."""
CIFAR_HOME = "python version (A. Krizhevsky; www.cs.toronto.edu/~kriz/cifar.html)"
HOMES = {
    "mnist": "MNIST (Y. LeCun, C. Cortes, C. Burges; yann.lecun.com/exdb/mnist)",
    "cifar10": f"CIFAR-10, {CIFAR_HOME}",
    "cifar100": f"CIFAR-100, {CIFAR_HOME}",
}
"""Where the original files are published."""


def load(name: str, folder: pathlib.Path) -> Dataset:
    """A data set.

    Args:
        name: One of `DATASETS`.
        folder: Where the files of MNIST and CIFAR are.

    Raises:
        FileNotFoundError: A file is missing.
        ModuleNotFoundError: scikit-learn, which has the digits, is missing.
        ValueError: There is no data set of that name, or a file is damaged.
    """
    if name not in DATASETS:
        raise ValueError(
            f"The data set must be one of {', '.join(DATASETS)}, but is {name}."
        )
    return DATASETS[name](folder)


def digits(folder: pathlib.Path) -> Dataset:
    """The 1797 digits of 8 by 8 pixels of scikit-learn, a fifth of them for the test.

    Source:
        E. Alpaydin, C. Kaynak, Optical recognition of handwritten digits, UCI (1998). The
        split is drawn here, always the same.
    """
    del folder
    load_digits = required("sklearn.datasets", "scikit-learn").load_digits
    inputs, labels = (np.asarray(one) for one in load_digits(return_X_y=True))
    order = np.random.default_rng(0).permutation(len(labels))
    inputs = inputs[order].astype(np.uint8).reshape(-1, 1, 8, 8)
    both = checked(inputs, labels[order], 10, "the digits of scikit-learn")
    size = 4 * len(labels) // 5
    train, test = (
        Images(*(one[:size] for one in both)),
        Images(*(one[size:] for one in both)),
    )
    return Dataset("digits", train, test, 10, 16)


def mnist(folder: pathlib.Path) -> Dataset:
    """MNIST, from its four IDX files, compressed or not."""
    names = [name for pair in MNIST.values() for name in pair]
    paths = {name: idx_files.find(folder, name) for name in names}
    _refuse_missing("mnist", folder, [name for name in names if paths[name] is None])
    parts = []
    for images, labels in MNIST.values():
        pixels = idx_files.read(paths[images], 3)  # pyright: ignore[reportArgumentType]
        numbers = idx_files.read(paths[labels], 1)  # pyright: ignore[reportArgumentType]
        parts.append(checked(pixels[:, None], numbers, 10, str(paths[labels])))
    train, test = parts
    _refuse_two_sizes(train, test)
    return Dataset("mnist", train, test, 10, 255)


def cifar10(folder: pathlib.Path) -> Dataset:
    """CIFAR-10, from the batches of its python version or their archive."""
    batches = [f"cifar-10-batches-py/data_batch_{number}" for number in range(1, 6)]
    last = ["cifar-10-batches-py/test_batch"]
    train, test = _cifar(
        "cifar10", folder, "cifar-10-python.tar.gz", (batches, last), "labels"
    )
    return Dataset("cifar10", train, test, 10, 255)


def cifar100(folder: pathlib.Path) -> Dataset:
    """CIFAR-100 with its 100 fine classes, from its python version or the archive."""
    files = (["cifar-100-python/train"], ["cifar-100-python/test"])
    train, test = _cifar(
        "cifar100", folder, "cifar-100-python.tar.gz", files, "fine_labels"
    )
    return Dataset("cifar100", train, test, 100, 255)


DATASETS: dict[str, Callable[[pathlib.Path], Dataset]] = {
    "digits": digits,
    "mnist": mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
}
"""One line a data set."""


def _cifar(
    name: str,
    folder: pathlib.Path,
    archive: str,
    files: tuple[list[str], list[str]],
    labels: str,
) -> list[Images]:
    """The training and the test images in those files."""
    names = [file for part in files for file in part]
    found = cifar_files.find(folder, archive, names)
    _refuse_missing(name, folder, [file for file in names if file not in found], archive)
    classes = 100 if name == "cifar100" else 10
    parts = []
    for part in files:
        read = []
        for content, where in (found[file] for file in part):
            read.append(checked(*cifar_files.read(content, labels, where), classes, where))
        parts.append(Images(*(np.concatenate(one) for one in zip(*read, strict=True))))
    return parts


def _refuse_missing(
    name: str, folder: pathlib.Path, missing: list[str], archive: str = ""
) -> None:
    if not missing:
        return
    other = f"the archive {archive}" if archive else "the same names with .gz"
    raise FileNotFoundError(
        f"The folder {folder} must have the files of {name}, but lacks "
        f"{', '.join(missing)} ({other} will do, too). The original set is {HOMES[name]}. "
        f"Put its files there, or name their folder with `--data`."
    )


def _refuse_two_sizes(train: Images, test: Images) -> None:
    shapes = [part.inputs.shape[1:] for part in (train, test)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"Images for training and test must have one size, but have {shapes[0]} and "
            f"{shapes[1]}. The files do not belong together: get them again."
        )

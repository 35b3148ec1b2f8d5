"""Labelled images, and what a data set is."""

import hashlib
from typing import NamedTuple

import jax
import numpy as np

Array = np.ndarray | jax.Array


class Images(NamedTuple):
    """Images and what they show.

    Args:
        inputs: Bytes, of shape `(images, channels, height, width)`.
        labels: Number of the class of each image, in `int32`.
    """

    inputs: Array
    labels: Array


class Dataset(NamedTuple):
    """A data set for image classification.

    Args:
        name: Its name on the command line.
        train: Images for training.
        test: Images for the test.
        classes: Number of classes.
        white: The largest value of a pixel. Networks see pixels divided by it.
    """

    name: str
    train: Images
    test: Images
    classes: int
    white: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train.inputs.shape[1:]
        return channels, height, width

    def fingerprint(self) -> str:
        """A number that another data set, or another split, does not have."""
        digest = hashlib.sha256()
        for array in (*self.train, *self.test):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


def checked(inputs: np.ndarray, labels: np.ndarray, classes: int, where: str) -> Images:
    """Images as training takes them.

    Args:
        inputs: Bytes, of shape `(images, channels, height, width)`.
        labels: Number of the class of each image.
        classes: Number of classes.
        where: The file of the labels, for messages.

    Raises:
        ValueError: There is no image, the numbers of images and labels differ, or a label
            is out of range.
    """
    if not len(labels):
        raise ValueError(f"{where} must have labels, but has none. Get it again.")
    if len(inputs) != len(labels):
        raise ValueError(
            f"Every image must have one label, but there are {len(inputs)} images and "
            f"{len(labels)} labels in {where}. The files do not belong together: get "
            f"them again."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"Labels must be from 0 to {classes - 1}, but in {where} they are from "
            f"{labels.min()} to {labels.max()}. The file is of another data set, or "
            f"damaged: get it again."
        )
    return Images(np.ascontiguousarray(inputs), labels.astype(np.int32))

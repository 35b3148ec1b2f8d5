import numpy as np
import pytest

from scripts.learning.images import Dataset, Images
from scripts.learning.loop import Recipe, compile_program

STEPS = 6


def images(count, seed):
    """Two by two pixels; the class is told by which of the first three is brightest."""
    inputs = np.random.default_rng(seed).integers(0, 256, (count, 1, 2, 2), np.uint8)
    labels = inputs.reshape(count, 4)[:, :3].argmax(axis=1)
    return Images(inputs, labels.astype(np.int32))


@pytest.fixture(scope="session")
def tiny():
    """A data set of 26 images: mini-batches of 4 leave two of them over."""
    return Dataset("tiny", images(26, 0), images(10, 1), 3, 255)


@pytest.fixture(scope="module")
def program(tiny):
    return compile_program(Recipe("mlp", 4, "inna", 4), tiny)

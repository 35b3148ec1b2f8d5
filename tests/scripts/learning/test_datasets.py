import struct

import numpy as np
import pytest

from scripts.learning import datasets
from scripts.learning.datasets import DATASETS, MNIST, load


def write_mnist(folder, images=(6, 4), labels=(6, 4), size=(28, 28), highest=9):
    """Small files in the format of MNIST, and what they hold."""
    generator, held = np.random.default_rng(0), []
    for part, (first, second) in enumerate(MNIST.values()):
        across = size[part]
        pixels = generator.integers(0, 256, (images[part], 28, across), np.uint8)
        numbers = generator.integers(0, 10, labels[part]).astype(np.uint8)
        numbers[-1] = highest
        header = struct.pack(">4B3I", 0, 0, 8, 3, images[part], 28, across)
        (folder / first).write_bytes(header + pixels.tobytes())
        header = struct.pack(">4BI", 0, 0, 8, 1, labels[part])
        (folder / second).write_bytes(header + numbers.tobytes())
        held += [pixels, numbers]
    return held


def test_mnist_is_read_from_its_four_files(tmp_path):
    held = write_mnist(tmp_path)
    dataset = load("mnist", tmp_path)
    assert dataset.shape == (1, 28, 28)
    for part, (pixels, numbers) in ((dataset.train, held[:2]), (dataset.test, held[2:])):
        np.testing.assert_array_equal(part.inputs[:, 0], pixels, strict=True)
        np.testing.assert_array_equal(part.labels, numbers)
        assert part.labels.dtype == np.int32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": (5, 4)}, "there are 6 images and 5 labels in .*train-labels"),
        ({"labels": (6, 3)}, "there are 4 images and 3 labels in .*t10k-labels"),
        ({"highest": 10}, "must be from 0 to 9, but in .* to 10"),
        ({"size": (28, 27)}, "must have one size"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(options, message, tmp_path):
    write_mnist(tmp_path, **options)
    with pytest.raises(ValueError, match=message):
        load("mnist", tmp_path)


def test_missing_files_are_named_with_the_folder_and_the_home(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError) as error:
        load("mnist", tmp_path)
    text = str(error.value)
    assert f"{tmp_path} must have the files of mnist, but lacks t10k-labels-idx1-ub" in text
    assert "train-images" not in text
    assert "LeCun" in text


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("cifar10", "cifar-10-batches-py/data_batch_1"),
        ("cifar100", "cifar-100-python/train"),
    ],
)
def test_missing_batches_are_named_with_the_archive_and_the_home(name, first, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"lacks {first}.*{first[:7]}.*Krizhevsky"):
        load(name, tmp_path)


def batches(folder, files, monkeypatch):
    """Files whose content is a number of images, which the reader then makes."""
    for number, name in enumerate(files):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes([number]))

    def read(content, labels, where):
        seen.append((where, labels))
        count = 2 + content[0]
        return np.full((count, 3, 32, 32), content[0], np.uint8), np.full(count, content[0])

    seen = []
    monkeypatch.setattr(datasets.cifar_files, "read", read)
    return seen


def test_cifar10_is_its_five_batches_in_order_and_the_test_batch(tmp_path, monkeypatch):
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    files = [f"cifar-10-batches-py/{name}" for name in names]
    seen = batches(tmp_path, files, monkeypatch)
    dataset = load("cifar10", tmp_path)
    assert seen == [(str(tmp_path / name), "labels") for name in files]
    assert dataset.train.labels.tolist() == np.repeat(range(5), range(2, 7)).tolist()
    assert dataset.train.inputs[:, 0, 0, 0].tolist() == dataset.train.labels.tolist()
    assert dataset.test.labels.tolist() == [5] * 7
    assert (dataset.classes, dataset.white) == (10, 255)


def test_cifar100_has_its_fine_classes(tmp_path, monkeypatch):
    files = ["cifar-100-python/train", "cifar-100-python/test"]
    seen = batches(tmp_path, files, monkeypatch)
    dataset = load("cifar100", tmp_path)
    assert seen == [(str(tmp_path / name), "fine_labels") for name in files]
    assert dataset.classes == 100


def test_digits_are_split_without_an_image_in_both_parts(tmp_path):
    dataset = load("digits", tmp_path)
    train, test = dataset.train.inputs, dataset.test.inputs
    assert (len(train), len(test), dataset.shape) == (1437, 360, (1, 8, 8))
    assert not {one.tobytes() for one in train} & {one.tobytes() for one in test}
    assert train.max() == dataset.white == 16


def test_digits_keep_their_labels(tmp_path):
    from sklearn.datasets import load_digits

    inputs, labels = load_digits(return_X_y=True)
    known = {one.tobytes(): label for one, label in zip(inputs, labels, strict=True)}
    dataset = load("digits", tmp_path)
    for part in (dataset.train, dataset.test):
        rows = part.inputs.reshape(-1, 64).astype(float)
        assert [known[row.tobytes()] for row in rows] == part.labels.tolist()


def test_the_fingerprint_tells_apart_data_sets_that_differ_in_one_label(tiny):
    labels = tiny.test.labels.copy()
    labels[3] += 1
    other = tiny._replace(test=tiny.test._replace(labels=labels))
    assert other.fingerprint() != tiny.fingerprint()
    assert tiny.fingerprint() == tiny._replace(name="other").fingerprint()


def test_an_unknown_data_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match=f"one of {', '.join(DATASETS)}, but is svhn"):
        load("svhn", tmp_path)

"""What is damaged is refused with its path, before it takes memory, or is still right."""

import contextlib
import gzip
import json
import pickle
import re
import struct
import tracemalloc

import jax
import numpy as np
import pytest

from scripts.learning import cifar_files, datasets, idx_files
from scripts.learning.checkpoints import Progress, checksum, restore, save
from scripts.learning.history import History
from scripts.learning.optimisers import Hyperparameters
from scripts.learning.runs import Keeping, train
from tests.scripts.learning.test_cifar_files import archived, batch

PIXELS = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
IDX = struct.pack(">HBB3I", 0, 8, 3, 2, 3, 4) + PIXELS.tobytes()
EPOCHS = 2


def damages(content, number, seed=0):
    """Contents with a bit that was flipped, cut off, longer, or with a part overwritten."""
    random = np.random.default_rng(seed)
    for _ in range(number):
        at = int(random.integers(len(content)))
        flipped = bytes([content[at] ^ (1 << int(random.integers(8)))])
        yield from (
            content[:at] + flipped + content[at + 1 :],
            content[:at],
            content[:at] + random.bytes(4) + content[at:],
            content[:at] + b"\xff" * 4 + content[at + 4 :],
        )


def refuses_or_knows(path, read, is_right, number=40):
    """Read damaged contents of a file; no other error may come out, nor another content."""
    content, messages = path.read_bytes(), []
    is_right(read())
    for damaged in damages(content, number):
        path.write_bytes(damaged)
        try:
            found = read()
        except ValueError as error:
            messages.append(str(error))
        else:
            is_right(found)
    assert len(messages) > number
    assert all(str(path) in message for message in messages)


def same(found):
    np.testing.assert_array_equal(found, PIXELS, strict=True)


@pytest.mark.parametrize("name", ["one", "one.gz"])
def test_a_damaged_idx_file_is_refused_or_has_its_shape(name, tmp_path):
    path, packed = tmp_path / name, name.endswith(".gz")
    path.write_bytes(gzip.compress(IDX) if packed else IDX)

    def is_right(found):
        # Nothing but a checksum tells that an entry is another.
        assert found.shape == PIXELS.shape
        if packed:
            same(found)

    refuses_or_knows(path, lambda: idx_files.read(path, 3), is_right)


def test_a_damaged_batch_is_refused_or_has_its_shape(tmp_path):
    path = tmp_path / "one"
    path.write_bytes(batch(3)[0])

    def read():
        (found,) = cifar_files.find(tmp_path, "none", ["one"]).values()
        return cifar_files.read(found.content, "labels", found.where)

    def is_right(found):
        images, labels = found
        assert images.shape == (3, 3, 32, 32)
        assert images.dtype == np.uint8
        assert labels.ndim == 1

    refuses_or_knows(path, read, is_right)


def test_a_damaged_instruction_of_a_batch_raises_nothing_else():
    """The pixels are most of a batch; here the rest of it is hit."""
    whole = batch(1)[0]
    start = whole.index(b"_reconstruct") - 40
    for damaged in damages(whole[:start], 100):
        with contextlib.suppress(ValueError):
            images, _ = cifar_files.read(damaged + whole[start:], "labels", "one")
            assert images.shape == (1, 3, 32, 32)


def test_a_damaged_archive_is_refused_or_right(tmp_path):
    path = tmp_path / "all.tar.gz"
    held = np.random.default_rng(1).bytes(3000)
    archived(path, {"a/one": held})
    read = lambda: cifar_files.find(tmp_path, path.name, ["a/one"])

    def is_right(found):
        assert [one.content for one in found.values()] == [held]

    refuses_or_knows(path, read, is_right)


def test_a_damaged_checkpoint_is_refused(tiny, program, tmp_path):
    hyper, seeds = Hyperparameters(0.1).broadcast(2), np.arange(2, dtype=np.uint32)
    history = History.empty(EPOCHS, 2).written(0, [1, 2], [0.5, 1])
    state = Progress(0, 3, program.start(hyper, seeds), history)
    path, configuration = tmp_path / "one.checkpoint", {"epochs": EPOCHS}
    save(path, configuration, state)
    bits = lambda tree: [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]

    def is_right(found):
        assert bits(found) == bits(state)

    refuses_or_knows(path, lambda: restore(path, configuration, state), is_right)


def test_a_damaged_history_is_refused_or_right(program, tmp_path):
    path = tmp_path / "one.json"
    run = lambda: train(
        program, "one", Hyperparameters(0.1), np.arange(2), EPOCHS, Keeping(tmp_path)
    )
    history = run()

    def is_right(found):
        for one, other in zip(found, history, strict=True):
            np.testing.assert_array_equal(one, other)

    refuses_or_knows(path, run, is_right)


def peak(call, path):
    """Bytes that a call took at most before it was refused."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"{path}.*(damaged|another)"):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def huge_header(path):
    path.write_bytes(struct.pack(">HBB3I", 0, 8, 3, 2**8, 2**10, 2**11))
    return lambda: idx_files.read(path, 3)


def gigabytes(path):
    path.write_bytes(struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**32 - 1, 1))
    return lambda: idx_files.read(path, 3)


def bomb(path):
    path = path.with_suffix(".gz")
    path.write_bytes(gzip.compress(IDX + bytes(2**25)))
    return lambda: idx_files.read(path, 3)


def memo(path):
    path.write_bytes(b"\x80\x02]r" + struct.pack("<I", 2**28) + b".")
    return lambda: cifar_files.read(path.read_bytes(), "labels", str(path))


def large_array(path):
    head = batch(1)[0]
    path.write_bytes(head.replace(b"J" + struct.pack("<i", 3072), b"J\xff\xff\xff\x7f", 1))
    return lambda: cifar_files.read(path.read_bytes(), "labels", str(path))


def many_epochs(path):
    line = json.dumps(
        {
            "version": 2,
            "configuration": {"epochs": 10**12},
            "epoch": 0,
            "step": 0,
            "arrays": "",
        }
    )
    path.write_text(f"{checksum(line.encode())} {line}\n")
    like = Progress(0, 0, (), History.empty(1, 1))
    return lambda: restore(path, {"epochs": 10**12}, like)


@pytest.mark.parametrize(
    "made", [huge_header, gigabytes, bomb, memo, large_array, many_epochs]
)
def test_what_asks_for_memory_is_refused_before_it_gets_any(made, tmp_path):
    path = tmp_path / "one"
    assert peak(made(path), path) < 2**20


@pytest.mark.parametrize(
    "value", [[0] * 10, {b"data": b"1", b"labels": 1}, {b"labels": [10**100]}]
)
def test_a_pickle_of_something_else_is_refused(value):
    with pytest.raises(ValueError, match="one"):
        cifar_files.read(pickle.dumps(value, protocol=2), "labels", "one")


def test_a_folder_in_place_of_a_file_is_refused(program, tmp_path):
    name = datasets.MNIST["train"][0]
    for one in (name, "cifar-10-python.tar.gz", "one.json", "two.checkpoint"):
        (tmp_path / one).mkdir()
    refused = lambda one: pytest.raises(
        ValueError, match=rf"{re.escape(str(tmp_path / one))} must be a file, but is none"
    )
    keeping = Keeping(tmp_path)
    with refused(name):
        idx_files.read(idx_files.find(tmp_path, name), 3)
    with refused("cifar-10-python.tar.gz"):
        datasets.load("cifar10", tmp_path)
    for one in ("one.json", "two.checkpoint"):
        with refused(one):
            train(program, one[:3], Hyperparameters(0.1), np.arange(2), 1, keeping)

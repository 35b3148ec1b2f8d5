import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

from scripts.learning import cifar_files


def by_python_2(value):
    """The opcodes of a pickle of protocol 2 as Python 2 and the NumPy of 2009 wrote it."""
    if isinstance(value, bytes):
        return b"T" + struct.pack("<i", len(value)) + value
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(by_python_2, value)) + b"e"
    if isinstance(value, dict):
        pairs = [by_python_2(one) for pair in value.items() for one in pair]
        return b"}(" + b"".join(pairs) + b"u"
    kind, order = value.dtype.str[1:].encode(), value.dtype.str[:1].encode()
    dtype = (
        b"cnumpy\ndtype\n(" + by_python_2(kind) + b"K\x00K\x01tR"
        b"(K\x03" + by_python_2(order) + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    shape = b"(" + b"".join(by_python_2(one) for one in value.shape) + b"t"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
        b"(K\x01" + shape + dtype + b"\x89" + by_python_2(value.tobytes()) + b"tb"
    )


def batch(count, labels="labels", seed=0):
    """The bytes of a batch, and what it holds."""
    generator = np.random.default_rng(seed)
    data = generator.integers(0, 256, (count, 3072), np.uint8)
    numbers = generator.integers(0, 10, count).tolist()
    content = {b"batch_label": b"one", labels.encode(): numbers, b"data": data}
    return b"\x80\x02" + by_python_2(content) + b".", data, numbers


def pickled(value):
    return pickle.dumps(value, protocol=2)


def test_a_batch_of_python_2_is_read_back():
    content, data, numbers = batch(5)
    images, labels = cifar_files.read(content, "labels", "one")
    assert labels.tolist() == numbers
    assert images.dtype == np.uint8
    # Red, then green, then blue, each row by row.
    np.testing.assert_array_equal(images[3, 1, 2], data[3, 1024 + 64 : 1024 + 96])


def test_other_labels_are_taken_by_their_key():
    content, _, numbers = batch(4, "fine_labels")
    assert cifar_files.read(content, "fine_labels", "one")[1].tolist() == numbers
    with pytest.raises(ValueError, match="one is not a batch of CIFAR"):
        cifar_files.read(content, "labels", "one")


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_that_asks_for_another_function_is_refused_and_not_run(tmp_path):
    content = pickled(Attack(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"it asks for `\w+\.open`, which no batch"):
        cifar_files.read(content, "labels", "one")
    assert not list(tmp_path.iterdir())
    pickle.loads(content).close()  # What it would have done.
    assert (tmp_path / "file").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"text", batch(2)[0][:-5000], pickled([1, 2]), pickled({}), pickled(None)],
)
def test_what_is_no_batch_is_refused(content):
    with pytest.raises(ValueError, match="one is not a batch of CIFAR in its python"):
        cifar_files.read(content, "labels", "one")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((2, 3071), np.uint8), r"3072 columns, but is uint8 of shape \(2, 3071\)"),
        (np.zeros((2, 3072)), "is float64"),
        (np.zeros(3072, np.uint8), r"shape \(3072,\)"),
        ([1], "but is none"),
    ],
)
def test_images_of_another_kind_are_refused(data, message):
    content = {b"data": data, b"labels": [0, 1]}
    whole = b"\x80\x02" + by_python_2(content) + b"."
    with pytest.raises(ValueError, match=message):
        cifar_files.read(whole, "labels", "one")


def test_labels_that_are_no_numbers_are_refused():
    content = {b"data": np.zeros((1, 3072), np.uint8), b"labels": [b"cat"]}
    whole = b"\x80\x02" + by_python_2(content) + b"."
    with pytest.raises(ValueError, match="must be a list of whole numbers"):
        cifar_files.read(whole, "labels", "one")


def archived(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_files_are_found_in_the_folder_or_else_in_the_archive(tmp_path):
    archived(tmp_path / "all.tar.gz", {"a/one": b"1", "a/two": b"2", "a/other": b"3"})
    names = ["a/one", "a/two"]
    found = cifar_files.find(tmp_path, "all.tar.gz", names)
    where = tmp_path / "all.tar.gz"
    assert found == {
        "a/one": (b"1", f"a/one in {where}"),
        "a/two": (b"2", f"a/two in {where}"),
    }
    (tmp_path / "a").mkdir()
    for name in names:
        (tmp_path / name).write_bytes(b"folder")
    found = cifar_files.find(tmp_path, "all.tar.gz", names)
    assert found == {name: (b"folder", str(tmp_path / name)) for name in names}


def test_what_is_nowhere_is_not_found(tmp_path):
    assert cifar_files.find(tmp_path, "all.tar.gz", ["a/one"]) == {}


@pytest.mark.parametrize("cut", [0, 40])
def test_a_damaged_archive_is_refused(cut, tmp_path):
    path = tmp_path / "all.tar.gz"
    archived(path, {"a/one": bytes(np.random.default_rng(0).bytes(3000))})
    path.write_bytes(path.read_bytes()[:-1000] if cut else b"text")
    with pytest.raises(ValueError, match=r"all\.tar\.gz cannot be unpacked"):
        cifar_files.find(tmp_path, "all.tar.gz", ["a/one"])

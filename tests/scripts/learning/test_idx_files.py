import gzip
import struct

import numpy as np
import pytest

from scripts.learning import idx_files

PIXELS = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
CONTENT = struct.pack(">HBB3I", 0, 8, 3, 2, 3, 4) + PIXELS.tobytes()


def written(folder, content, name="images"):
    path = folder / name
    path.write_bytes(content)
    return path


def test_an_array_is_read_back(tmp_path):
    found = idx_files.read(written(tmp_path, CONTENT), 3)
    np.testing.assert_array_equal(found, PIXELS, strict=True)


def test_a_compressed_array_is_read_back(tmp_path):
    path = written(tmp_path, gzip.compress(CONTENT), "images.gz")
    np.testing.assert_array_equal(idx_files.read(path, 3), PIXELS, strict=True)


def test_a_file_is_found_with_and_without_its_suffix(tmp_path):
    assert idx_files.find(tmp_path, "images") is None
    compressed = written(tmp_path, b"", "images.gz")
    assert idx_files.find(tmp_path, "images") == compressed
    assert idx_files.find(tmp_path, "images") != written(tmp_path, b"")
    assert idx_files.find(tmp_path, "images") == tmp_path / "images"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (CONTENT[1:], "begins with 00080300"),
        (b"\x00\x00\x0d" + CONTENT[3:], "begins with 00000d03"),
        (CONTENT[:9], "ends within its header"),
        (CONTENT[:4] + bytes(12), "must have entries, but has none"),
        (
            CONTENT[:-1],
            "must have 24 entries, by its header of shape .2, 3, 4., but has few",
        ),
        (CONTENT + b"\x00", "but has more"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_damaged_file_is_refused(content, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        idx_files.read(written(tmp_path, content), 3)


def test_labels_are_no_images(tmp_path):
    with pytest.raises(ValueError, match="with 1 axes, which begins with 00000801"):
        idx_files.read(written(tmp_path, CONTENT), 1)


@pytest.mark.parametrize(
    "content",
    [CONTENT, gzip.compress(CONTENT, mtime=0)[:-9]],
    ids=["no gzip", "cut off"],
)
def test_what_cannot_be_decompressed_is_refused(content, tmp_path):
    with pytest.raises(ValueError, match=r"images\.gz cannot be decompressed"):
        idx_files.read(written(tmp_path, content, "images.gz"), 3)

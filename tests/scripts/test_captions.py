"""The page of the figures includes the numbers that the scripts wrote."""

import pathlib
import re

from scripts.measured import listed, power, write_measured

ROOT = pathlib.Path(__file__).parent.parent.parent


def test_every_included_caption_was_written_by_a_script():
    page = (ROOT / "docs" / "figures.md").read_text("utf-8")
    included = re.findall(r'^--8<-- "(\w+)\.md"$', page, re.M)
    written = {path.stem for path in (ROOT / "figures").glob("*.md")}
    assert set(included) == written
    for name in included:
        text = (ROOT / "figures" / f"{name}.md").read_text("utf-8")
        assert text.startswith("Measured: ")
        assert "nan" not in text
        assert f'write_measured(output, "{name}"' in _source(name)


def _source(name):
    source = (ROOT / "scripts" / f"{name}.py").read_text("utf-8")
    return source.replace("write_measured(output, NAME", f'write_measured(output, "{name}"')


def test_numbers_are_written_as_in_a_text(tmp_path):
    assert power(2.5e-8) == r"2.5\cdot10^{-8}"
    assert power(1e-3, 1) == r"1\cdot10^{-3}"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    write_measured(tmp_path, "one", "so.")
    assert (tmp_path / "one.md").read_text() == "Measured: so.\n"

import math
import sys

import pytest

from scripts.learning.extra import required


def test_a_module_that_is_there_is_returned():
    assert required("math", "none") is math


def test_the_message_names_the_module_that_is_really_missing(monkeypatch):
    """`json.tool` is there, but what it imports is not."""
    monkeypatch.delitem(sys.modules, "json.tool", raising=False)
    monkeypatch.setitem(sys.modules, "argparse", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs one, .*argparse.*\.\[training\]"):
        required("json.tool", "one")

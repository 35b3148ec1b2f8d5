import pytest

from scripts.gradient_and_newton import main

pytestmark = pytest.mark.slow


def test_script_writes_its_figure(check_files, tmp_path):
    check_files(main, "gradient_and_newton", tmp_path)

import pathlib

import scripts
from scripts.__main__ import FIGURES


def test_every_script_with_a_main_is_in_the_list_of_figures():
    folder = pathlib.Path(scripts.__file__).parent
    found = {
        path.stem
        for path in folder.glob("[!_]*.py")
        if "\ndef main(output: pathlib.Path" in path.read_text()
    }
    assert set(FIGURES) == found

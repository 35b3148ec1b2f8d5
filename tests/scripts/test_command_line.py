"""The command line of the figures."""

import os

import pytest

from scripts.command_line import run


def draw(output, *, quick):
    """Stands for a figure: says which process made it, and how."""
    (output / str(os.getpid())).write_text(str(quick))


def fail(output, *, quick):
    raise ValueError(f"{output} {quick}")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["scripts", "--quick", "--output", str(tmp_path)])
    return tmp_path


def test_one_figure_is_made_here(folder, capsys):
    run(one=draw)
    assert (folder / str(os.getpid())).read_text() == "True"
    assert capsys.readouterr().out.startswith(f"{folder}/one.pdf, .png: ")


def test_several_figures_are_made_in_processes_of_their_own(folder, capsys):
    run(one=draw, other=draw)
    assert str(os.getpid()) not in os.listdir(folder)
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.partition(".pdf")[0] for line in lines) == [
        f"{folder}/one",
        f"{folder}/other",
    ]


def test_a_figure_that_fails_is_no_silence(folder):
    with pytest.raises(ValueError, match="True"):
        run(one=draw, other=fail)

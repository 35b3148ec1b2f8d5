import argparse
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from scripts.learning import checkpoints
from scripts.learning.history import History
from scripts.learning.optimisers import Hyperparameters
from scripts.learning.options import number, parser
from scripts.learning.tuning import Tuned
from scripts.train import main, plan, table

ROOT = pathlib.Path(__file__).parent.parent.parent
SMALL = ("--width", "8", "--epochs", "2", "--no-progress", "--checkpoint-every", "7")
STOPS = """
import sys, time
from scripts.learning import checkpoints
from scripts.train import main

save, written = checkpoints.save, []

def stop(*arguments):
    save(*arguments)
    written.append(arguments)
    if len(written) == 4:
        print("saved", flush=True)
        time.sleep(600)

checkpoints.save = stop
main(sys.argv[1:])
"""
"""The script, but it waits for its end after its fourth checkpoint."""


def run(folder, *options):
    main([*SMALL, "--output", str(folder), *options])


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def options_of(command):
    return [one for one in command._actions if one.dest != "help"]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Files of a run that never stopped."""
    folder = tmp_path_factory.mktemp("reference")
    run(folder)
    return folder


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_bits(reference, tmp_path):
    """By SIGKILL at step 28 of the 44 of the first epoch."""
    command = [sys.executable, "-c", STOPS, *SMALL, "--output", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=ROOT, env=environment
    ) as process:
        line = process.stdout.readline()
        process.kill()
    assert line == b"saved\n"
    assert process.returncode == -9
    (name,) = contents(tmp_path)
    assert b'"epoch": 0, "step": 28,' in contents(tmp_path)[name].splitlines()[0]
    run(tmp_path)
    assert contents(tmp_path) == contents(reference)


def test_two_runs_have_the_same_bits(reference, tmp_path):
    run(tmp_path)
    assert contents(tmp_path) == contents(reference)


def test_another_seed_has_other_bits(reference, tmp_path):
    run(tmp_path, "--seed", "1")
    assert contents(tmp_path)["inna.json"] != contents(reference)["inna.json"]


def test_a_run_says_how_well_it_ends(reference, capsys):
    run(reference)
    shown = capsys.readouterr().out
    assert shown.startswith("INNA: training loss ")
    assert shown.endswith("% after 2 epochs\n")


def test_another_configuration_in_the_same_folder_is_refused(reference, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(reference, "--beta", "0.2")
    shown = capsys.readouterr().err
    message = "inna.json is of another configuration: beta is [0.1] there and [0.2] here."
    assert message in shown


def test_a_finished_run_goes_on_to_more_epochs_with_the_same_bits(reference, tmp_path):
    run(tmp_path, "--epochs", "1")
    run(tmp_path)
    assert contents(tmp_path) == contents(reference)


def test_fewer_epochs_than_a_finished_run_has_are_refused(reference, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(reference, "--epochs", "1")
    assert "epochs is 2 there and 1 here" in capsys.readouterr().err


def test_a_run_that_diverges_says_so_and_fails(tmp_path, capsys):
    with pytest.raises(SystemExit, match="^1$"):
        run(tmp_path, "--learning-rate", "1e30")
    shown = capsys.readouterr()
    assert "INNA diverged: take a smaller --learning-rate than 1e+30" in shown.err
    assert shown.out == ""


def test_an_interruption_says_where_the_run_goes_on(tmp_path, capsys, monkeypatch):
    """Before the fifth checkpoint, so that the fourth one, of step 28, is the last."""
    written, save = [], checkpoints.save

    def interrupted(*arguments):
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append(save(*arguments))

    monkeypatch.setattr(checkpoints, "save", interrupted)
    with pytest.raises(SystemExit, match="^130$"):
        run(tmp_path)
    line = "inna stopped at step 28 of 88; the same command goes on\n"
    assert capsys.readouterr().err == f"python -m scripts.train: {line}"


def test_an_interruption_before_the_first_step_says_so(tmp_path, capsys, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("scripts.train.load", interrupted)
    with pytest.raises(SystemExit, match="^130$"):
        run(tmp_path)
    assert "stopped before the first step; the same" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "package", "options"),
    [("sklearn.datasets", "scikit-learn", ()), ("tqdm", "tqdm", ("--epochs", "1"))],
)
def test_a_missing_package_is_named_with_the_extra_that_has_it(
    module, package, options, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit, match="^2$"):
        main(["--width", "8", "--output", str(tmp_path), *options])
    shown = capsys.readouterr().err
    assert f"Training needs {package}, which cannot be imported" in shown
    assert "`pip install '.[training]'`" in shown


def test_a_comparison_prints_a_table_and_is_not_done_again(tmp_path, capsys):
    options = ("--compare", "inna", "sgd", "--rates", "1e-3", "0.1", "2")
    short = ("--epochs", "1", "--tuning-seeds", "1", "--seeds", "2")
    run(tmp_path, *options, *short)
    first, before = capsys.readouterr().out, contents(tmp_path)
    assert {line.split("|")[1].strip() for line in first.splitlines()[2:4]} == {
        "INNA",
        "SGD",
    }
    assert "| 0.1 (end of the grid) |" in first
    assert "widen `--rates`" in first
    names = ("inna-tuning", "inna-seeds", "sgd-tuning", "sgd-seeds")
    assert set(before) == {f"{name}.json" for name in names}
    run(tmp_path, *options, *short)
    assert capsys.readouterr().out == first
    assert contents(tmp_path) == before


def test_missing_files_end_the_script_with_a_message(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(tmp_path / "runs", "--dataset", "mnist", "--data", str(tmp_path))
    shown = capsys.readouterr().err
    assert f"{tmp_path} must have the files of mnist, but lacks train-images" in shown
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--epochs", "0"), "must be a whole number of at least 1, but is '0'"),
        (("--epochs", "1.5"), "must be a whole number of at least 1"),
        (("--beta", "0"), "must be a number above 0, but is '0'"),
        (("--alpha", "-1"), "must be a number of at least 0"),
        (("--learning-rate", "inf"), "must be a number above 0"),
        (("--decay-power", "nan"), "must be a number of at least 0"),
        (("--batch-size", "2000"), "must be from 1 to 1437"),
        (("--model", "lenet"), "must be left out for lenet"),
        (("--rates", "1", "1", "3"), "two positive, increasing step sizes"),
        (("--rates", "1", "2", "2.5"), "a whole number of at least 2, but is 1 2 2.5"),
        (("--compare", "newton"), "invalid choice"),
    ],
)
def test_wrong_options_are_refused(options, message, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(tmp_path, *options)
    assert message in capsys.readouterr().err


def test_every_option_has_a_help_with_its_default():
    for option in options_of(parser()):
        assert re.search(r"[a-z]+.* \(default: .+\)$", option.help), option.dest
        if option.default is None or option.dest in ("rates", "no_progress"):
            assert "%" not in option.help
        else:
            assert option.help.endswith("(default: %(default)s)")


def test_the_help_is_free_of_words_of_python():
    assert "None" not in parser().format_help()
    assert "False" not in parser().format_help()


def test_the_defaults_that_depend_on_a_choice_are_told():
    text = " ".join(parser().format_help().split())
    assert "(default: mlp 64, nin 192)" in text
    assert "(default: inna 0.5, sgd 0.5, momentum 0.2, adam 0.01, adagrad 0.2)" in text
    assert "(default: 0.0001 10 16)" in text


def test_the_optimiser_may_be_spelt_with_a_z():
    assert parser().parse_args(["--optimizer", "adam"]).optimiser == "adam"


def test_options_reach_the_plan(tmp_path):
    values = {
        "--optimiser": "momentum",
        "--learning-rate": 0.25,
        "--decay-power": 0.5,
        "--alpha": 0.75,
        "--beta": 2.0,
        "--momentum": 0.125,
        "--batch-size": 16,
        "--epochs": 3,
        "--seed": 11,
        "--tuning-seeds": 4,
        "--seeds": 5,
        "--width": 6,
        "--checkpoint-every": 9,
    }
    words = [str(word) for pair in values.items() for word in pair]
    rates = ["--rates", "1", "100", "3", "--output", str(tmp_path)]
    found = plan(parser().parse_args([*words, *rates]))
    assert found.recipe == ("mlp", 6, "momentum", 16)
    assert found.hyper == (0.25, 0.5, 0.75, 2, 0.125)
    assert found.budget == ((1, 10, 100), 4, 5, 3, 11)
    assert found.keeping == (tmp_path, 9, True, True)


def test_a_bound_of_an_option_may_be_excluded():
    assert number(float, 0)("0") == 0
    with pytest.raises(argparse.ArgumentTypeError, match="above 0"):
        number(float, 0, strict=True)("0")


def tuned(name, losses, accuracies):
    history = History.empty(0, len(losses)).written(0, losses, accuracies)
    return Tuned(name, Hyperparameters(0.1), np.zeros(3), False, history)


def test_the_table_has_means_and_standard_deviations_and_the_best_first():
    found = [
        tuned("sgd", [0.1, 0.3], [0.5, 0.5]),
        tuned("inna", [0.1, 0.1], [0.9, 0.8]),
        tuned("adam", [0.1, np.nan], [0.9, 0.1]),
    ]
    assert table(found).splitlines()[2:] == [
        "| INNA | 0.1 | 1.00e-01 ± 0.0e+00 | 85.00 ± 7.07 |",
        "| SGD | 0.1 | 2.00e-01 ± 1.4e-01 | 50.00 ± 0.00 |",
        "| Adam | 0.1 | inf ± nan | 50.00 ± 56.57 |",
    ]

import json
import sys

import numpy as np
import pytest

from scripts.learning import checkpoints
from scripts.learning.optimisers import Hyperparameters
from scripts.learning.runs import Keeping, Stopped, train

HYPER, EPOCHS, SEEDS = Hyperparameters(0.3), 2, np.arange(2)


def run(program, folder, every=1, **changes):
    options = {"hyper": HYPER, "seeds": SEEDS, "epochs": EPOCHS, **changes}
    keeping = Keeping(folder, every, keep_weights=True)
    return train(program, "one", keeping=keeping, **options)


@pytest.fixture(scope="module")
def reference(program, tmp_path_factory):
    """Files of a run that never stopped."""
    folder = tmp_path_factory.mktemp("reference")
    run(program, folder)
    return folder


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def stopped_after(count, monkeypatch):
    """Make the writing of checkpoints stop the run after so many of them."""
    written, save = [], checkpoints.save

    def stop(*arguments):
        save(*arguments)
        written.append(arguments)
        if len(written) == count:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save", stop)


@pytest.mark.parametrize("count", range(1, 13))
def test_a_run_stopped_at_any_step_goes_on_to_the_same_bits(
    count, program, reference, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        stopped_after(count, patch)
        with pytest.raises(KeyboardInterrupt):
            run(program, tmp_path)
    assert set(contents(tmp_path)) == {"one.checkpoint"}
    run(program, tmp_path)
    assert contents(tmp_path) == contents(reference)


@pytest.mark.parametrize("every", [0, 4, 100])
def test_how_often_checkpoints_are_written_changes_no_bit(
    every, program, reference, tmp_path
):
    run(program, tmp_path, every)
    assert contents(tmp_path) == contents(reference)


def test_a_run_stopped_twice_goes_on_to_the_same_bits(
    program, reference, tmp_path, monkeypatch
):
    for count in (2, 5):
        with monkeypatch.context() as patch:
            stopped_after(count, patch)
            with pytest.raises(KeyboardInterrupt):
                run(program, tmp_path)
    run(program, tmp_path)
    assert contents(tmp_path) == contents(reference)


def test_without_a_folder_the_history_is_the_same(program, reference):
    history = run(program, None)
    content = json.loads((reference / "one.json").read_bytes())
    assert history.training_loss.tolist() == content["training_loss"]
    assert history.test_accuracy.tolist() == content["test_accuracy"]


def test_the_loss_falls_and_seeds_differ(program):
    history = run(program, None, epochs=20)
    assert (history.training_loss[-1] < 0.8 * history.training_loss[0]).all()
    assert history.training_loss[0, 0] != history.training_loss[0, 1]


def test_what_is_finished_is_not_done_again(program, reference):
    idle = program._replace(start=None, advance=None, evaluate=None)
    history = run(idle, reference)
    content = json.loads((reference / "one.json").read_bytes())
    assert history.training_loss.tolist() == content["training_loss"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 1}, "epochs is 2 there and 1 here"),
        ({"hyper": HYPER._replace(beta=0.2)}, "beta is .* there and"),
        ({"seeds": SEEDS + 1}, r"seeds is \[0, 1\] there and \[1, 2\] here"),
    ],
)
def test_another_configuration_does_not_go_on(changes, message, program, reference):
    with pytest.raises(ValueError, match=rf"one\.json is of another config.*{message}"):
        run(program, reference, **changes)


def test_a_checkpoint_of_another_configuration_is_refused(program, reference, tmp_path):
    name = "one.checkpoint"
    (tmp_path / name).write_bytes((reference / name).read_bytes())
    with pytest.raises(ValueError, match=r"one\.checkpoint is of another .*epochs is 2"):
        run(program, tmp_path, epochs=1)


@pytest.mark.parametrize("count", [None, 3, 6])
def test_a_run_goes_on_to_more_epochs_with_the_same_bits(
    count, program, reference, tmp_path, monkeypatch
):
    """From its end after one epoch of 6 steps, or stopped on the way to two."""
    run(program, tmp_path, epochs=1)
    if count is not None:
        with monkeypatch.context() as patch:
            stopped_after(count, patch)
            with pytest.raises(KeyboardInterrupt):
                run(program, tmp_path)
    run(program, tmp_path)
    assert contents(tmp_path) == contents(reference)


def test_a_shorter_run_is_still_there_while_a_longer_one_is_stopped(
    program, tmp_path, monkeypatch
):
    first = run(program, tmp_path, epochs=1)
    with monkeypatch.context() as patch:
        stopped_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            run(program, tmp_path)
    again = run(program, tmp_path, epochs=1)
    assert again.training_loss.tolist() == first.training_loss.tolist()


def test_a_history_without_its_weights_does_not_go_on(program, reference, tmp_path):
    (tmp_path / "one.json").write_bytes((reference / "one.json").read_bytes())
    with pytest.raises(
        ValueError, match=r"one\.json is of another .*epochs is 2 there and 3"
    ):
        run(program, tmp_path, epochs=3)


def test_an_interruption_tells_the_step_of_the_last_checkpoint(
    program, tmp_path, monkeypatch
):
    stopped_after(8, monkeypatch)
    message = "^one stopped at step 8 of 12; the same command goes on$"
    with pytest.raises(Stopped, match=message):
        run(program, tmp_path)


def test_without_a_folder_an_interruption_promises_nothing(program):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as error:
        run(program._replace(advance=interrupted), None)
    assert not isinstance(error.value, Stopped)


def test_without_a_progress_bar_its_package_is_not_needed(program, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert np.isfinite(run(program, None).final_loss).all()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"training_loss": [[1]]}'])
def test_a_damaged_history_is_refused(content, program, tmp_path):
    (tmp_path / "one.json").write_text(content)
    with pytest.raises(ValueError, match="is not a history of this script, or is damaged"):
        run(program, tmp_path)


def test_groups_have_files_of_their_own_and_the_last_is_filled_up(program, tmp_path):
    """Two lanes for three runs; rounding is the same, as the programs are."""
    history = run(program, tmp_path, seeds=np.arange(3), lanes=2)
    names = {"one-0.json", "one-0.checkpoint", "one-1.json", "one-1.checkpoint"}
    assert set(contents(tmp_path)) == names
    assert history.training_loss.shape == (3, 3)
    for first in (0, 2):
        seeds = np.array([first, min(first + 1, 2)])
        part = run(program, None, seeds=seeds)
        count = min(2, 3 - first)
        found = history.training_loss[:, first : first + count]
        assert found.tolist() == part.training_loss[:, :count].tolist()


def test_a_run_that_diverges_ends_and_is_recorded(program, tmp_path):
    history = run(program, tmp_path, hyper=HYPER._replace(rate=np.array([1e30, 0.1])))
    assert np.isinf(history.final_loss[0])
    assert np.isfinite(history.final_loss[1])
    assert np.isinf(
        run(program, tmp_path, hyper=HYPER._replace(rate=np.array([1e30, 0.1]))).final_loss[
            0
        ]
    )


def test_the_progress_bar_counts_the_steps_on_the_standard_error(program, capsys):
    train(program, "name", HYPER, SEEDS, 2, Keeping(None, 4, progress=True))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "name: 100%" in shown.err
    assert "12/12" in shown.err

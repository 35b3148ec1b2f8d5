import jax
import numpy as np
import pytest

from scripts.learning import checkpoints
from scripts.learning.checkpoints import Progress
from scripts.learning.history import History
from scripts.learning.optimisers import Hyperparameters

CONFIGURATION = {"dataset": "tiny", "rate": [0.1, 0.2], "epochs": 2}


@pytest.fixture
def state(program):
    hyper, seeds = Hyperparameters(0.1).broadcast(2), np.arange(2, dtype=np.uint32)
    weights = program.advance(program.start(hyper, seeds), hyper, seeds, 0, 0, 3)
    return Progress(0, 3, weights, History.empty(2, 2).written(0, [1 / 3, 2], [0.5, 1]))


def blank(state):
    return jax.tree.map(lambda leaf: leaf * 0, state._replace(epoch=0, step=0))


def test_a_checkpoint_is_read_back_with_the_same_bits(state, tmp_path):
    path = tmp_path / "new" / "one.checkpoint"
    checkpoints.save(path, CONFIGURATION, state)
    found = checkpoints.restore(path, CONFIGURATION, blank(state))
    assert (found.epoch, found.step) == (0, 3)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(state), strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_another_configuration_is_refused_with_what_differs(state, tmp_path):
    path = tmp_path / "one.checkpoint"
    checkpoints.save(path, CONFIGURATION, state)
    other = {**CONFIGURATION, "epochs": 1, "model": "mlp"}
    message = "epochs is 2 there and 1 here; model is missing there and mlp here.*--output"
    with pytest.raises(ValueError, match=message):
        checkpoints.restore(path, other, state)


def test_a_difference_is_told_without_the_digits_of_single_precision(tmp_path):
    saved = {"rate": np.float32([0.1, 2]).tolist(), "beta": 0.5}
    wanted = {"rate": [0.25], "beta": 1 / 3}
    message = r"beta is 0.5 there and 0.333333 here; rate is \[0.1, 2\] there and \[0.25\]"
    with pytest.raises(ValueError, match=message):
        checkpoints.refuse_other(tmp_path, saved, wanted)


def test_a_checkpoint_of_fewer_epochs_gets_room_for_more(state, tmp_path):
    path = tmp_path / "one.checkpoint"
    checkpoints.save(path, CONFIGURATION, state)
    found = checkpoints.restore(path, {**CONFIGURATION, "epochs": 5}, blank(state))
    assert found.history.training_loss.shape == (6, 2)
    assert found.history.training_loss[0].tolist() == [np.float32(1 / 3), 2]
    assert np.isnan(found.history.training_loss[1:]).all()


def test_the_position_of_a_checkpoint_is_read_without_its_arrays(state, tmp_path):
    path = tmp_path / "one.checkpoint"
    assert checkpoints.position(path) == (0, 0)
    checkpoints.save(path, CONFIGURATION, state)
    assert checkpoints.position(path) == (0, 3)
    assert checkpoints.configuration_of(path) == CONFIGURATION


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-3],
        lambda content: content[: content.index(b"\n") + 1],
        lambda content: b"text\n" + content,
        lambda content: b"[1]\n",
        lambda content: content.replace(b'"version": 2', b'"version": 0'),
    ],
)
def test_a_damaged_checkpoint_is_refused(damage, state, tmp_path):
    path = tmp_path / "one.checkpoint"
    checkpoints.save(path, CONFIGURATION, state)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="is not a checkpoint of this script, or is damag"):
        checkpoints.restore(path, CONFIGURATION, state)


def test_a_stop_while_writing_leaves_the_last_checkpoint(tmp_path):
    path = tmp_path / "one"
    checkpoints.write_whole(path, lambda file: file.write(b"old"))

    def stopped(file):
        file.write(b"ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoints.write_whole(path, stopped)
    assert path.read_bytes() == b"old"

import jax
import numpy as np
import pytest

from scripts.learning.optimisers import Hyperparameters
from scripts.learning.runs import Keeping, train
from scripts.learning.weights import load_network


@pytest.fixture(scope="module")
def trained(program, tmp_path_factory):
    """The checkpoint and the history of two seeds."""
    folder = tmp_path_factory.mktemp("trained")
    keeping = Keeping(folder, keep_weights=True)
    history = train(program, "one", Hyperparameters(0.3), np.arange(2), 3, keeping)
    return folder / "one.checkpoint", history


@pytest.mark.parametrize("run", [0, 1])
def test_the_network_of_a_checkpoint_has_the_loss_and_the_accuracy_of_its_run(
    run, trained, tiny
):
    path, history = trained
    network = jax.vmap(load_network(path, tiny, run))
    scores = np.asarray(network(tiny.train.inputs.astype(np.float32) / 255), float)
    right = scores[np.arange(26), tiny.train.labels]
    loss = np.mean(np.log(np.exp(scores).sum(axis=1)) - right)
    np.testing.assert_allclose(loss, history.training_loss[-1, run], rtol=1e-5)
    scores = np.asarray(network(tiny.test.inputs.astype(np.float32) / 255))
    guesses = scores.argmax(axis=1)
    accuracy = np.mean(guesses == tiny.test.labels)
    assert accuracy == pytest.approx(history.test_accuracy[-1, run])


def test_another_data_set_is_refused(trained, tiny):
    other = tiny._replace(train=tiny.train._replace(labels=tiny.train.labels[::-1]))
    with pytest.raises(ValueError, match="of another configuration: images is"):
        load_network(trained[0], other)


def test_a_checkpoint_that_is_not_there_is_refused(tiny, tmp_path):
    with pytest.raises(FileNotFoundError, match="one"):
        load_network(tmp_path / "one", tiny)

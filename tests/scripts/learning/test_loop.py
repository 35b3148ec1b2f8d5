import jax
import numpy as np
import pytest

from scripts.learning.loop import Recipe, compile_program, order_of_images
from scripts.learning.optimisers import OPTIMISERS, Hyperparameters
from scripts.learning.runs import Keeping, train

HYPER = Hyperparameters(0.3, 0.25)


def started(program, seeds, hyper=HYPER):
    hyper, seeds = hyper.broadcast(len(seeds)), np.array(seeds, np.uint32)
    return program.start(hyper, seeds), hyper, seeds


def same(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def forward(weights, images, lane=0):
    """The layers of a lane's network in NumPy and double precision; the last are scores."""
    leaves = [np.asarray(leaf[lane], float) for leaf in jax.tree.leaves(weights.network)]
    values = [images.inputs.reshape(len(images.labels), -1) / 255]
    for weight, bias in zip(leaves[::2], leaves[1::2], strict=True):
        values.append(np.maximum(values[-1] @ weight.T + bias, 0))
    values[-1] = values[-2] @ leaves[-2].T + leaves[-1]
    return leaves, values


def chances(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def slopes(weights, images):
    """The gradient of the mean cross-entropy by back-propagation."""
    leaves, values = forward(weights, images)
    hot = np.eye(3)[images.labels]
    back, found = (chances(values[-1]) - hot) / len(hot), []
    for weight, value in zip(leaves[-2::-2], values[-2::-1], strict=True):
        found = [back.T @ value, back.sum(axis=0), *found]
        back = (back @ weight) * (value > 0)
    return leaves, found


def test_loss_and_accuracy_are_those_computed_by_hand(program, tiny):
    weights, *_ = started(program, [5, 6])
    loss, accuracy = program.evaluate(weights)
    for lane in range(2):
        chance = chances(forward(weights, tiny.train, lane)[1][-1])
        mean = -np.log(chance[np.arange(26), tiny.train.labels]).mean()
        assert loss[lane] == pytest.approx(mean, rel=1e-6)
        best = forward(weights, tiny.test, lane)[1][-1].argmax(axis=1)
        assert accuracy[lane] == pytest.approx((best == tiny.test.labels).mean())


def test_evaluation_in_blocks_counts_every_image_once(tiny, program, monkeypatch):
    whole = program.evaluate(started(program, [5])[0])
    monkeypatch.setattr("scripts.learning.loop.BLOCK", 7)
    other = compile_program(program.recipe, tiny)
    found = other.evaluate(started(other, [5])[0])
    np.testing.assert_allclose(found, whole, rtol=1e-6)


def test_a_step_of_all_images_is_gradient_descent_by_hand(tiny):
    program = compile_program(Recipe("mlp", 4, "sgd", 26), tiny)
    weights, *rest = started(program, [3])
    after = program.advance(weights, *rest, 0, 0, 1)
    leaves, found = slopes(weights, tiny.train)
    for leaf, slope, moved in zip(
        leaves, found, jax.tree.leaves(after.network), strict=True
    ):
        np.testing.assert_allclose(moved[0], leaf - 0.3 * slope, rtol=1e-5, atol=1e-7)


def test_a_step_takes_the_mini_batch_of_its_place_in_the_order(program, tiny):
    sgd = compile_program(program.recipe._replace(optimiser="sgd"), tiny)
    weights, *rest = started(sgd, [3])
    after = sgd.advance(weights, *rest, 2, 4, 5)
    rows = np.asarray(order_of_images(3, 2, 26))[16:20]
    part = type(tiny.train)(*(one[rows] for one in tiny.train))
    leaves, found = slopes(weights, part)
    for leaf, slope, moved in zip(
        leaves, found, jax.tree.leaves(after.network), strict=True
    ):
        np.testing.assert_allclose(moved[0], leaf - 0.3 * slope, rtol=1e-5, atol=1e-7)


def test_the_order_of_images_is_another_one_for_each_epoch_and_seed():
    orders = [
        np.asarray(order_of_images(seed, epoch, 26)) for seed in (0, 1) for epoch in (0, 1)
    ]
    assert all(sorted(order) == list(range(26)) for order in orders)
    assert len({order.tobytes() for order in orders}) == 4
    assert orders[3].tobytes() == np.asarray(order_of_images(1, 1, 26)).tobytes()


def test_an_epoch_cut_anywhere_has_the_same_bits(program):
    weights, *rest = started(program, [0, 1])
    whole = program.advance(weights, *rest, 1, 0, program.steps)
    for cut in range(1, program.steps):
        first = program.advance(weights, *rest, 1, 0, cut)
        assert same(program.advance(first, *rest, 1, cut, program.steps), whole)


def test_a_run_is_the_same_alone_and_beside_others(program):
    """Up to rounding: products of matrices are summed in another order."""
    several = started(program, [4, 5, 6])
    alone = started(program, [5])
    found = [program.advance(*one, 0, 0, program.steps).network for one in (several, alone)]
    for many, one in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(many[1], one[0], rtol=1e-5, atol=1e-6)


def test_other_hyperparameters_seeds_and_epochs_do_not_compile_again(tiny, monkeypatch):
    built, inna = [], OPTIMISERS["inna"]
    count = lambda hyper: built.append(hyper) or inna.build(hyper)
    monkeypatch.setitem(OPTIMISERS, "inna", inna._replace(build=count))
    program = compile_program(Recipe("mlp", 4, "inna", 4), tiny)
    for rate, epochs in ((0.1, 1), (0.2, 3)):
        hyper = Hyperparameters(rate, rate, rate, rate)
        seeds = np.arange(5) + epochs
        train(program, "one", hyper, seeds, epochs, Keeping(None, 4), lanes=2)
    assert len(built) == 2  # Once for the start, once for the steps.


@pytest.mark.parametrize("name", OPTIMISERS)
def test_weights_stay_in_single_precision(name, tiny):
    """And whatever else is kept of a run."""
    program = compile_program(Recipe("mlp", 4, name, 4), tiny)
    weights, *rest = started(program, [0])
    leaves = jax.tree.leaves(program.advance(weights, *rest, 0, 0, 1))
    kinds = {leaf.dtype for leaf in leaves if np.issubdtype(leaf.dtype, np.floating)}
    assert kinds == {np.dtype("float32")}


@pytest.mark.parametrize("size", [0, 27])
def test_a_mini_batch_larger_than_the_training_set_is_refused(size, tiny):
    with pytest.raises(ValueError, match=f"must be from 1 to 26, .* but is {size}"):
        compile_program(Recipe("mlp", 4, "sgd", size), tiny)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "rate", "epochs"), [("lenet", 0.01, 15), ("nin", 0.03, 30)]
)
def test_convolutional_networks_learn(model, rate, epochs, tiny):
    inputs = [
        np.kron(one.inputs, np.ones((4, 4), np.uint8)) for one in (tiny.train, tiny.test)
    ]
    train_part, test_part = (
        part._replace(inputs=one)
        for part, one in zip((tiny.train, tiny.test), inputs, strict=True)
    )
    large = tiny._replace(train=train_part, test=test_part)
    program = compile_program(Recipe(model, 8, "adam", 13), large)
    history = train(
        program, "one", HYPER._replace(rate=rate), np.arange(1), epochs, Keeping()
    )
    assert history.training_loss[-1, 0] < 0.8 * history.training_loss[0, 0]

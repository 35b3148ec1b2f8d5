"""Training as two compiled programs: steps of one epoch, and the evaluation after it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from scripts.learning.images import Dataset, Images
from scripts.learning.models import MODELS
from scripts.learning.optimisers import OPTIMISERS, Hyperparameters

BLOCK = 500
"""How many images are evaluated at once."""


class Recipe(NamedTuple):
    """What changes the programs, and not only their inputs.

    Args:
        model: One of `MODELS`.
        width: Its width.
        optimiser: One of `OPTIMISERS`.
        batch_size: Images in a mini-batch.
    """

    model: str
    width: int
    optimiser: str
    batch_size: int


class Weights(NamedTuple):
    """What a step changes: the arrays of the network, and the state of the optimiser."""

    network: Any
    optimiser: Any


class Program(NamedTuple):
    """Compiled functions for runs side by side; arrays have one entry a run in front.

    Args:
        start: `(hyper, seeds)` to the first weights.
        advance: `(weights, hyper, seeds, epoch, begin, end)` to the weights after the
            steps from `begin` to before `end` of that epoch.
        evaluate: Weights to training loss and test accuracy.
        steps: Steps of an epoch.
        dataset: The data set.
        recipe: What was compiled.
    """

    start: Callable[[Hyperparameters, Any], Weights]
    advance: Callable[..., Weights]
    evaluate: Callable[[Weights], tuple[jax.Array, jax.Array]]
    steps: int
    dataset: Dataset
    recipe: Recipe


def compile_program(recipe: Recipe, dataset: Dataset) -> Program:
    """The functions that train as the recipe says. Nothing is compiled before its call.

    Raises:
        ValueError: A mini-batch would be larger than the training set.
    """
    count = len(dataset.train.labels)
    if not 1 <= recipe.batch_size <= count:
        raise ValueError(
            f"`--batch-size` must be from 1 to {count}, the number of training images, "
            f"but is {recipe.batch_size}."
        )
    train, test = jax.device_put((dataset.train, dataset.test))
    lanes = _Lane(recipe, dataset.shape, dataset.classes, dataset.white)
    start = jax.jit(jax.vmap(lanes.start))
    axes = (0, 0, 0, None, None, None, None)
    advance = jax.jit(jax.vmap(lanes.advance, in_axes=axes))
    evaluate = jax.jit(jax.vmap(lanes.evaluate, in_axes=(0, None, None)))
    return Program(
        start,
        lambda weights, hyper, seeds, *when: advance(
            weights, hyper, seeds, *(jnp.int32(one) for one in when), train
        ),
        lambda weights: evaluate(weights, train, test),
        count // recipe.batch_size,
        dataset,
        recipe,
    )


def _key(seed: jax.Array, purpose: int) -> jax.Array:
    """One for the network, another for the order of the images."""
    return jax.random.fold_in(jax.random.key(seed), purpose)


def order_of_images(seed: jax.Array, epoch: jax.Array, count: int) -> jax.Array:
    """The order in which an epoch takes the images, a function of seed and epoch only."""
    key = jax.random.fold_in(_key(seed, 1), epoch)
    return jax.random.permutation(key, jnp.arange(count, dtype=jnp.int32))


class _Lane:
    """One run of those side by side."""

    def __init__(
        self, recipe: Recipe, shape: tuple[int, int, int], classes: int, white: int
    ) -> None:
        self.recipe, self.white = recipe, white
        build = MODELS[recipe.model].build
        self.build = lambda key: build(shape, classes, recipe.width, key)
        network = self.build(jax.random.key(0))
        _, self.functions = eqx.partition(network, eqx.is_inexact_array)

    def optimiser(self, hyper: Hyperparameters) -> optax.GradientTransformation:
        return OPTIMISERS[self.recipe.optimiser].build(hyper)

    def start(self, hyper: Hyperparameters, seed: jax.Array) -> Weights:
        network = eqx.filter(self.build(_key(seed, 0)), eqx.is_inexact_array)
        return Weights(network, self.optimiser(hyper).init(network))

    def losses(self, network: Any, images: Images) -> tuple[jax.Array, jax.Array]:
        """Cross-entropy of each image, and whether it gets its label."""
        inputs = images.inputs.astype(jnp.float32) / self.white
        scores = jax.vmap(eqx.combine(network, self.functions))(inputs)
        cross = optax.softmax_cross_entropy_with_integer_labels(scores, images.labels)
        best = jax.lax.argmax(scores, 1, jnp.int32)
        return cross, best == images.labels

    def advance(
        self,
        weights: Weights,
        hyper: Hyperparameters,
        seed: jax.Array,
        epoch: jax.Array,
        begin: jax.Array,
        end: jax.Array,
        images: Images,
    ) -> Weights:
        """Steps of one epoch.

        The bounds are traced: one program, with the same bits, however an epoch is cut.
        """
        size, count = self.recipe.batch_size, len(images.labels)
        optimiser = self.optimiser(hyper)
        order = order_of_images(seed, epoch, count)

        def step(number: jax.Array, weights: Weights) -> Weights:
            rows = jax.lax.dynamic_slice_in_dim(order, number * size, size)
            batch = Images(*(one[rows] for one in images))
            mean = lambda network: jnp.mean(self.losses(network, batch)[0])
            slope = jax.grad(mean)(weights.network)
            updates, state = optimiser.update(slope, weights.optimiser, weights.network)
            return Weights(optax.apply_updates(weights.network, updates), state)

        return jax.lax.fori_loop(begin, end, step, weights)

    def evaluate(
        self, weights: Weights, train: Images, test: Images
    ) -> tuple[jax.Array, jax.Array]:
        """Training loss and test accuracy, in blocks that fit into memory."""

        def one(image: Images) -> tuple[jax.Array, jax.Array]:
            alone = Images(*(part[None] for part in image))
            loss, right = self.losses(weights.network, alone)
            return loss[0], right[0]

        loss, _ = jax.lax.map(one, train, batch_size=BLOCK)
        _, right = jax.lax.map(one, test, batch_size=BLOCK)
        return jnp.mean(loss), jnp.mean(right, dtype=jnp.float32)

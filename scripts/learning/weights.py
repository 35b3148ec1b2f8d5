"""The network that a run has trained, from its last checkpoint."""

import pathlib
from typing import Any

import equinox as eqx
import jax
import numpy as np

from scripts.learning import checkpoints
from scripts.learning.checkpoints import Progress
from scripts.learning.history import History
from scripts.learning.images import Dataset
from scripts.learning.loop import Recipe, compile_program
from scripts.learning.models import MODELS
from scripts.learning.optimisers import Hyperparameters


def load_network(path: pathlib.Path, dataset: Dataset, run: int = 0) -> Any:
    """A network with the weights of a checkpoint.

    Args:
        path: The checkpoint.
        dataset: The data set of the run.
        run: Which of the runs side by side.

    Returns:
        An Equinox module: scores of the classes, from one image whose pixels are divided
        by `dataset.white`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The checkpoint is damaged, or of another data set.
    """
    configuration = checkpoints.configuration_of(path)
    here = {"dataset": dataset.name, "images": dataset.fingerprint()}
    recipe = Recipe(*(configuration[name] for name in Recipe._fields))
    hyper = Hyperparameters(
        *(np.array(configuration[name], np.float32) for name in Hyperparameters._fields)
    )
    seeds = np.array(configuration["seeds"], np.uint32)
    shapes = jax.eval_shape(compile_program(recipe, dataset).start, hyper, seeds)
    history = History.empty(configuration["epochs"], len(seeds))
    like = Progress(0, 0, shapes, history)
    weights = checkpoints.restore(path, {**configuration, **here}, like).weights
    arrays = jax.tree.map(lambda one: one[run], weights.network)
    build = MODELS[recipe.model].build
    blank = build(dataset.shape, dataset.classes, recipe.width, jax.random.key(0))
    return eqx.combine(arrays, eqx.filter(blank, eqx.is_inexact_array, inverse=True))

"""One step of INNA on a network of a million weights, next to the optimisers of optax."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import dynsys as ds
from scripts.benchmarks import page
from scripts.benchmarks.networks import SIZES, initial_weights

RATE = 0.01
ROUNDS = 101
METHODS: dict[str, optax.GradientTransformation] = {
    "optax.adam": optax.adam(RATE),
    "dynsys.inna": ds.inna(RATE, 0.5, 0.1),
    "optax.sgd with momentum": optax.sgd(RATE, 0.9),
    "optax.adagrad": optax.adagrad(RATE),
    "optax.sgd": optax.sgd(RATE),
}
"""The first is the one that the others are compared with."""


class Memory(NamedTuple):
    """What a step needs besides weights and gradient, in copies of the weights.

    Args:
        state: What is kept from step to step.
        temporary: What is needed within a step.
    """

    state: float
    temporary: float


def section(sizes: tuple[int, ...] = SIZES, rounds: int = ROUNDS) -> str:
    """Times and memory of one step of each optimiser."""
    weights = initial_weights(sizes)
    number = sum(leaf.size for leaf in jax.tree.leaves(weights))
    times = race(list(METHODS.values()), weights, rounds)
    ratios = times / times[:, :1]
    rows = []
    for i, (name, method) in enumerate(METHODS.items()):
        room = memory(method, weights)
        numbers = [f"{1e3 * statistics.median(times[:, i]):.2f}"]
        numbers += [f"{statistics.median(ratios[:, i]):.2f}"]
        rows.append([f"`{name}`", *numbers, f"{room.state:.1f}", f"{room.temporary:.1f}"])
    columns = ["optimiser", "time in ms", "ratio", "copies kept", "copies within a step"]
    text = (
        f"`update` and `optax.apply_updates` for the perceptron of {number:,} weights in "
        f"32 bits, with a gradient that is given and buffers that are given back; medians "
        f"of {rounds} rounds of one call each. A copy is the size of the weights; weights "
        f"and gradient themselves do not count."
    )
    return page.section("One step of training", text, page.table(columns, rows))


def program(method: optax.GradientTransformation) -> Callable[..., Any]:
    """One step, which takes weights and state and gives back both."""

    def step(weights: Any, state: Any, gradient: Any) -> tuple[Any, Any]:
        updates, state = method.update(gradient, state, weights)
        return optax.apply_updates(weights, updates), state

    return jax.jit(step, donate_argnums=(0, 1))


def race(
    methods: list[optax.GradientTransformation], weights: Any, rounds: int
) -> np.ndarray:
    """Seconds of one step, by round and method; each round starts with another one."""
    # The weights themselves are a gradient as good as any.
    runs = [[program(method), jax.tree.map(np.copy, weights)] for method in methods]
    states = [method.init(weights) for method in methods]
    table = np.empty((rounds + 2, len(methods)))
    for i in range(rounds + 2):
        for j in range(i, i + len(methods)):
            k = j % len(methods)
            step, own = runs[k]
            start = time.perf_counter()
            own, states[k] = jax.block_until_ready(step(own, states[k], weights))
            table[i, k] = time.perf_counter() - start
            runs[k][1] = own
    return table[2:]


def memory(method: optax.GradientTransformation, weights: Any) -> Memory:
    """The memory of a step as XLA plans it."""
    state = method.init(weights)
    plan = program(method).lower(weights, state, weights).compile().memory_analysis()
    size = lambda tree: sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
    inside = plan.temp_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes
    return Memory(size(state) / size(weights), inside / size(weights))

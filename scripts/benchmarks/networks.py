r"""g-DIN on a network of a million weights.

A perceptron with tanh in two hidden layers, in 32 bits; the objective is its cross-entropy
on a batch of 512 samples, $\alpha = 0.5$, $\beta = 0.1$.
"""

import functools
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

import dynsys as ds
from dynsys.integrators.solvers.low_storage import LowStorageRK4
from scripts.benchmarks import page

SIZES = (64, 900, 1000, 10)
BATCH = 512
ALPHA, BETA, END = 0.5, 0.1, 0.2
ROUNDS = 31
SOLVERS = (LowStorageRK4(), diffrax.Bosh3(), diffrax.Tsit5(), diffrax.Heun())


class Pair(NamedTuple):
    """Medians of a function and a gradient, which were called in turn."""

    seconds: float
    ratio: float


def section(sizes: tuple[int, ...] = SIZES, rounds: int = ROUNDS) -> str:
    """What a field costs and what a solve keeps, in gradients and copies of the weights."""
    weights = initial_weights(sizes)
    loss = cross_entropy(sizes)
    number = sum(leaf.size for leaf in jax.tree.leaves(weights))
    times = page.table(
        ["what", "time in ms", "in gradients"], _fields(loss, weights, rounds)
    )
    room = page.table(["solver", "copies"], _copies(loss, weights, number))
    text = (
        f"g-DIN for a perceptron of {number:,} weights in 32 bits, the loss of a batch of "
        f"{BATCH}, {rounds} rounds of one call each with medians of the ratios. Copies are "
        f"what XLA sets aside for a solve to $T = {END:g}$ with the last state only, less "
        f"that of one gradient, over the size of the weights. The start and the last state "
        f"are not in it."
    )
    return page.section("A network of a million weights", text, times, room)


def initial_weights(sizes: tuple[int, ...]) -> list[tuple[Any, Any]]:
    """Random weights, and biases of zero."""
    random = np.random.default_rng(0)
    return [
        (
            jnp.asarray(random.normal(0.0, np.sqrt(1 / a), (a, b)), jnp.float32),
            jnp.zeros(b, jnp.float32),
        )
        for a, b in itertools.pairwise(sizes)
    ]


def cross_entropy(sizes: tuple[int, ...]) -> Callable[[Any], Any]:
    """The loss of random samples with random labels, as a function of the weights."""
    random = np.random.default_rng(1)
    samples = jnp.asarray(random.standard_normal((BATCH, sizes[0])), jnp.float32)
    labels = jnp.asarray(random.integers(0, sizes[-1], BATCH))

    def loss(samples: Any, labels: Any, weights: Any) -> Any:
        *hidden, (matrix, bias) = weights
        layer = samples
        for w, b in hidden:
            layer = jnp.tanh(layer @ w + b)
        scores = jax.nn.log_softmax(layer @ matrix + bias)
        return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], axis=1))

    return jax.tree_util.Partial(loss, samples, labels)


def _fields(loss: Callable[[Any], Any], weights: Any, rounds: int) -> list[list[str]]:
    """Times of one evaluation of two fields, next to a gradient."""
    systems = {
        "one field of g-DIN": ds.GDIN(loss, ALPHA, BETA),
        "one field of DIN with Hessian-vector products": ds.DIN(
            loss, ALPHA, BETA, hessian_free=False
        ),
    }
    gradient = jax.jit(jax.grad(loss))
    zero = jnp.float32(0.0)
    rows = []
    for name, system in systems.items():
        state = system.initial_state(zero, weights, jax.tree.map(jnp.ones_like, weights))
        field = functools.partial(
            jax.jit(lambda s, state: s.vector_field(zero, state)), system, state
        )
        pair = _race(field, functools.partial(gradient, weights), rounds)
        rows.append([name, f"{1e3 * pair.seconds:.2f}", f"{pair.ratio:.2f}"])
    return rows


def _race(first: Callable[[], Any], second: Callable[[], Any], rounds: int) -> Pair:
    """Both in turn, each first in every other round."""
    pairs = []
    for i in range(rounds + 2):
        order = (first, second) if i % 2 else (second, first)
        times = [_seconds(function) for function in order]
        pairs.append(times if i % 2 else times[::-1])
    warm = pairs[2:]
    return Pair(
        statistics.median(a for a, _ in warm), statistics.median(a / b for a, b in warm)
    )


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def _copies(loss: Callable[[Any], Any], weights: Any, number: int) -> list[list[str]]:
    """What XLA sets aside for a solve, by solver."""
    system = ds.GDIN(loss, ALPHA, BETA)
    of_gradient = _temporaries(jax.grad(loss), weights)
    rows = []
    for solver in SOLVERS:
        solve = lambda weights, solver=solver: (
            ds.simulate(
                system,
                weights,
                t1=END,
                times=[END],
                solver=solver,
                inclusion="autodiff",
                throw=False,
            ).final_state
        )
        extra = _temporaries(solve, weights) - of_gradient
        rows.append([f"`{type(solver).__name__}`", f"{extra / (4 * number):.1f}"])
    return rows


def _temporaries(function: Callable[[Any], Any], weights: Any) -> int:
    """Bytes of the memory that a program takes besides what goes in and comes out."""
    compiled = jax.jit(function).lower(weights).compile()
    return compiled.memory_analysis().temp_size_in_bytes

r"""A network trained by g-DIN and by gradient flow, as flows.

The training loss and the test error of a classifier of handwritten digits along four flows
of g-DIN and along gradient flow, over time. The parameters are a dictionary of
arrays, the images are leaves of the loss. With $\alpha = 1$, g-DIN soon moves as gradient
flow does, since $\alpha\dot\theta \approx -\nabla J(\theta)$ once inertia has died out;
with a tenth of the damping it is about ten times as fast. With still less damping the
training loss oscillates, which a larger $\beta$ prevents.

The network has one hidden layer of 64 units and the activation tanh, so that the flows are
ODEs; the loss is the mean cross-entropy of all training images, without regularisation,
and everything is in single precision. A fifth of the images is kept for the test. One
split, one initial point, at rest; $t \in [0, 1000]$.

Source: the 1797 images of 8 by 8 pixels are those of `sklearn.datasets.load_digits`
(E. Alpaydin, C. Kaynak, UCI, 1998). Network and dampings are chosen here.
"""

import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import dynsys as ds
from dynsys.plots import Look
from dynsys.systems import AbstractSystem
from scripts.command_line import run

NAME = "network_flow"
HIDDEN, CLASSES = 64, 10
END, OUTPUTS = 1000.0, 81
# At the default of single precision, 1e-4, the loss of gradient flow rises now and then.
RTOL, ATOL = 1e-5, 1e-7
DAMPINGS = ((1.0, 1.0), (0.1, 1.0), (0.01, 0.01), (0.01, 5.0))
LOOKS = (
    Look("#009E73", "-", "Gradient flow", 3.2),
    Look("#000000", (0, (1, 1.5)), ""),
    Look("#8C00FC", "-", ""),
    Look("#E69F00", (0, (5, 2)), ""),
    Look("#D55E00", (0, (6, 1.5, 1, 1.5)), ""),
)


class Digits(NamedTuple):
    """Images, one a row, and what they show."""

    inputs: jax.Array
    labels: jax.Array


class Course(NamedTuple):
    """What is drawn of one flow."""

    path: ds.Trajectory
    loss: np.ndarray
    test_error: np.ndarray


def load() -> tuple[Digits, Digits]:
    """The images for training, and a fifth of them for the test."""
    from sklearn.datasets import load_digits

    inputs, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    inputs = jnp.asarray(inputs[order] / 16, jnp.float32)
    labels = jnp.asarray(labels[order])
    size = 4 * len(labels) // 5
    return Digits(inputs[:size], labels[:size]), Digits(inputs[size:], labels[size:])


def initial_parameters(pixels: int) -> dict[str, jax.Array]:
    """Weights of mean square 1 over the number of inputs, and no bias."""
    first, second = jax.random.split(jax.random.key(0))
    normal = lambda key, shape: jax.random.normal(key, shape, jnp.float32) / shape[0] ** 0.5
    return {
        "first": normal(first, (pixels, HIDDEN)),
        "first_bias": jnp.zeros(HIDDEN, jnp.float32),
        "second": normal(second, (HIDDEN, CLASSES)),
        "second_bias": jnp.zeros(CLASSES, jnp.float32),
    }


def scores(inputs: jax.Array, parameters: dict[str, jax.Array]) -> jax.Array:
    """One score a class for each image."""
    hidden = jnp.tanh(inputs @ parameters["first"] + parameters["first_bias"][None])
    return hidden @ parameters["second"] + parameters["second_bias"][None]


def cross_entropy(
    inputs: jax.Array, labels: jax.Array, parameters: dict[str, jax.Array]
) -> jax.Array:
    """Mean cross-entropy, the loss."""
    logarithms = jax.nn.log_softmax(scores(inputs, parameters))
    return -jnp.mean(jnp.take_along_axis(logarithms, labels[:, None], axis=1))


def error(digits: Digits, parameters: dict[str, jax.Array]) -> jax.Array:
    """Share of the images that get another label than theirs."""
    best = jnp.argmax(scores(digits.inputs, parameters), axis=1)
    return jnp.mean(best != digits.labels)


def flows(loss: Any) -> list[AbstractSystem]:
    """Gradient flow, and g-DIN with each pair of dampings."""
    return [ds.GradientFlow(loss), *(ds.GDIN(loss, *pair) for pair in DAMPINGS)]


def follow(system: AbstractSystem, test: Digits, end: float, outputs: int) -> Course:
    """Train along one flow."""
    times = np.concatenate([[0.0], np.geomspace(0.1, end, outputs - 1)])
    start = initial_parameters(test.inputs.shape[1])
    path = ds.simulate(system, start, t1=end, times=times, rtol=RTOL, atol=ATOL)
    wrong = jax.vmap(lambda parameters: error(test, parameters))(path.x)
    return Course(path, np.asarray(path.objective), np.asarray(wrong))


def note(courses: list[Course]) -> str:
    """What it took, from the statistics of the runs."""
    leaves = jax.tree.leaves(courses[0].path.x)
    weights, kind = sum(leaf[0].size for leaf in leaves), leaves[0].dtype
    solvers = {course.path.stats.solver for course in courses}
    return (
        f"Digits of scikit-learn, tanh network with {weights:,} weights, {kind}. "
        f"In brackets: full gradients that {' and '.join(sorted(solvers))} took."
    )


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `network_flow.pdf` and `.png` into the folder `output`."""
    train, test = load()
    end, outputs = (5.0, 6) if quick else (END, OUTPUTS)
    loss = Partial(cross_entropy, *train)
    courses = [follow(system, test, end, outputs) for system in flows(loss)]
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        for course, look in zip(courses, LOOKS, strict=True):
            style = look._replace(label=label(course))._asdict()
            left.plot(course.path.t[1:], course.loss[1:], **style)
            right.plot(course.path.t[1:], course.test_error[1:], **style)
        left.set(title="Training loss")
        right.set(title="Test error")
        for axes in (left, right):
            axes.set(xscale="log", yscale="log", xlabel="$t$", xlim=(0.1, end))
        right.set(ylim=(0.009, 1), yticks=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1))
        right.minorticks_off()
        right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3)
        figure.supxlabel(note(courses), fontsize=8, color="0.3")
    ds.plots.save(figure, output / NAME)


def label(course: Course) -> str:
    """Name of a flow, its dampings and how many gradients it took."""
    system: Any = course.path.system
    count: Any = course.path.stats.gradient_evaluations
    gradients = f"({int(count):,})"
    if isinstance(system, ds.GradientFlow):
        return f"Gradient flow {gradients}"
    alpha, beta = float(system.alpha), float(system.beta)
    return rf"g-DIN, $\alpha={alpha:g}$, $\beta={beta:g}$ {gradients}"


if __name__ == "__main__":
    run(network_flow=main)

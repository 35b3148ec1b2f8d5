r"""How much the dampings of INNA matter: the training loss over both of them.

INNA with a constant step size $\gamma$ trains a network with two hidden layers of 64 units
and ReLU on the digits of scikit-learn, in mini-batches of 32, for 20 epochs: one cell for
each pair of dampings $(\alpha, \beta)$, the mean over three seeds of the training loss at
the end, and of the test accuracy. One column for each of three step sizes. Circles: the
pairs of the paper, $(0.1, 0.1)$, $(0.5, 0.1)$ and $(0.5, 0.5)$.

A run has diverged if its loss is not a number, and has learnt nothing if the loss is not
below the entropy of the labels: then guessing the same for all images is as good. The cell
says so if that happens for one seed.

Solid line: $\beta = \gamma$, to the left of which a step is unstable where the Hessian has
an eigenvalue $\lambda > \alpha/(\gamma - \beta)$. Dashed: the border of stability by linear
theory for $\lambda = 3$, a value chosen by eye to lie along the failures at large $\beta$;
the true eigenvalues change as the network learns.

Source: C. Castera, J. Bolte, C. Fevotte, E. Pauwels, JMLR 22(134), 2021; the pairs are
those of the authors' poster, the border is derived in this project. Data, network, step
sizes and ranges are chosen here.
"""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

import dynsys as ds
from dynsys.analysis import inna_stability_limit
from scripts.command_line import run
from scripts.learning.datasets import load
from scripts.learning.loop import Program, Recipe, compile_program
from scripts.learning.models import MODELS
from scripts.learning.optimisers import Hyperparameters
from scripts.learning.runs import Keeping, train
from scripts.measured import listed, power, write_measured

NAME = "sensitivity"
STEPS = (0.03, 0.1, 0.3)
ALPHAS = np.concatenate([[0.0], np.geomspace(0.03, 3.0, 9)])
BETAS = np.geomspace(0.01, 10.0, 13)
PAIRS = ((0.1, 0.1), (0.5, 0.1), (0.5, 0.5))
EPOCHS, SEEDS = 20, 3
CURVATURE = 3.0
GREY, DARK = "#B0B0B0", "#505050"
HATCHES: dict[str, Any] = {
    "has learnt nothing": {"facecolor": GREY, "hatch": "////", "edgecolor": "white"},
    "diverged": {"facecolor": DARK, "hatch": "xxxx", "edgecolor": "white"},
}


class Map(NamedTuple):
    """What came out for one step size, of shape `(alphas, betas, seeds)`.

    Args:
        step: The step size.
        alphas: Viscous dampings.
        betas: Geometric dampings.
        loss: Training loss at the end.
        accuracy: Test accuracy at the end.
        guess: The loss of the best constant guess.
    """

    step: float
    alphas: np.ndarray
    betas: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray
    guess: float

    @property
    def diverged(self) -> np.ndarray:
        """Cells with a run whose loss is not a number."""
        return np.logical_not(np.isfinite(self.loss).all(axis=2))

    @property
    def idle(self) -> np.ndarray:
        """Other cells with a run that does no better than a constant guess."""
        return np.logical_and((self.loss >= self.guess).any(axis=2), ~self.diverged)

    @property
    def failed(self) -> np.ndarray:
        """Cells of either kind."""
        return self.diverged | self.idle


def entropy(labels: Any) -> float:
    """The smallest cross-entropy that one guess for all images can have."""
    share = np.bincount(np.asarray(labels)) / len(labels)
    share = share[share > 0]
    return float(-np.sum(share * np.log(share)))


def measure(program: Program, step: float, grid: Any, seeds: int, epochs: int) -> Map:
    """Train with each pair of dampings; the runs of one seed go side by side."""
    alphas, betas = grid
    every, alpha, beta = np.meshgrid(np.arange(seeds), alphas, betas, indexing="ij")
    hyper = Hyperparameters(step, 0.0, alpha.ravel(), beta.ravel())
    lanes = len(alphas) * len(betas)
    history = train(program, NAME, hyper, every.ravel(), epochs, Keeping(), lanes)
    loss, accuracy = (
        np.moveaxis(one[-1].reshape(every.shape), 0, 2)
        for one in (history.training_loss, history.test_accuracy)
    )
    guess = entropy(program.dataset.train.labels)
    return Map(step, np.asarray(alphas), np.asarray(betas), loss, accuracy, guess)


def border(
    step: float, curvature: float, alphas: np.ndarray, betas: np.ndarray
) -> np.ndarray:
    """Limit of the step size over the step size, for one eigenvalue: stable above 1."""
    limits = [[inna_stability_limit(a, b, curvature) for b in betas] for a in alphas]
    return np.array(limits) / step


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `sensitivity.pdf` and `.png` into the folder `output`."""
    dataset = load("digits", output)
    program = compile_program(_recipe(), dataset)
    grid = (ALPHAS[::4], BETAS[::6]) if quick else (ALPHAS, BETAS)
    seeds, epochs = (1, 1) if quick else (SEEDS, EPOCHS)
    maps = [measure(program, step, grid, seeds, epochs) for step in STEPS]
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 5.0), layout="constrained")
        _draw(figure, maps)
    ds.plots.save(figure, output / NAME)
    write_measured(output, NAME, numbers(maps))


def _recipe() -> Recipe:
    return Recipe("mlp", MODELS["mlp"].width or 0, "inna", 32)


def _draw(figure: Figure, maps: Sequence[Map]) -> None:
    above, below = figure.subplots(2, len(maps), sharex=True, sharey=True, squeeze=False)
    for axes, one in zip(above, maps, strict=True):
        _cells(axes, one, one.loss.mean(axis=2), cmap="viridis_r", norm=LogNorm(1e-4, 2))
        axes.set_title(rf"$\gamma = {one.step:g}$")
    for axes, one in zip(below, maps, strict=True):
        _cells(axes, one, one.accuracy.mean(axis=2), cmap="cividis", vmin=0.5, vmax=1)
        axes.set_xlabel(r"$\beta$")
    for axes, one in zip([*above, *below], [*maps, *maps], strict=True):
        _lines(axes, one)
    for row, label, form in (
        (above, "training loss", None),
        (below, "test accuracy", PercentFormatter(1, decimals=0)),
    ):
        row[0].set_ylabel(r"$\alpha$")
        colours = row[0].collections[0]
        figure.colorbar(colours, ax=row, label=label, format=form, extend="both", pad=0.02)
    _legend(figure, above[0], maps)


def _cells(axes: Axes, one: Map, values: np.ndarray, **colours: Any) -> None:
    """Coloured cells, and hatched ones where a run failed."""
    axes.pcolormesh(np.where(one.failed, np.nan, values), **colours)
    kinds = zip(HATCHES.values(), (one.idle, one.diverged), strict=True)
    for look, where in kinds:
        for row, column in np.argwhere(where):
            axes.add_patch(_cell(row, column, look))
    ticks = (0.01, 0.1, 1, 10)
    axes.set_xticks(place(ticks, one.betas), [f"{tick:g}" for tick in ticks])
    ticks = (0.03, 0.1, 0.3, 1, 3)
    places = [0.5, *place(ticks, one.alphas)]
    axes.set_yticks(places, ["0", *(f"{tick:g}" for tick in ticks)])
    axes.tick_params(direction="out")


def _cell(row: int, column: int, look: dict[str, Any]) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column, row), 1, 1, linewidth=0, **look)


def place(values: Any, cells: np.ndarray) -> np.ndarray:
    """Where values lie along an axis whose unit is a cell; the cells are logarithmic."""
    positive = cells[cells > 0]
    centre = np.arange(len(positive)) + 0.5 + len(cells) - len(positive)
    slope = (centre[-1] - centre[0]) / np.log(positive[-1] / positive[0])
    return centre[0] + slope * np.log(np.asarray(values) / positive[0])


def _lines(axes: Axes, one: Map) -> None:
    """The step size, the border of stability, and the pairs of the paper."""
    axes.axvline(float(place(one.step, one.betas)), color="white", linewidth=2.2)
    axes.axvline(float(place(one.step, one.betas)), color="black", linewidth=0.9)
    alphas = np.geomspace(one.alphas[one.alphas > 0][0], one.alphas[-1], 60)
    betas = np.geomspace(one.betas[0], one.betas[-1], 60)
    limits = border(one.step, CURVATURE, alphas, betas)
    where = (place(betas, one.betas), place(alphas, one.alphas))
    for color, width in (("white", 2.2), ("black", 0.9)):
        axes.contour(
            *where, limits, [1.0], colors=color, linewidths=width, linestyles="dashed"
        )
    for alpha, beta in PAIRS:
        spot = (place(beta, one.betas), place(alpha, one.alphas))
        axes.plot(*spot, "o", color="white", markeredgecolor="black", markersize=5)
    axes.set(xlim=(0, len(one.betas)), ylim=(0, len(one.alphas)))


def _legend(figure: Figure, axes: Axes, maps: Sequence[Map]) -> None:
    line: Any = {"color": "black", "linewidth": 0.9}
    marker: Any = {"color": "white", "markeredgecolor": "black", "markersize": 5}
    handles: list[Any] = [
        *axes.plot([], [], **line, label=r"$\beta = \gamma$"),
        *axes.plot([], [], linestyle="--", **line),
        *axes.plot([], [], "o", **marker, label="pairs of the paper"),
    ]
    handles[1].set_label(rf"linear theory, $\lambda = {CURVATURE:g}$")
    present = (any(one.idle.any() for one in maps), any(one.diverged.any() for one in maps))
    for (label, look), is_there in zip(HATCHES.items(), present, strict=True):
        handles += [Patch(**look, label=label, linewidth=0)] if is_there else []
    figure.legend(handles=handles, loc="outside upper center", ncols=5, columnspacing=1.2)


def numbers(maps: Sequence[Map]) -> str:
    """The best cell, the cells that failed and the pairs of the paper, a step size each."""
    each = " ".join(_sentence(one) for one in maps)
    return (
        f"each cell is the mean over {maps[0].loss.shape[2]} seeds, and fails if one of "
        f"them does: its loss is not a number, or not below the {maps[0].guess:.3f} of a "
        f"constant guess. {each}"
    )


def _sentence(one: Map) -> str:
    mean = np.where(one.failed, np.inf, one.loss.mean(axis=2))
    row, column = np.unravel_index(np.argmin(mean), mean.shape)
    pairs = listed(f"{_nearest(one, pair)} near {pair}" for pair in PAIRS)
    left = one.failed[:, one.betas < one.step]
    right = one.failed[:, one.betas >= one.step]
    failed = listed(
        f"{part.sum()} of the {part.size} cells with $\\beta {sign} \\gamma$"
        for part, sign in ((left, "<"), (right, r"\ge"))
        if part.size
    )
    best = (
        f"the smallest loss is ${power(mean.min())}$ at $\\alpha = {one.alphas[row]:.2g}$, "
        f"$\\beta = {one.betas[column]:.2g}$"
        if np.isfinite(mean.min())
        else "every cell fails"
    )
    return (
        f"With $\\gamma = {one.step:g}$ {best}; it is {pairs}; {failed} fail "
        f"({one.diverged.sum()} diverge, {one.idle.sum()} learn nothing)."
    )


def _nearest(one: Map, pair: tuple[float, float]) -> str:
    """The loss in the cell that a pair lies in."""
    row = int(place(pair[0], one.alphas))
    column = int(place(pair[1], one.betas))
    if one.failed[row, column]:
        return "none (failed)"
    return f"${power(one.loss[row, column].mean())}$"


if __name__ == "__main__":
    run(sensitivity=main)

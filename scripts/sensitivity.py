r"""How much the dampings of INNA matter: training loss and test error over both of them.

INNA with a constant step size $\gamma$ trains a network with two hidden layers of 64 units
and ReLU on the digits of scikit-learn, in mini-batches of 32, for 20 epochs: one cell for
each pair of dampings $(\alpha, \beta)$, the mean over three seeds of the training loss at
the end, and of the test error. One column for each of three step sizes. The row below the
gap is $\alpha = 0$. Circles: the pairs of the authors' poster, $(0.1, 0.1)$, $(0.5, 0.1)$
and $(0.5, 0.5)$.

A run has diverged if its loss is not a number, and has learnt nothing if the loss is not
below the entropy of the labels: then guessing the same for all images is as good. The cell
says so if that happens for one seed.

By linear theory, at a minimum whose Hessian has the eigenvalue $\lambda$ a step is stable
exactly in the strip $\gamma\lambda < \alpha + \beta\lambda < 2/\gamma + \gamma\lambda/2$.
Dashed is its left side, of too little damping: $\alpha = \lambda(\gamma - \beta)$, which
exists for $\beta < \gamma$ only, left of the solid line. Dash-dotted is its right side, of
too much: $\beta = 2/(\gamma\lambda) + \gamma/2 - \alpha/\lambda$. Both are for
$\lambda = 3$, a value chosen by eye to lie along the failures at large $\beta$; the true
eigenvalues change as the network learns. The theory knows neither mini-batches nor negative
curvature, and does not predict the failures between both sides, at small $\alpha$.

Source: C. Castera, J. Bolte, C. Fevotte, E. Pauwels, JMLR 22(134), 2021; the pairs are
those of the authors' poster, the strip is derived in this project. Data, network, step
sizes and ranges are chosen here.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import PercentFormatter

import dynsys as ds
from scripts.command_line import run
from scripts.learning.damping_map import (
    CURVATURE,
    PAIRS,
    Map,
    damping,
    measure,
    numbers,
    strip,
)
from scripts.learning.datasets import load
from scripts.learning.loop import Recipe, compile_program
from scripts.learning.models import MODELS
from scripts.measured import write_measured

NAME = "sensitivity"
STEPS = (0.03, 0.1, 0.3)
ALPHAS = np.concatenate([[0.0], np.geomspace(0.03, 3.0, 9)])
BETAS = np.geomspace(0.01, 10.0, 13)
EPOCHS, SEEDS = 20, 3
PERCENTS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
GAP = 0.5
"""Height of the gap above the row of alpha = 0, in cells."""
GREY, DARK = "#B0B0B0", "#505050"
HATCHES: dict[str, Any] = {
    "has learnt nothing": {"facecolor": GREY, "hatch": "////", "edgecolor": "white"},
    "diverged": {"facecolor": DARK, "hatch": "xxxx", "edgecolor": "white"},
}


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
        _cells(axes, one, one.error.mean(axis=2), cmap="viridis_r", norm=LogNorm(0.01, 0.5))
        axes.set_xlabel(r"$\beta$")
    for axes, one in zip([*above, *below], [*maps, *maps], strict=True):
        _lines(axes, one)
    for row, label, options in (
        (above, "training loss", {}),
        (below, "test error", {"ticks": PERCENTS, "format": PercentFormatter(1, 0)}),
    ):
        row[0].set_ylabel(r"$\alpha$")
        colours = row[0].collections[0]
        figure.colorbar(colours, ax=row, label=label, extend="both", pad=0.02, **options)
    _legend(figure, above[0], maps)


def _cells(axes: Axes, one: Map, values: np.ndarray, **colours: Any) -> None:
    """Coloured cells, and hatched ones where a run failed."""
    bottoms, zeros = bottoms_of(one.alphas), int(np.sum(one.alphas == 0))
    values = np.where(one.failed, np.nan, values)
    # A row of no numbers is the gap above the cells of 0.
    values = np.insert(values, [zeros] * zeros, np.nan, axis=0)
    tops = np.unique([*bottoms, *(bottoms + 1)])
    axes.pcolormesh(np.arange(len(one.betas) + 1), tops, values, **colours)
    kinds = zip(HATCHES.values(), (one.idle, one.diverged), strict=True)
    for look, where in kinds:
        for row, column in np.argwhere(where):
            place_of_cell = (float(column), float(bottoms[row]))
            axes.add_patch(Rectangle(place_of_cell, 1, 1, linewidth=0, **look))
    ticks = (0.01, 0.1, 1, 10)
    axes.set_xticks(place(ticks, one.betas), [f"{tick:g}" for tick in ticks])
    ticks = (0.03, 0.1, 0.3, 1, 3)
    places = [0.5, *place(ticks, one.alphas)]
    axes.set_yticks(places, ["0", *(f"{tick:g}" for tick in ticks)])
    axes.tick_params(direction="out")
    _break(axes, len(one.betas))


def _break(axes: Axes, width: int) -> None:
    """Cut both vertical sides of the frame at the gap, with two short strokes each."""
    line: Any = {"color": "white", "linewidth": 2, "clip_on": False, "zorder": 3}
    strokes: Any = {"marker": [(-1, -0.6), (1, 0.6)], "markersize": 7, "color": "black"}
    for side in (0, width):
        ends = ([side, side], [1, 1 + GAP])
        axes.plot(*ends, **line)
        axes.plot(*ends, linestyle="none", clip_on=False, zorder=4, **strokes)


def bottoms_of(alphas: np.ndarray) -> np.ndarray:
    """Where the cells of each viscous damping begin, with a gap above those of 0."""
    return np.arange(len(alphas)) + GAP * (alphas > 0)


def place(values: Any, cells: np.ndarray) -> np.ndarray:
    """Where values lie along an axis whose unit is a cell; the cells are logarithmic."""
    centre = bottoms_of(cells)[cells > 0] + 0.5 - GAP * bool(cells[0] > 0)
    positive = cells[cells > 0]
    slope = (centre[-1] - centre[0]) / np.log(positive[-1] / positive[0])
    return centre[0] + slope * np.log(np.asarray(values) / positive[0])


def _lines(axes: Axes, one: Map) -> None:
    """The step size, both sides of the strip, and the pairs of the poster."""
    alphas = np.geomspace(one.alphas[one.alphas > 0][0], one.alphas[-1], 60)
    betas = np.geomspace(one.betas[0], one.betas[-1], 60)
    where = (place(betas, one.betas), place(alphas, one.alphas))
    levels = strip(one.step, CURVATURE)
    styles: Any = ["dashed", "dashdot"]
    for color, width in (("white", 2.2), ("black", 0.9)):
        axes.axvline(float(place(one.step, one.betas)), color=color, linewidth=width)
        axes.contour(
            *where,
            damping(alphas, betas, CURVATURE),
            levels,
            colors=color,
            linewidths=width,
            linestyles=styles,
        )
    for alpha, beta in PAIRS:
        spot = (place(beta, one.betas), place(alpha, one.alphas))
        axes.plot(*spot, "o", color="white", markeredgecolor="black", markersize=5)
    axes.set(xlim=(0, len(one.betas)), ylim=(0, bottoms_of(one.alphas)[-1] + 1))


def _legend(figure: Figure, axes: Axes, maps: Sequence[Map]) -> None:
    line: Any = {"color": "black", "linewidth": 0.9}
    marker: Any = {"color": "white", "markeredgecolor": "black", "markersize": 5}
    lambda_is = rf"$\lambda = {CURVATURE:g}$"
    handles: list[Any] = [
        *axes.plot([], [], **line, label=r"$\beta = \gamma$"),
        *axes.plot([], [], "o", **marker, label="pairs of the authors' poster"),
        *axes.plot([], [], "--", **line, label=f"too little damping for {lambda_is}"),
        *axes.plot([], [], "-.", **line, label=f"too much damping for {lambda_is}"),
    ]
    present = (any(one.idle.any() for one in maps), any(one.diverged.any() for one in maps))
    for (label, look), is_there in zip(HATCHES.items(), present, strict=True):
        handles += [Patch(**look, label=label, linewidth=0)] if is_there else []
    figure.legend(handles=handles, loc="outside upper center", ncols=3, columnspacing=1.6)


if __name__ == "__main__":
    run(sensitivity=main)

r"""A map over both dampings of INNA: how well training ends, and what theory says of it.

By linear theory, at a minimum whose Hessian has the eigenvalue $\lambda$ a step is stable
exactly in the strip $\gamma\lambda < \alpha + \beta\lambda < 2/\gamma + \gamma\lambda/2$.

Source: the conditions of `dynsys.analysis.inna_stability_limit`, solved for the damping
$\alpha + \beta\lambda$.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from scripts.learning.loop import Program
from scripts.learning.optimisers import Hyperparameters
from scripts.learning.runs import Keeping, train
from scripts.measured import listed, power

PAIRS = ((0.1, 0.1), (0.5, 0.1), (0.5, 0.5))
"""The dampings of the authors' poster."""
CURVATURE = 3.0
"""The eigenvalue of the lines, chosen by eye along the failures at large beta."""


class Map(NamedTuple):
    """What came out for one step size, of shape `(alphas, betas, seeds)`.

    Args:
        step: The step size.
        alphas: Viscous dampings.
        betas: Geometric dampings.
        loss: Training loss at the end.
        error: Test error at the end.
        guess: The loss of the best constant guess.
    """

    step: float
    alphas: np.ndarray
    betas: np.ndarray
    loss: np.ndarray
    error: np.ndarray
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

    @property
    def mean(self) -> np.ndarray:
        """The mean loss over the seeds, infinite in cells that failed."""
        return np.where(self.failed, np.inf, self.loss.mean(axis=2))


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
    history = train(program, "map", hyper, every.ravel(), epochs, Keeping(), lanes)
    loss, right = (
        np.moveaxis(one[-1].reshape(every.shape), 0, 2)
        for one in (history.training_loss, history.test_accuracy)
    )
    guess = entropy(program.dataset.train.labels)
    return Map(step, np.asarray(alphas), np.asarray(betas), loss, 1 - right, guess)


def damping(alphas: np.ndarray, betas: np.ndarray, curvature: float) -> np.ndarray:
    r"""The damping $\alpha + \beta\lambda$ of each pair at an eigenvalue."""
    return alphas[:, None] + curvature * betas


def strip(step: float, curvature: float) -> tuple[float, float]:
    """Between which dampings a step is stable at a minimum, by linear theory."""
    return step * curvature, 2 / step + step * curvature / 2


def numbers(maps: Sequence[Map]) -> str:
    """The best cell, the cells that failed and the pairs of the poster, step by step."""
    each = " ".join(_sentence(one) for one in maps)
    return (
        f"each cell is the mean over {maps[0].loss.shape[2]} seeds, and fails if one of "
        f"them does: its loss is not a number, or not below the {maps[0].guess:.3f} of a "
        f"constant guess. {each} {_inside(maps)} {_common(maps)}"
    )


def _inside(maps: Sequence[Map]) -> str:
    """The failures that linear theory does not predict."""
    inside = [unpredicted(one) for one in maps]
    alphas = [
        alpha
        for one, cells in zip(maps, inside, strict=True)
        for alpha in one.alphas[cells.any(axis=1)]
    ]
    return (
        f"Of all {sum(one.failed.sum() for one in maps)} failures "
        f"{sum(cells.sum() for cells in inside)} lie between both sides of the strip for "
        f"$\\lambda = {CURVATURE:g}$, where linear theory has a stable step"
        + (f"; they have $\\alpha \\le {max(alphas):.2g}$." if alphas else ".")
    )


def unpredicted(one: Map) -> np.ndarray:
    """Cells that failed though a step is stable by linear theory."""
    low, high = strip(one.step, CURVATURE)
    dampings = damping(one.alphas, one.betas, CURVATURE)
    return one.failed & (low < dampings) & (dampings < high)


def _common(maps: Sequence[Map]) -> str:
    """The pair that is best for all step sizes together."""
    product = np.prod([one.mean for one in maps], axis=0)
    row, column = np.unravel_index(np.argmin(product), product.shape)
    if not np.isfinite(product[row, column]):
        return "No pair learns with all step sizes."
    each = listed(f"${power(one.mean[row, column])}$" for one in maps)
    return (
        f"The smallest product of the losses of all step sizes is at $\\alpha = "
        f"{maps[0].alphas[row]:.2g}$, $\\beta = {maps[0].betas[column]:.2g}$: {each}."
    )


def _sentence(one: Map) -> str:
    mean = one.mean
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
    row, column = _index(one.alphas, pair[0]), _index(one.betas, pair[1])
    if one.failed[row, column]:
        return "none (failed)"
    return f"${power(one.loss[row, column].mean())}$"


def _index(cells: np.ndarray, value: float) -> int:
    """The cell that a value lies in; the cells are logarithmic, but for one of 0."""
    far = [abs(np.log(value / cell)) if cell > 0 else np.inf for cell in cells]
    return int(np.argmin(far))

r"""Spirals or not: INNA at a minimum, with constant and with vanishing damping.

The quadratic experiment of the saddle paper, $J(\theta) = \theta_1^2 + 2\theta_2^2$ from
$(1, 1)$, with $\dot\theta_0 = -\nabla J(\theta_0)$ and $\gamma = 0.01$: the pairs
$(\alpha, \beta) = (2, 0.1)$ and $(2, 1)$, and their vanishing versions with $\alpha_k =
2/((k + 1)\sqrt\gamma)$. In the time $t = \gamma(k + 1)$ that is $0.2/t$.

There is no saddle here: the paper, which proves that INNA avoids saddles, goes on to how it
arrives at a minimum, and this is its example.

Left, the first 1500 iterates, joined, on axes of cube roots, which show what is small;
circle: start, star: minimiser. A coordinate spirals, that is, changes its sign again and
again, if its eigenvalue $\lambda$ of the Hessian, 2 or 4, satisfies $(\alpha +
\beta\lambda)^2 < 4\lambda$; where $\alpha$ vanishes, in the end. For $\beta = 1$ and
$\lambda = 4$ both sides are equal at $\alpha = 0$, so this coordinate never spirals.

Right, $J$ along the iterations. Grey and wide, the slowest mode $J = \frac\lambda2
c^2|\mu|^{2k}$ with the largest eigenvalue $\mu$ of the map of INNA and the part $c$ that
the start has in it; where $\mu$ is not real, its envelope. Only the two runs with constant
damping have one: with a vanishing damping the map changes from step to step.

Source: C. Castera, J. Optim. Theory Appl. 199 (2023), arXiv 2111.04596, and the code of its
experiments (camcastera/INNAavoidsSaddles, `illu_on_quadratic.py`): function, start, pairs,
step, number of iterations and the interval of spirals. It calls the vanishing damping
$2/t$, and takes $\psi_0$ with $\alpha = 2$ there, too. The rates are derived here.
"""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dynsys as ds
from dynsys.algorithms import inna, iterate
from dynsys.analysis import inna_spectrum, spiral_interval
from scripts.command_line import run
from scripts.measured import listed, write_measured

NAME = "saddle_quadratic"
STEP, STEPS, DRAWN, LATE = 0.01, 7000, 1500, 4000
EIGENVALUES = np.array([2.0, 4.0])
START = np.ones(2)
BOWL = ds.objectives.Quadratic(np.diag(EIGENVALUES))
LIMITS, TICKS = (-1.6, 1.6), (-1, -0.1, 0, 0.1, 1)


class Case(NamedTuple):
    """Dampings of a run."""

    alpha: float
    beta: float
    vanishes: bool
    color: str
    linestyle: Any

    @property
    def name(self) -> str:
        """For titles and legends."""
        alpha = f"{self.alpha * STEP**0.5:g}/t" if self.vanishes else f"{self.alpha:g}"
        return rf"$\alpha={alpha}$, $\beta={self.beta:g}$"

    @property
    def last_alpha(self) -> float:
        """The viscous damping, or its limit."""
        return 0.0 if self.vanishes else self.alpha

    def vanishing(self, k: ArrayLike) -> jax.Array:
        """The vanishing viscous damping in iteration k."""
        return self.alpha / STEP**0.5 / (jnp.asarray(k, float) + 1)


CASES = (
    Case(2.0, 0.1, vanishes=False, color="#0072B2", linestyle="-"),
    Case(2.0, 1.0, vanishes=False, color="#D55E00", linestyle=(0, (5, 1.5))),
    Case(2.0, 0.1, vanishes=True, color="#009E73", linestyle=(0, (6, 1.5, 1, 1.5))),
    Case(2.0, 1.0, vanishes=True, color="#000000", linestyle=(0, (1, 1))),
)


def follow(case: Case) -> np.ndarray:
    """The iterates, of shape `(STEPS + 1, 2)`."""
    alpha = case.vanishing if case.vanishes else case.alpha
    slope = (case.beta**2 - case.beta) * EIGENVALUES * START
    psi = (1 - case.alpha * case.beta) * START - slope
    method = inna(STEP, alpha, case.beta, start=psi)
    return np.asarray(iterate(method, BOWL, START, STEPS).x)


def value(theta: np.ndarray) -> np.ndarray:
    """The objective along the iterates."""
    return theta**2 @ EIGENVALUES / 2


def sign_changes(theta: np.ndarray) -> np.ndarray:
    """How often each coordinate changes its sign."""
    return np.sum(np.sign(theta[1:]) != np.sign(theta[:-1]), axis=0)


def spirals(case: Case) -> np.ndarray:
    """Which coordinates spiral, in the end where the damping vanishes."""
    low, high = spiral_interval(case.last_alpha, case.beta) or (0.0, 0.0)
    return (low < EIGENVALUES) & (high > EIGENVALUES)


def radii(case: Case) -> np.ndarray:
    """By what each coordinate shrinks in an iteration, in the end."""
    found = [inna_spectrum(case.last_alpha, case.beta, lam, STEP) for lam in EIGENVALUES]
    return np.abs(found)[:, 0]


def slowest_mode(case: Case, k: np.ndarray) -> np.ndarray:
    """What the slowest mode adds to the objective; if it turns, at most."""
    index = np.argmax(radii(case))
    lam, first = EIGENVALUES[index], START[index]
    mu, other = inna_spectrum(case.alpha, case.beta, lam, STEP)
    # The first step has length gamma along the gradient.
    part = abs(first * (1 - STEP * lam - other) / (mu - other))
    if spirals(case)[index]:
        part = 2 * part
    return lam / 2 * part**2 * abs(mu) ** (2 * k)


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `saddle_quadratic.pdf`, `.png` and `.md` into the folder `output`."""
    paths = [follow(case) for case in CASES]
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 3.7), layout="constrained")
        axes = figure.subplot_mosaic("ABE;CDE", width_ratios=(1, 1, 1.75))
        for letter, case, path in zip("ABCD", CASES, paths, strict=True):
            _draw_path(axes[letter], case, path)
        for letter in "AC":
            axes[letter].set_ylabel(r"$\theta_2$ (cube-root axis)")
        for letter in "CD":
            axes[letter].set_xlabel(r"$\theta_1$ (cube-root axis)")
        _draw_values(axes["E"], paths, 20 if quick else 1)
    ds.plots.save(figure, output / NAME)
    write_measured(output, NAME, numbers(paths))


def numbers(paths: Sequence[np.ndarray]) -> str:
    """How often signs change, and how fast the objective falls."""
    changes = "; ".join("{} and {}".format(*sign_changes(path)) for path in paths)
    measured = listed(f"{decades(path):.2f}" for path in paths)
    predicted = listed(f"{-2000 * np.log10(radii(case).max()):.2f}" for case in CASES)
    low, high = spiral_interval(CASES[0].alpha, CASES[0].beta) or (0.0, 0.0)
    return (
        f"in the order of the legend, $\\theta_1$ and $\\theta_2$ change their signs "
        f"{changes} times in {STEPS} iterations; with $(2, 0.1)$ eigenvalues from "
        f"{low:.4f} to {high:.2f} spiral, with $(2, 1)$ none. From iteration {LATE} on $J$ "
        f"falls by {measured} decades in 1000 iterations; the map of INNA, without "
        f"$\\alpha$ where it vanishes, predicts {predicted}."
    )


def decades(path: np.ndarray) -> float:
    """By how many powers of ten the objective falls in 1000 iterations, in the end."""
    k = np.arange(LATE, STEPS + 1)
    return -1000 * np.polyfit(k, np.log10(value(path[k])), 1)[0]


def _draw_path(axes: Axes, case: Case, path: np.ndarray) -> None:
    """A path on axes of cube roots."""
    for line in (axes.axhline, axes.axvline):
        line(0, color="0.8", linewidth=0.6, zorder=0)
    axes.plot(*path[:DRAWN].T, color=case.color, linewidth=1.0)
    mark = {"color": "white", "markeredgecolor": "black", "markeredgewidth": 0.8}
    axes.plot(*START, "o", markersize=5, **mark)
    axes.plot(0, 0, "*", markersize=7, **mark)
    functions = np.cbrt, lambda root: root**3
    axes.set_xscale("function", functions=functions)
    axes.set_yscale("function", functions=functions)
    labels = [f"${tick}$" for tick in TICKS]
    axes.set(xticks=TICKS, yticks=TICKS, xticklabels=labels, yticklabels=labels)
    words = {0: "no spiral", 1: r"$\theta_1$ spirals", 2: "both spiral"}
    axes.set(title=f"{case.name}: {words[spirals(case).sum()]}")
    axes.set(xlim=LIMITS, ylim=LIMITS, aspect="equal")


def _draw_values(axes: Axes, paths: Sequence[np.ndarray], every: int) -> None:
    """The objective along the iterations, and the slowest modes."""
    k = np.arange(0, STEPS + 1, every)
    for case, path in zip(CASES, paths, strict=True):
        look = {"color": case.color, "linestyle": case.linestyle}
        axes.plot(k, value(path[k]), label=case.name, **look)
    for case, label in zip(
        CASES[:2], ("slowest mode (constant dampings)", None), strict=True
    ):
        mode = slowest_mode(case, k)
        axes.plot(k, mode, color="0.8", linewidth=4, zorder=1, label=label)
    axes.set(yscale="log", xlim=(0, STEPS), ylim=(1e-70, 1e2), xlabel="$k$")
    axes.set_yticks(10.0 ** np.arange(-70, 1, 10))
    axes.set_title(r"$J(\theta_k)=\theta_1^2+2\theta_2^2$")
    axes.legend(loc="lower left")


if __name__ == "__main__":
    run(saddle_quadratic=main)

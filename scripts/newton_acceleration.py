r"""Mass and damping decide whether VM-DIN-AVD is faster or slower than continuous Newton.

Left: $f(x) = \frac12x^2$ (eigenvalue $\lambda = 1$), $\beta = 1$, from rest, for three
pairs of mass and damping. Continuous Newton is $x_N = x_0e^{-t/\beta}$; drawn is
$\ln(x/x_N)$ up to $t = 10^4$, measured, and as the exponent of the slow solution predicts
it. The integral of $\varepsilon/\beta - \alpha$ decides: it diverges to $-\infty$,
converges, or diverges to $+\infty$.

Right: constant mass and damping. The rate of x, in units of Newton's rate $1/\beta$; x
beats Newton exactly for $\alpha\beta < \varepsilon < \beta(\alpha + \beta\lambda)/2$, and
is twice as fast at $\alpha = 0$, $\varepsilon = \beta^2\lambda/4$.

Source: that the variable mass controls the rate is in the abstract of Castera, Attouch,
Fadili, Ochs, arXiv 2301.08726; the formulas are derived here. Schedules are chosen here.
"""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dynsys as ds
from dynsys.analysis.newton.acceleration import (
    constant_rate,
    log_amplitude,
    relative_to_newton,
)
from dynsys.analysis.newton.comparison import compare_with_newton
from dynsys.schedules import PowerLaw
from scripts.command_line import run
from scripts.measured import listed, power, write_measured

NAME = "newton_acceleration"
BETA, EIGENVALUE = 1.0, 1.0
LAST = 1e4
ARROW = {"arrowstyle": "-", "linewidth": 0.6, "shrinkB": 4}


class Case(NamedTuple):
    """One curve: mass, damping, how they are written, colour, and where its name goes."""

    epsilon: PowerLaw
    alpha: PowerLaw
    formula: str
    color: str
    place: tuple[float, float]


CASES = (
    Case(
        PowerLaw(0.05, 1.0),
        PowerLaw(0.3, 1.0),
        r"$\varepsilon=0.05/(1+t)$, $\alpha=0.3/(1+t)$",
        "#D55E00",
        (300.0, 2.0),
    ),
    Case(
        PowerLaw(0.3, 2.0),
        PowerLaw(0.3, 2.0),
        r"$\varepsilon=\alpha=0.3/(1+t)^2$",
        "#0072B2",
        (9e3, 0.0),
    ),
    Case(
        PowerLaw(0.3, 1.0),
        PowerLaw(0.0, 1.0),
        r"$\varepsilon=0.3/(1+t)$, $\alpha=0$",
        "#009E73",
        (100.0, -1.7),
    ),
)


def times_of(count: int) -> np.ndarray:
    """Times, evenly spaced in their logarithm."""
    return np.concatenate([[0.0], np.geomspace(0.01, LAST, count)])


def measure(case: Case, count: int) -> np.ndarray:
    r"""$\ln(x/x_N)$ along the solution from rest."""
    system = relative_to_newton(case.epsilon, case.alpha, BETA, EIGENVALUE)
    # x' = 0 is u' = u / beta.
    path = ds.simulate(
        system, [1.0], [1 / BETA], t1=LAST, times=times_of(count), rtol=1e-9, atol=1e-12
    )
    return np.log(np.asarray(path.x[:, 0]))


def predict(case: Case, count: int) -> np.ndarray:
    r"""$\ln(x/x_N)$ by the exponent of the slow solution, up to a constant."""
    times = times_of(count)
    return log_amplitude(case.epsilon, case.alpha, BETA, EIGENVALUE, times).slow


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `newton_acceleration.pdf` and `.png` into the folder `output`."""
    count = 60 if quick else 300
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        measured = [measure(case, count) for case in CASES]
        draw_cases(left, measured, count)
        draw_map(right, 60 if quick else 300)
    ds.plots.save(figure, output / NAME)
    write_measured(output, NAME, numbers(measured, count))


def numbers(measured: Sequence[np.ndarray], count: int) -> str:
    """Powers of time over the last decade, and how well the last three are predicted."""
    t = times_of(count)
    decade, late = t >= LAST / 10, t >= LAST / 1000
    slopes = [np.polyfit(np.log(t[decade]), one[decade], 1)[0] for one in measured]
    exponents = listed(f"{round(slope, 3) + 0.0:.3f}" for slope in slopes)
    rest = [one - predict(case, count) for case, one in zip(CASES, measured, strict=True)]
    apart = max(float(np.ptp(one[late])) for one in rest)
    return (
        f"over the last decade $x/x_N$ is a power of $t$ with exponents {exponents} "
        f"(slower, same rate, faster); over the last three decades the formula is within "
        f"${power(apart)}$ of $\\ln(x/x_N)$."
    )


def draw_cases(ax: Axes, measured: Sequence[np.ndarray], count: int) -> None:
    """Measured solid, predicted dashed; the constant is that of the last time."""
    times = times_of(count)
    for case, values in zip(CASES, measured, strict=True):
        verdict = compare_with_newton(case.epsilon, case.alpha, BETA)
        ax.plot(times, values, color=case.color, linewidth=2)
        predicted = predict(case, count)
        shifted = predicted - predicted[-1] + values[-1]
        ax.plot(times, shifted, color="black", linestyle=(0, (4, 2)), linewidth=0.9)
        text = f"{verdict}: {case.formula}"
        ax.text(*case.place, text, color=case.color, ha="right", va="center")
    ax.plot([], [], color="0.5", linewidth=2, label="measured")
    ax.plot([], [], color="k", linestyle=(0, (4, 2)), linewidth=0.9, label="predicted")
    ax.legend(loc="lower left")
    ax.set(xscale="log", xlim=(0.01, LAST), ylim=(-3, 3), xlabel="$t$")
    ax.set_ylabel(r"$\ln\,(x(t)/x_N(t))$")
    ax.set_title("Vanishing mass and damping")


def draw_map(ax: Axes, resolution: int) -> None:
    """The rate over constant mass and damping, where Newton has 1."""
    alphas = np.linspace(0.0, 1.25, resolution)
    epsilons = np.linspace(1e-6, 1.25, resolution)
    rates = BETA * constant_rate(epsilons[:, None], alphas, BETA, EIGENVALUE)
    filled = ax.contourf(alphas, epsilons, rates, np.linspace(0, 2, 21), cmap="PuOr_r")
    label = r"rate of $x$ over that of Newton"
    ax.figure.colorbar(filled, ax=ax, label=label, ticks=[0, 0.5, 1, 1.5, 2])
    inside = np.linspace(0.0, BETA * EIGENVALUE, 50)
    for edge in (BETA * inside, BETA * (inside + BETA * EIGENVALUE) / 2):
        ax.plot(inside, edge, color="black")
    best = BETA**2 * EIGENVALUE / 4
    ax.plot(0, best, "k*", markersize=9, clip_on=False, zorder=3)
    small = {"ha": "center", "va": "center", "fontsize": 8}
    ax.text(0.18, 0.45, "faster", **small)
    ax.text(0.75, 0.3, "slower", **small)
    ax.text(0.35, 1.0, "slower", **small)
    ax.annotate("twice as fast", (0, best), (0.45, 0.12), arrowprops=ARROW, **small)
    turned = small | {"rotation_mode": "anchor", "transform_rotates_text": True}
    ax.text(0.6, 0.55, r"$\varepsilon=\alpha\beta$", rotation=45, **turned)
    formula = r"$\varepsilon=\beta(\alpha+\beta\lambda)/2$"
    ax.text(0.5, 0.81, formula, rotation=np.degrees(np.arctan(0.5)), **turned)
    ax.set(xlabel=r"$\alpha$", ylabel=r"$\varepsilon$")
    ax.set_title("Constant mass and damping")


if __name__ == "__main__":
    run(newton_acceleration=main)

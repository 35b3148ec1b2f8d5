r"""How fast g-DIN converges: like a power of time on a flat minimum, else exponentially.

Left: $J(\theta) = |\theta|^p/p$ in one dimension, whose Kurdyka-Łojasiewicz exponent is
$a = 1 - 1/p$, for $p = 3, 4, 6$; $\alpha = 0.5$, $\beta = 0.1$, from $\theta_0 = 1$ at
rest, $t \le 10^6$; fitted on the last two decades. The proved rate of the energy is
$t^{-1/(2a - 1)} = t^{-p/(p - 2)}$.

Right: $J(\theta) = \frac12(\theta_1^2 + 10\,\theta_2^2)$ from $(1, 1)$ at rest, for three
values of $\alpha$ with $\beta = 0.1$. The exact rate is twice the smallest real part of the
roots of $r^2 - (\alpha + \beta\lambda)r + \lambda = 0$.

Source: C. Castera, J. Bolte, C. Févotte, E. Pauwels (2021), arXiv 1905.12278, announce the
sublinear rate in their abstract; its exponents are derived here. Functions and parameters
are chosen here.
"""

import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dynsys as ds
from dynsys.analysis.rates.decay_rate import Decay, decay_rate
from dynsys.analysis.rates.kl_exponent import gdin_rate
from scripts.command_line import run
from scripts.measured import listed, write_measured

NAME = "rates"
ALPHA, BETA = 0.5, 0.1
POWERS = (3.0, 4.0, 6.0)
LAST = 1e6
EIGENVALUES = (1.0, 10.0)
DAMPINGS = (0.1, 0.5, 2.0)
END = 60.0
COLORS = ("#0072B2", "#D55E00", "#009E73")
FITTED = {"color": "black", "linestyle": (0, (4, 2)), "linewidth": 0.9}


def solve_power(p: float, times: int) -> ds.Trajectory:
    """g-DIN on a flat minimum, at times evenly spaced in their logarithm."""
    system = ds.GDIN(ds.objectives.PowerFunction(p), ALPHA, BETA)
    outputs = np.concatenate([[0.0], np.geomspace(0.1, LAST, times)])
    return ds.simulate(system, [1.0], t1=LAST, times=outputs, rtol=1e-9, atol=1e-14)


def solve_quadratic(alpha: float, times: int) -> ds.Trajectory:
    """g-DIN on the quadratic."""
    system = ds.GDIN(ds.objectives.Quadratic(np.diag(EIGENVALUES)), alpha, BETA)
    return ds.simulate(system, [1.0, 1.0], t1=END, times=times, rtol=1e-9, atol=1e-14)


def proved_exponent(p: float) -> float:
    """Exponent of the proved rate of the energy."""
    return gdin_rate(ds.objectives.PowerFunction(p).exponent).energy


def exact_rate(alpha: float) -> float:
    """Rate of the objective on the quadratic, from the characteristic roots."""
    roots = [np.roots([1.0, alpha + BETA * lam, lam]) for lam in EIGENVALUES]
    return float(-2 * np.max(np.real(roots)))


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `rates.pdf` and `.png` into the folder `output`."""
    powers = (4.0,) if quick else POWERS
    flat = [solve_power(p, 200 if quick else 600) for p in powers]
    round_ = [solve_quadratic(alpha, 601 if quick else 3001) for alpha in DAMPINGS]
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 3.1), layout="constrained")
        left, right = figure.subplots(1, 2)
        draw_powers(left, flat, powers)
        draw_quadratics(right, round_)
    ds.plots.save(figure, output / NAME)
    write_measured(output, NAME, numbers(flat, powers, round_))


def numbers(
    flat: Sequence[ds.Trajectory], powers: Sequence[float], round_: Sequence[ds.Trajectory]
) -> str:
    """Fitted exponents and rates with their errors, beside the proved and exact ones."""
    fits = [measure_power(path).power for path in flat]
    exponents = listed(f"{fit.rate:.4f} ± {fit.error:.4f}" for fit in fits)
    proved = listed(f"{proved_exponent(p):g}" for p in powers)
    rates = listed(f"{decay_rate(path).exponential.rate:.5f}" for path in round_)
    exact = listed(f"{exact_rate(alpha):.5f}" for alpha in DAMPINGS)
    return (
        f"over the last two decades before $t = 10^6$ the loss falls with exponents of "
        f"time {exponents}, where {proved} are proved. On the quadratic the fitted rates "
        f"are {rates}, those of the characteristic roots {exact}."
    )


def measure_power(path: ds.Trajectory) -> Decay:
    """The rate on the last two decades, where what flat minima do first is over."""
    return decay_rate(path, window=(LAST / 100, LAST))


def draw_powers(ax: Axes, paths: Sequence[ds.Trajectory], powers: Sequence[float]) -> None:
    """Straight lines on logarithmic axes."""
    for p, path, color in zip(powers, paths, COLORS, strict=False):
        decay = measure_power(path)
        text = (
            f"$p={p:g}$: measured $t^{{-{decay.power.rate:.3f}}}$, "
            f"proved $t^{{-{proved_exponent(p):g}}}$"
        )
        t, y = np.asarray(path.t)[1:], np.asarray(path.objective)[1:]
        ax.plot(t, y, color=color, label=text)
        draw_fit(ax, decay, np.geomspace(*decay.window, 50))
    ax.set(xscale="log", yscale="log", xlim=(0.1, LAST), ylim=(1e-20, 1e6), xlabel="$t$")
    ax.set_ylabel(r"$J(\theta(t))$")
    ax.set_title(r"Flat minimum, $J=|\theta|^p/p$: a power of time")
    ax.legend(loc="upper right")


def draw_quadratics(ax: Axes, paths: Sequence[ds.Trajectory]) -> None:
    """Straight lines on a logarithmic axis."""
    for alpha, path, color in zip(DAMPINGS, paths, COLORS, strict=True):
        decay = decay_rate(path)
        text = (
            rf"$\alpha={alpha:g}$: measured $e^{{-{decay.exponential.rate:.3f}\,t}}$, "
            rf"exact $e^{{-{exact_rate(alpha):.3f}\,t}}$"
        )
        ax.plot(np.asarray(path.t), np.asarray(path.objective), color=color, label=text)
        draw_fit(ax, decay, np.linspace(*decay.window, 50))
    ax.plot([], [], label="fitted", **FITTED)
    ax.set(yscale="log", xlim=(0, END), ylim=(1e-16, 1e7), xlabel="$t$")
    ax.set_title("Quadratic: exponential")
    ax.legend(loc="upper right")


def draw_fit(ax: Axes, decay: Decay, t: np.ndarray) -> None:
    """The better model, in its window."""
    if decay.model == "power law":
        log_y = decay.power.log_factor - decay.power.rate * np.log(t)
    else:
        log_y = decay.exponential.log_factor - decay.exponential.rate * t
    ax.plot(t, np.exp(log_y), **FITTED)


if __name__ == "__main__":
    run(rates=main)

r"""Lyapunov functions of g-DIN: what falls while the loss swings, and by how much.

g-DIN with $\alpha = 0.3$, $\beta = 0.1$ on
$f(x) = \frac12(x_1^2 + 9x_2^2) + 2\sum_i\log\cosh x_i$. Left: the loss swings, the energy
$E = (1 + \alpha\beta)f + \frac12\|\dot\theta + \beta\nabla f\|^2$ of the talk never grows.
Middle: of the family
$E_\lambda = \lambda f + \frac12\|\dot\theta + \beta\nabla f\|^2$ those with $\lambda$ in
$[(1-\sqrt{\alpha\beta})^2, (1+\sqrt{\alpha\beta})^2]$ fall along every trajectory; outside
there is a start from which the energy grows at first, drawn here. Right: what is left of
the identity $E(t) - E(0) = \int\dot E$, for four tolerances.

Source: C. Castera, talk (Dalat, 2023), energy of g-DIN; the sharpness of the interval is
derived in this project. Function, parameters and starts are chosen here.
"""

import functools
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dynsys as ds
from dynsys.analysis import EnergyReport, energy, gdin_interval
from dynsys.analysis.energies import gdin
from scripts.command_line import run
from scripts.measured import listed, power, write_measured

NAME = "lyapunov"
ALPHA, BETA, END = 0.3, 0.1, 12.0
START, VELOCITY = (1.5, -1.0), (0.0, 3.0)
OUTSIDE, SOON = 1.25, 0.2
"""By how much lambda exceeds its interval, and the time that is shown of it."""
TOLERANCES = (1e-3, 1e-5, 1e-7, 1e-9)
COLORS = ("#E69F00", "#009E73", "#0072B2", "#000000")
STYLES = ("-", "--", "-.", ":")


def system() -> ds.GDIN:
    """The system of the figure."""
    return ds.GDIN(ds.objectives.LogCosh([1.0, 9.0], 2.0), ALPHA, BETA)


def follow(
    x0: object, v0: object, end: float, rtol: float, times: int = 401
) -> ds.Trajectory:
    """A trajectory with dense output."""
    options = {"times": times, "dense": True, "rtol": rtol, "atol": 1e-3 * rtol}
    return ds.simulate(system(), x0, v0, t1=end, **options)  # pyright: ignore


class Family(NamedTuple):
    """A member of the family of energies along the worst start for the largest of them.

    Args:
        lam: The number.
        label: What it is.
        report: The energy along the trajectory.
    """

    lam: float
    label: str
    report: EnergyReport


def family(times: int = 401) -> list[Family]:
    """Energies with lambda in, at the end of and outside of the interval."""
    _, high = gdin_interval(system())
    lams = (1 + ALPHA * BETA, high, OUTSIDE * high)
    labels = (r"$1+\alpha\beta$", "end of the interval", "outside of it")
    # The worst velocity for the last one: theta' = c psi', psi' = theta' + beta grad f.
    c = (lams[-1] + 1 - ALPHA * BETA) / (2 * lams[-1])
    slope = jax.grad(system().objective)(jnp.asarray(START))
    path = follow(START, c * BETA / (1 - c) * slope, SOON, 1e-9, times)
    return [
        Family(lam, label, energy(path, functools.partial(gdin, lam=lam)))
        for lam, label in zip(lams, labels, strict=True)
    ]


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `lyapunov.pdf` and `.png` into the folder `output`."""
    times = 101 if quick else 401
    paths = [follow(START, VELOCITY, END, rtol, times) for rtol in TOLERANCES]
    reports, members = [energy(path) for path in paths], family(times)
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 2.6), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        _draw_energy(left, paths[-1], reports[-1])
        _draw_family(middle, members)
        _draw_residuals(right, reports)
    ds.plots.save(figure, output / NAME)
    write_measured(output, NAME, _numbers(reports, members))


def _numbers(reports: list[EnergyReport], members: list[Family]) -> str:
    first, last = reports[-1].value[[0, -1]]
    *_, outside = members
    growth = 100 * outside.report.largest_increase / outside.report.value[0]
    left = listed(f"${power(one.largest_residual)}$" for one in reports)
    rtol = listed(f"${power(rtol, 1)}$" for rtol in TOLERANCES)
    grows = 0 if reports[-1].is_decreasing else reports[-1].largest_increase
    between = f"grows by {grows:.1e}" if grows else "never grows"
    return (
        f"$E$ falls from {first:.2f} to {last:.4f} by $t = {END:g}$ and {between} in "
        f"between; with $\\lambda = {outside.lam:.2f}$, a quarter beyond "
        f"the interval, the energy grows by {growth:.1f}% at first; of the identity at "
        f"most {left} is left for rtol {rtol}."
    )


def _draw_energy(axes: Axes, path: ds.Trajectory, report: EnergyReport) -> None:
    axes.plot(path.t, path.objective, color="0.55", linestyle="--", label="$f$")
    ds.plots.energy_along_time(report, labels=["$E$"], legend=False, ax=axes)
    axes.set(title="The loss swings, $E$ falls", yscale="log", ylabel="", xlim=(0, END))
    axes.set_ylim(1e-4, 1e2)
    axes.legend(loc="upper right")


def _draw_family(axes: Axes, members: list[Family]) -> None:
    for member, color, style in zip(members, COLORS[1:], STYLES, strict=False):
        change = member.report.value / member.report.value[0] - 1
        label = rf"$\lambda={member.lam:.2f}$: {member.label}"
        axes.plot(member.report.t, 100 * change, color=color, linestyle=style, label=label)
    axes.axhline(0, color="0.6", linewidth=0.6)
    axes.set(title=r"$E_\lambda$ from the worst start", xlabel="$t$", xlim=(0, SOON))
    axes.set(ylabel="change in percent", ylim=(-33, 6))
    axes.legend(loc="lower left")


def _draw_residuals(axes: Axes, reports: list[EnergyReport]) -> None:
    for report, rtol, color, style in zip(reports, TOLERANCES, COLORS, STYLES, strict=True):
        residual = np.abs(report.residual[1:])
        label = f"rtol $10^{{{round(np.log10(rtol))}}}$"
        axes.plot(report.t[1:], residual, color=color, linestyle=style, label=label)
    axes.set(title="Left of the identity", xlabel="$t$", yscale="log", xlim=(0, END))
    axes.set(ylabel=r"$|E(t) - E(0) - \int\dot E|$", ylim=(1e-12, 1e-1))
    axes.legend(loc="lower right", ncols=2, handlelength=1.8, columnspacing=1.0)


if __name__ == "__main__":
    run(lyapunov=main)

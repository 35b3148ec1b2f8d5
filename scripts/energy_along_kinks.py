r"""The energy of g-DIN across and along kinks: where it goes, and what is left.

g-DIN with $\alpha = 1.3$, $\beta = 0.1$ on the function of the talk,
$J(\theta) = 100\,(\theta_2 - |\theta_1|)^2 + |1 - \theta_1|$, from $(-1, 1.5)$ with
velocity $-0.1\,\nabla J$: a run of the authors' poster. It crosses $\theta_1 = 0$ and
$\theta_1 = 1$, slides along the latter for 0.0075, leaves it, and sticks to it. The energy
$E = (1 + \alpha\beta)J + \frac12\|(\alpha - \frac1\beta)\theta + \frac1\beta\psi\|^2$ is
continuous there, and falls at the rate $-\alpha\|\dot\theta\|^2 - \beta\|v\|^2$ with the
element $v$ of the subdifferential that moves the solution.

Source: C. Castera, talk (Dalat, 2023), energy of g-DIN and the chain rule of tame
functions; parameters and start of the poster (camcastera.github.io).
"""

import pathlib

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dynsys as ds
from dynsys.analysis import EnergyReport, energy
from scripts.command_line import run
from scripts.measured import listed, power, write_measured

NAME = "energy_along_kinks"
START, END = (-1.0, 1.5), 10.0
TOLERANCES = (1e-5, 1e-7, 1e-9)
COLORS = ("#009E73", "#0072B2", "#000000")
STYLES = ("--", "-.", "-")
EVENTS = (("crosses", "o"), ("starts to slide", "s"), ("leaves", "^"))
KINKS = ("#0072B2", "#D55E00")


def follow(rtol: float, times: int = 1201) -> ds.Trajectory:
    """The solution of the inclusion."""
    system = ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.3, 0.1)
    start = system.state(START, system.initial_psi(START, speed=0.1))
    options = {"times": times, "dense": True, "rtol": rtol, "atol": 1e-3 * rtol}
    return ds.simulate(system, start, t1=END, **options)  # pyright: ignore


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `energy_along_kinks.pdf` and `.png` into the folder `output`."""
    paths = [follow(rtol, 121 if quick else 1201) for rtol in TOLERANCES]
    reports = [energy(path) for path in paths]
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 2.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_energy(left, paths[-1], reports[-1])
        _draw_residuals(right, paths[-1], reports)
    ds.plots.save(figure, output / NAME)
    write_measured(output, NAME, _numbers(paths[-1], reports))


def _numbers(path: ds.Trajectory, reports: list[EnergyReport]) -> str:
    count = int(path.events.count)
    times = listed(f"{time:.4f}" for time in np.asarray(path.events.t[:count]))
    left = listed(f"${power(one.largest_residual / one.value[0])}$" for one in reports)
    rtol = listed(f"${power(rtol, 1)}$" for rtol in TOLERANCES)
    grows = "never grows" if reports[-1].is_decreasing else "grows"
    return (
        f"events at $t =$ {times}. $E$ {grows}, and of the identity at most {left} of "
        f"$E(0)$ is left for rtol {rtol}."
    )


def _draw_energy(axes: Axes, path: ds.Trajectory, report: EnergyReport) -> None:
    """Energy and loss, with the events."""
    loss = (1 + 1.3 * 0.1) * np.asarray(path.objective)
    axes.plot(path.t, loss, color="0.55", linestyle="--", label=r"$(1+\alpha\beta)\,J$")
    ds.plots.energy_along_time(report, labels=["$E$"], legend=False, ax=axes)
    _mark_events(axes, path, report)
    axes.set(title="$E$ falls across and along kinks", xlim=(0, END), ylim=(-0.06, 3))
    axes.set_ylabel("")
    axes.legend(loc="upper right")


def _draw_residuals(axes: Axes, path: ds.Trajectory, reports: list[EnergyReport]) -> None:
    for report, rtol, color, style in zip(reports, TOLERANCES, COLORS, STYLES, strict=True):
        label = f"rtol $10^{{{round(np.log10(rtol))}}}$"
        size = np.abs(report.residual[1:]) / report.value[0]
        look = {"color": color, "linestyle": style, "linewidth": 0.9}
        axes.plot(report.t[1:], size, label=label, **look)
    for time in np.asarray(path.events.t[: int(path.events.count)]):
        axes.axvline(time, color="0.8", linewidth=0.8, zorder=0)
    axes.set(
        title="Left of the identity",
        xlabel="$t$",
        yscale="log",
        xlim=(0, END),
    )
    axes.set(ylabel=r"$|E(t) - E(0) - \int\dot E|\,/\,E(0)$", ylim=(1e-13, 3e-4))
    axes.legend(loc="upper right", ncols=3, handlelength=1.8, columnspacing=1.0)


def _mark_events(axes: Axes, path: ds.Trajectory, report: EnergyReport) -> None:
    """A mark for each event: its shape says what happens, its colour at which kink."""
    count = int(path.events.count)
    columns = path.events.t, path.events.kink, path.events.kind
    rows = zip(*(np.asarray(column[:count]) for column in columns), strict=True)
    drawn = set()
    for time, kink, kind in rows:
        word, marker = EVENTS[kind]
        label = rf"{word} $\theta_1={kink}$"
        axes.plot(
            time,
            np.interp(time, report.t, report.value),
            marker,
            color=KINKS[kink],
            markersize=4.5,
            linestyle="none",
            label=None if label in drawn else label,
        )
        drawn.add(label)


if __name__ == "__main__":
    run(energy_along_kinks=main)

r"""DIN on the non-smooth Rosenbrock function: the sequence of the talk.

$$J(\theta) = 100\,(\theta_2 - |\theta_1|)^2 + |1 - \theta_1|$$

Three runs of g-DIN for $t \in [0, 10]$ from $\theta_0 = (-1, 1.5)$, with initial
velocity $-0.1\,\nabla J(\theta_0) = (-9.9, -10)$: a base run with $(\alpha, \beta) =
(0.3, 0.01)$, a larger $\beta$, $(0.3, 0.1)$, and a larger $\alpha$, $(1.3, 0.1)$.

Source: C. Castera, talk (Dalat, 2023), "Numerical illustration"; function and order of
the runs. The parameters and the start are those of the curves in the INNA poster
(camcastera.github.io, images/INNA_poster.pdf), which stores them as vectors. Its captions
of the first two panels read $\alpha = 0.5$, but its curves are those of $\alpha = 0.3$.
"""

import pathlib

from matplotlib.figure import Figure

import dynsys as ds
from scripts.command_line import run

NAME = "din_rosenbrock"
START = (-1.0, 1.5)
SPEED = 0.1
RUNS = (
    ("Base run", 0.3, 0.01),
    (r"Larger $\beta$", 0.3, 0.1),
    (r"Larger $\alpha$", 1.3, 0.1),
)
LIMITS = ((-1.75, 1.75), (-0.25, 1.8))
NOTE = (
    r"$J(\theta) = 100(\theta_2-|\theta_1|)^2 + |1-\theta_1|$, "
    r"$\dot\theta_0=-0.1\nabla J(\theta_0)$. The poster prints $\alpha=0.5$ for the "
    r"first two runs; its curves, as these, have $\alpha=0.3$."
)


def simulate(alpha: float, beta: float, times: int) -> ds.Trajectory:
    """One run of the figure, at so many evenly spaced times."""
    objective = ds.objectives.NonsmoothRosenbrock()
    system = ds.GDIN(objective, alpha=alpha, beta=beta)
    start = system.state(START, system.initial_psi(START, speed=SPEED))
    return ds.simulate(system, start, t1=10.0, times=times, rtol=1e-9, atol=1e-12)


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `din_rosenbrock.pdf` and `.png` into the folder `output`."""
    times = 201 if quick else 4001
    paths = [simulate(alpha, beta, times) for _, alpha, beta in RUNS]
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 4.3), layout="constrained")
        axes = ds.plots.comparison(
            ds.objectives.NonsmoothRosenbrock(),
            *paths,
            labels=[rf"{name}: $\alpha={a}$, $\beta={b}$" for name, a, b in RUNS],
            limits=LIMITS,
            resolution=100 if quick else 400,
            figure=figure,
        )
        for above, below in axes.T:
            above.set_xlabel(r"$\theta_1$")
            below.set(xticks=range(0, 11, 2), ylim=(1e-6, 2e2))
        axes[0, 0].set_ylabel(r"$\theta_2$")
        axes[1, 0].set_ylabel(r"$J(\theta(t))$")
        figure.supxlabel(NOTE, fontsize=8, color="0.3")
    ds.plots.save(figure, output / NAME)


if __name__ == "__main__":
    run(din_rosenbrock=main)

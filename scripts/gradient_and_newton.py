r"""Gradient flow, continuous Newton, Levenberg-Marquardt and DIN on one function.

The question of the talk, "why not mix both methods?": gradient flow falls down the steep
direction and then crawls along the valley, Newton's flow does not see the conditioning
but solves with the Hessian, DIN mixes both and adds inertia, at one gradient a step.

The function is $f(x) = \frac12\sum_i c_i x_i^2 + w\sum_i\log\cosh x_i$ with
$c = (0.05, 5)$, $w = 0.3$: smooth, strongly convex, not quadratic, with condition number
above 100. All start at $(-3, 1.5)$, DIN at rest, $t \in [0, 15]$. All have
$\beta = 1$; Levenberg-Marquardt has $\alpha = 1$ and DIN $\alpha = 0.5$.

Source: C. Castera, talk (Dalat, 2023), "The ODE paradigm". The talk has no such picture;
function and parameters are chosen here.
"""

import pathlib

from matplotlib.figure import Figure

import dynsys as ds
from scripts.command_line import run

NAME = "gradient_and_newton"
START = (-3.0, 1.5)
END = 15.0
NOTE = (
    r"$f(x)=\sum_i\,(c_ix_i^2/2 + 0.3\,\log\cosh x_i)$, $c=(0.05, 5)$. $\beta=1$; "
    r"Levenberg–Marquardt: $\alpha=1$; DIN: $\alpha=0.5$."
)


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `gradient_and_newton.pdf` and `.png` into the folder `output`."""
    f = ds.objectives.LogCosh([0.05, 5.0], weight=0.3)
    systems = (
        ds.GradientFlow(f),
        ds.ContinuousNewton(f, beta=1.0),
        ds.LevenbergMarquardt(f, alpha=1.0, beta=1.0),
        ds.DIN(f, alpha=0.5, beta=1.0),
    )
    times = 101 if quick else 1001
    paths = [ds.simulate(system, START, t1=END, times=times) for system in systems]
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 3.1), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        resolution = 100 if quick else 400
        ds.plots.level_lines(
            f,
            *paths,
            resolution=resolution,
            mark_ends=False,
            legend=False,
            ax=left,
        )
        ds.plots.objective_along_time(*paths, legend=False, ax=right)
        right.set(xlim=(0, END), ylim=(1e-6, 20))
        handles, labels = right.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4)
        figure.supxlabel(NOTE, fontsize=8, color="0.3")
    ds.plots.save(figure, output / NAME)


if __name__ == "__main__":
    run(gradient_and_newton=main)

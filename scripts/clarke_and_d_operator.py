r"""Clarke's subdifferential of a sum, and the sum of subdifferentials.

The talk's non-smooth calculus: the subdifferential of a sum is contained in the sum of
the subdifferentials, $\partial(J_1 + J_2) \subset \partial J_1 + \partial J_2 = D J$, and
may be smaller. Left: $|t|$ and $-|t|$, whose sum is 0. Right: $\mathrm{relu}(t)$ and
$-\mathrm{relu}(-t)$, whose sum is $t$: at 0 the operator D holds 0, though the sum has no
critical point.

Source: C. Castera, talk (Dalat, 2023), "non-smooth calculus"; the right example is
derived here.
"""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dynsys as ds
from scripts.command_line import run

NAME = "clarke_and_d_operator"
CLARKE, OPERATOR = "#0072B2", "#E69F00"


class Case(NamedTuple):
    """One panel: a title, and the two terms of a sum."""

    title: str
    terms: Sequence[Callable[[Any], Any]]

    def total(self, t: Any) -> Any:
        """The sum."""
        return sum(term(t) for term in self.terms)


CASES = (
    Case(r"$J_1=|t|,\quad J_2=-|t|$", (jnp.abs, lambda t: -jnp.abs(t))),
    Case(
        r"$J_1=\mathrm{relu}(t),\quad J_2=-\mathrm{relu}(-t)$",
        (jax.nn.relu, lambda t: -jax.nn.relu(-t)),
    ),
)


def intervals(case: Case, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of Clarke's subdifferential of the sum, and of D, at several points."""
    ends = lambda found: (found.vertices.min(), found.vertices.max())
    clarke = [ends(ds.nonsmooth.clarke_subdifferential(case.total, t)) for t in times]
    operator = [ends(ds.nonsmooth.d_operator(case.terms, t)) for t in times]
    return np.array(clarke), np.array(operator)


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `clarke_and_d_operator.pdf` and `.png` into the folder `output`."""
    number = 2 if quick else 4
    times = np.concatenate(
        [-np.linspace(1, 0.25, number), [0.0], np.linspace(0.25, 1, number)]
    )
    with ds.plots.context():
        figure = Figure(figsize=(6.0, 2.8), layout="constrained")
        panels = figure.subplots(1, 2)
        for axes, case in zip(panels, CASES, strict=True):
            _draw(axes, case, times)
        handles = panels[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=2)
    ds.plots.save(figure, output / NAME)


def _draw(axes: Axes, case: Case, times: np.ndarray) -> None:
    clarke, operator = intervals(case, times)
    middle = np.flatnonzero(times == 0)[0]
    for ends, color, width, label in (
        (operator, OPERATOR, 5.0, r"$DJ = \partial J_1 + \partial J_2$"),
        (clarke, CLARKE, 1.6, r"$\partial(J_1 + J_2)$, Clarke"),
    ):
        for part in (slice(0, middle), slice(middle + 1, None)):
            near = [*times[part], 0.0] if part.start == 0 else [0.0, *times[part]]
            value = ends[part][0, 0]
            axes.plot(near, [value] * len(near), color=color, linewidth=width)
        low, high = ends[middle]
        line = {"color": color, "linewidth": width, "solid_capstyle": "round"}
        axes.plot([0, 0], [low, high], label=label, **line)
    axes.set(title=case.title, xlabel="$t$", ylabel="elements of the sets")
    axes.margins(y=0.15)


if __name__ == "__main__":
    run(clarke_and_d_operator=main)

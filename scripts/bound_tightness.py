r"""How tight the bounds on the distance to continuous Newton are, and of which order.

Left, the largest ratio of distance and bound along time, against a constant mass
$\varepsilon$. From the minimiser with velocity 1 all energy is kinetic, and the theorem's
bound is too large by a factor of 2 and no more; from rest the linear bound is attained in
the limit. Right, the largest distance: it is of order $\varepsilon$ for a velocity that
stays, and of order $\sqrt\varepsilon$, that of the theorem, where the velocity grows like
$\varepsilon^{-1/2}$ so that the kinetic energy stays.

The function is $f(x) = 0.65x^2$, $\alpha = 0$, $\beta = 0.7$, $t \in [0, 8]$, with outputs
that are dense in the initial layer, of length $\varepsilon$. Starts: the minimiser with
velocity 1, or 1 with velocity 0, 1 and $\varepsilon^{-1/2}$.

Source: theorem: Castera, Attouch, Fadili, Ochs (2023), arXiv 2301.08726, as stated in the
talk. The constants, the linear bound and these limits are derived in dynsys.
"""

import pathlib
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import dynsys as ds
from dynsys.analysis.newton.distance import newton_distance
from dynsys.analysis.newton.observed_constants import observed_order
from scripts.command_line import run
from scripts.measured import listed, power, write_measured

NAME = "bound_tightness"
EIGENVALUE, BETA, END, LAYER = 1.3, 0.7, 8.0, 201
MASSES = np.logspace(-1, -8, 15)
NOTE = (
    r"$f(x)=0.65\,x^2$, constant mass $\varepsilon$, $\alpha=0$, $\beta=0.7$, $t\in[0,8]$."
)


class Start(NamedTuple):
    """A start, the bound that is compared with, and how both are drawn."""

    label: str
    x: float
    speed: float
    exponent: float
    bound: str
    color: str
    marker: str

    def velocity(self, epsilon: float) -> float:
        """The first velocity for a mass."""
        return self.speed * epsilon**self.exponent


KICKED = Start(r"theorem, $x_0=x^\star$, $\dot x_0=1$", 0, 1, 0, "theorem", "#0072B2", "o")
REST = Start(r"linear bound, $\dot x_0=0$", 1, 0, 0, "linear", "#D55E00", "s")
LOOSE = Start(r"theorem, $\dot x_0=0$", 1, 0, 0, "theorem", "#56B4E9", "^")
SLOW = Start(r"$\dot x_0=1$", 1, 1, 0, "theorem", "#009E73", "D")
FAST = Start(r"$\dot x_0=\varepsilon^{-1/2}$", 1, 1, -0.5, "theorem", "#CC79A7", "v")


def distance(start: Start, epsilon: float) -> ds.analysis.Bound:
    """The distance along time from one start."""
    f = ds.objectives.Quadratic([[EIGENVALUE]])
    layer = np.geomspace(1e-2 * epsilon, END, LAYER)
    times = np.concatenate([[0.0], layer])
    x0, v0 = [start.x], [start.velocity(epsilon)]
    options = {"t1": END, "times": times, "rtol": 1e-12, "atol": 1e-15}
    newton = ds.integrators.newton_path(
        ds.ContinuousNewton(f, beta=BETA), x0, t1=END, times=times
    )
    system = ds.VMDINAVD(f, epsilon, 0.0, BETA, hessian_free=False)
    path = ds.simulate(system, x0, v0, **options)
    return newton_distance(path, newton, bound=start.bound)


def ratios(start: Start, masses: np.ndarray) -> np.ndarray:
    """The largest ratio of distance and bound for each mass."""
    return np.array([distance(start, epsilon).tightness for epsilon in masses])


def largest(start: Start, masses: np.ndarray) -> np.ndarray:
    """The largest distance for each mass."""
    return np.array([distance(start, epsilon).measured.max() for epsilon in masses])


def main(output: pathlib.Path, *, quick: bool = False) -> None:
    """Write `bound_tightness.pdf` and `.png` into the folder `output`."""
    masses = MASSES[:9:2] if quick else MASSES
    with ds.plots.context():
        figure = Figure(figsize=(7.0, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        shares = {one: ratios(one, masses) for one in (REST, KICKED, LOOSE)}
        draw_ratios(left, masses, shares)
        orders = draw_orders(right, masses)
        for ax in (left, right):
            ax.set(xscale="log", xlabel=r"$\varepsilon$")
        figure.supxlabel(NOTE, fontsize=8, color="0.3")
    ds.plots.save(figure, output / NAME)
    write_measured(output, NAME, numbers(masses, shares, orders))


def numbers(
    masses: np.ndarray, shares: dict[Start, np.ndarray], orders: list[float]
) -> str:
    """Ratios for every hundredth part of the mass, and the orders."""
    theorem, linear = (
        listed(f"{share:.5f}" for share in shares[one][::4]) for one in (KICKED, REST)
    )
    at = listed(f"${power(mass, 1)}$" for mass in masses[::4])
    return (
        f"at $\\varepsilon =$ {at} the ratio of the theorem is {theorem} from the "
        f"minimiser with velocity 1, and that of the linear bound {linear} from rest. The "
        f"orders are {orders[0]:.3f} for $\\dot x_0 = \\varepsilon^{{-1/2}}$ and "
        f"{orders[1]:.3f} for a fixed velocity."
    )


def draw_ratios(ax: Axes, masses: np.ndarray, shares: dict[Start, np.ndarray]) -> None:
    """The largest ratios, with their limits."""
    for limit in (0.5, 1.0):
        ax.axhline(limit, color="0.7", linewidth=0.8, zorder=0)
    for start, share in shares.items():
        look = {"color": start.color, "marker": start.marker, "markersize": 4}
        ax.plot(masses, share, label=start.label, **look)
    ax.set(ylim=(0, 1.05), ylabel="largest distance / bound")
    ax.legend(loc="center left", bbox_to_anchor=(0.0, 0.75))


def draw_orders(ax: Axes, masses: np.ndarray) -> list[float]:
    """The largest distances, with their orders."""
    orders = []
    for start in (FAST, SLOW):
        found = largest(start, masses)
        order = observed_order(masses[len(masses) // 3 :], found[len(masses) // 3 :])
        orders.append(order)
        label = f"{start.label}: order {order:.3f}"
        look = {"color": start.color, "marker": start.marker, "markersize": 4}
        ax.plot(masses, found, label=label, **look)
    ax.set(yscale="log", ylabel=r"largest $\|x-x_N\|$")
    ax.legend(loc="lower right")
    return orders


if __name__ == "__main__":
    run(bound_tightness=main)

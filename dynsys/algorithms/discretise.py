r"""Which discrete method is which flow."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from dynsys.algorithms.igahd import nesterov, unwarned_igahd
from dynsys.algorithms.inna import inna
from dynsys.algorithms.newton import newton
from dynsys.algorithms.strongly_convex_igahd import igahd_strongly_convex
from dynsys.checks import as_number, is_concrete, known
from dynsys.schedules import Constant, evaluate
from dynsys.systems.attouch_chbani_fadili_riahi import AttouchChbaniFadiliRiahi
from dynsys.systems.avd import AVD
from dynsys.systems.continuous_newton import ContinuousNewton
from dynsys.systems.din import DIN
from dynsys.systems.din_avd import DINAVD
from dynsys.systems.gdin import GDIN
from dynsys.systems.gradient_flow import GradientFlow
from dynsys.systems.heavy_ball import HeavyBall
from dynsys.systems.levenberg_marquardt import LevenbergMarquardt
from dynsys.systems.strongly_convex_din import StronglyConvexDIN
from dynsys.systems.system import AbstractSystem

Method = optax.GradientTransformation

ROUNDING = 1e-12
"""What a step at its limit may exceed that by."""


class Discretisation(NamedTuple):
    r"""A discrete method whose iterates follow a flow.

    Args:
        method: The method: its iterate $k$ is near the flow at $t = kh$.
        time_per_step: The time $h$ that one step stands for. Unit: time.
    """

    method: Method
    time_per_step: float


def discretise(system: AbstractSystem, step_size: Any) -> Discretisation:
    r"""The discrete method that a flow is the limit of.

    Iterate $k$ tends to the flow at $t = kh$ as $h \to 0$, with an error of $O(h)$ where
    the objective is smooth. Both start at the same position at $t = 0$, the flow from
    rest, as in `dynsys.simulate(system, x0)`; `AttouchChbaniFadiliRiahi` starts with the
    one velocity for which it is regular at 0, $-\frac\beta\alpha\nabla f(x_0)$.

    | system | method |
    |---|---|
    | `GradientFlow` | `optax.sgd(h)` |
    | `HeavyBall(alpha)` | `optax.sgd(h**2, momentum=1 - alpha * h)` |
    | `AVD(alpha)` | `nesterov(h**2, alpha)` |
    | `AttouchChbaniFadiliRiahi(alpha, beta, b)` | `igahd(h**2, alpha, beta)` |
    | `StronglyConvexDIN(mu, beta)` | `igahd_strongly_convex(h**2, mu, beta)` |
    | `DIN(alpha, beta)`, `GDIN(alpha, beta)` | `inna(h, alpha, beta, start="rest")` |
    | `ContinuousNewton(beta)` | `newton(h / beta)` |
    | `LevenbergMarquardt(alpha, beta)` | `newton(h / beta, regularization=alpha / beta)` |

    IGAHD tends to the equation with $b(t) = 1 + \beta/t$, and not to `DINAVD`, which has
    the factor 1: with $\beta > 0$ that has no method here, and with $\beta = 0$ it is
    `AVD`, as `DIN` is `HeavyBall`.

    Args:
        system: The flow, with concrete numbers as parameters.
        step_size: The time $h$ of a step, positive. Unit: time.

    Returns:
        The method, for `iterate`, and $h$.

    Raises:
        TypeError: No method is known for a system of that type.
        ValueError: `step_size` is not positive or too long, or a parameter varies in time,
            is traced, or has no method that is known.

    Warns:
        UserWarning: `step_size` is at least the `beta` of `DIN` or `GDIN`.

    Example:
        >>> import dynsys as ds, jax.numpy as jnp
        >>> from dynsys.algorithms import iterate
        >>> system = ds.GradientFlow(lambda x: 0.5 * jnp.sum(x**2))
        >>> found = discretise(system, step_size=0.01)
        >>> x = iterate(found.method, system.objective, [1.0], steps=100).x
        >>> print(x[100].round(4))  # The flow is at exp(-1) = 0.3679.
        [0.366]

    Source:
        `GradientFlow`, `HeavyBall`: the talk. `AVD`: Su, Boyd, Candès, arXiv 1503.01243.
        The two of Attouch, Chbani, Fadili, Riahi: arXiv 1907.10536v2, pp. 15 and 28. INNA:
        JMLR 22(134), 2021. The others are the explicit Euler method.
    """
    if type(system) not in METHODS:
        names = ", ".join(f"`{one.__name__}`" for one in METHODS)
        what = f"a {type(system).__name__}"
        if isinstance(system, type):
            what = f"the class {system.__name__}: give it an objective and its parameters"
        raise TypeError(
            f"`system` must be one whose discrete method is known, from `dynsys` or "
            f"`dynsys.systems`: {names}. It is {what}."
        )
    if not is_concrete(step_size):
        raise ValueError(_traced("step_size"))
    h = float(as_number("step_size", step_size, "positive"))
    return Discretisation(METHODS[type(system)](system, h), h)


def _heavy_ball(system: HeavyBall | DIN, h: float) -> Method:
    alpha = _constant(system, "alpha")
    _check_longest(h, alpha, "alpha", "the momentum 1 - alpha * step_size")
    return optax.sgd(h**2, momentum=1 - alpha * h)


def _strongly_convex(system: StronglyConvexDIN, h: float) -> Method:
    mu = _constant(system, "mu")
    _check_longest(h, mu**0.5, "sqrt(mu)", "the momentum of IGAHD-SC")
    return igahd_strongly_convex(h**2, mu, _constant(system, "beta"))


def _inna(system: DIN | GDIN, h: float) -> Method:
    alpha, beta = _constant(system, "alpha"), _constant(system, "beta")
    if isinstance(system, DIN) and beta == 0:
        return _heavy_ball(system, h)
    return inna(h, alpha, beta, start="rest")


def _igahd(system: AttouchChbaniFadiliRiahi, h: float) -> Method:
    alpha, beta = _constant(system, "alpha"), _constant(system, "beta")
    times = np.geomspace(1e-2, 1e2, 9)
    factors = known([evaluate(system.b, t) for t in jnp.asarray(times)])
    if factors is None:
        raise ValueError(_traced("b"))
    expected = 1 + beta / times
    if not np.allclose(factors, expected, rtol=1e-6, atol=0):
        raise ValueError(
            f"`b` must be the schedule 1 + beta / t, which IGAHD discretises, but is "
            f"{factors[4]:.6g} at t = 1, or differs elsewhere. Pass "
            f"`b=lambda t: 1 + {beta:g} / t`."
        )
    return unwarned_igahd(h**2, alpha, beta)


def _din_avd(system: DINAVD, h: float) -> Method:
    alpha, beta = _constant(system, "alpha"), _constant(system, "beta")
    if beta > 0:
        raise ValueError(
            f"IGAHD does not discretise DIN-AVD, but the same equation with the factor "
            f"1 + beta / t of the gradient. Pass "
            f"`dynsys.systems.AttouchChbaniFadiliRiahi(objective, {alpha:g}, {beta:g}, "
            f"b=lambda t: 1 + {beta:g} / t)`."
        )
    return nesterov(h**2, alpha)


def _newton(system: ContinuousNewton | LevenbergMarquardt, h: float) -> Method:
    is_newton = isinstance(system, ContinuousNewton)
    shift = _constant(system, "regularization" if is_newton else "alpha")
    beta = _constant(system, "beta")
    return newton(h / beta, regularization=shift / beta)


METHODS: dict[type[AbstractSystem], Callable[[Any, float], Method]] = {
    GradientFlow: lambda _, h: optax.sgd(h),
    HeavyBall: _heavy_ball,
    AVD: lambda system, h: nesterov(h**2, _constant(system, "alpha")),
    DINAVD: _din_avd,
    AttouchChbaniFadiliRiahi: _igahd,
    StronglyConvexDIN: _strongly_convex,
    DIN: _inna,
    GDIN: _inna,
    ContinuousNewton: _newton,
    LevenbergMarquardt: _newton,
}


def _constant(system: AbstractSystem, name: str) -> float:
    """A parameter of a system that must be a number."""
    value = getattr(system, name)
    if isinstance(value, Constant):
        value = value.value
    if callable(value):
        raise ValueError(
            f"`{name}` must be constant for a discrete method to be known, but is the "
            f"schedule {value!r}."
        )
    if not is_concrete(value):
        raise ValueError(_traced(name))
    return float(value)


def _traced(name: str) -> str:
    return (
        f"`{name}` is traced by JAX, but `discretise` needs to know its value. Call it "
        f"outside of `jax.jit`, `jax.grad` and `jax.vmap`."
    )


def _check_longest(h: float, rate: float, name: str, what: str) -> None:
    if h * rate > 1 + ROUNDING:
        raise ValueError(
            f"`step_size` must be at most 1 / {name}, which is {1 / rate:.6g}, but has "
            f"value {h:.6g}: beyond it {what} is negative."
        )

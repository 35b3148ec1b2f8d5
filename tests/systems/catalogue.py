"""The table of systems. A line here puts a system through every protocol test."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

import dynsys as ds
from dynsys.schedules import PowerLaw


class Case(NamedTuple):
    """A system of the catalogue, as a function of the objective and one parameter."""

    name: str
    build: Callable[[Any, Any], Any]
    parameter: float
    order: int
    from_rest_only: bool = False
    t0: float = 0.0
    # Its programs are built like those of another case: its field is looked at, and only
    # what compiles little is run.
    is_variant: bool = False

    def system(self, objective):
        return self.build(objective, self.parameter)


def vanishing_damping(t):
    return 3 / (1 + t)


def vanishing_force(t):
    return 1 + 1 / (1 + t)


CATALOGUE = [
    Case("gradient_flow", lambda f, _: ds.GradientFlow(f), 0.0, 1),
    Case("continuous_newton", lambda f, c: ds.ContinuousNewton(f, beta=c), 0.7, 1),
    Case("levenberg_marquardt", lambda f, c: ds.LevenbergMarquardt(f, c, 0.7), 0.3, 1),
    Case("heavy_ball", lambda f, c: ds.HeavyBall(f, c), 1.5, 2),
    Case("avd", lambda f, c: ds.AVD(f, c), 3.0, 2, from_rest_only=True),
    Case("din", lambda f, c: ds.DIN(f, c, 0.2), 1.5, 2),
    Case("din_hessian", lambda f, c: ds.DIN(f, c, 0.2, hessian_free=False), 1.5, 2),
    Case("din_avd", lambda f, c: ds.DINAVD(f, 3.0, beta=c), 0.2, 2, from_rest_only=True),
    Case("gdin", lambda f, c: ds.GDIN(f, c, 0.2), 1.5, 2),
    Case("vm_din_avd", lambda f, c: ds.VMDINAVD(f, PowerLaw(c, 1.0), 0.1, 1.0), 0.5, 2),
    Case(
        "inertial_newton",
        lambda f, c: ds.InertialNewton(f, 1.0, vanishing_damping, c, vanishing_force),
        0.2,
        2,
    ),
    Case(
        "nag_sc",
        lambda f, c: ds.systems.HighResolutionNAGSC(f, 1.0, c),
        0.05,
        2,
        is_variant=True,
    ),
    Case(
        "high_resolution_heavy_ball",
        lambda f, c: ds.systems.HighResolutionHeavyBall(f, 1.0, c),
        0.05,
        2,
        is_variant=True,
    ),
    Case(
        "nag_c",
        lambda f, c: ds.systems.HighResolutionNAGC(f, c),
        0.04,
        2,
        t0=0.3,
        is_variant=True,
    ),
    Case(
        "attouch_chbani_fadili_riahi",
        lambda f, c: ds.systems.AttouchChbaniFadiliRiahi(f, 3.0, c, vanishing_force),
        0.2,
        2,
        t0=0.3,
        is_variant=True,
    ),
    Case(
        "strongly_convex_din",
        lambda f, c: ds.systems.StronglyConvexDIN(f, c, 0.2),
        1.0,
        2,
        is_variant=True,
    ),
    Case(
        "h_nag",
        lambda f, c: ds.systems.HNAG(f, 0.5, c, beta=vanishing_damping),
        1.0,
        2,
        is_variant=True,
    ),
    Case(
        "isihd",
        lambda f, c: ds.systems.ISIHD(f, 3.1, c, 0.1),
        0.3,
        2,
        t0=0.3,
        is_variant=True,
    ),
    Case(
        "tikhonov_din_avd",
        lambda f, c: ds.systems.TikhonovDINAVD(f, 3.1, c, vanishing_damping),
        0.2,
        2,
        t0=0.3,
        is_variant=True,
    ),
]


def ids(case):
    return case.name


def smooth_valley(x):
    """A smooth convex function in two dimensions that is not quadratic; minimiser 0."""
    return 0.5 * (x[0] ** 2 + 4.0 * x[1] ** 2) + jnp.sum(jnp.cosh(x) - 1.0)

"""Losses and systems whose numbers are data, so that few programs serve many runs."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

import dynsys as ds


def bowl(data: Any, x: Any) -> Any:
    """Smooth, strongly convex and stiff where the weights differ."""
    s, weights, turn, centre = data
    y = turn @ (x / s - centre)
    return s**2 * (0.5 * jnp.sum(weights * y**2) + jnp.sum(jnp.log(jnp.cosh(2 * y))))


def l1(data: Any, x: Any) -> Any:
    """A quadratic plus a weighted norm."""
    s, weights, turn, centre = data
    y = x / s
    residual = turn @ (y - centre)
    return s**2 * (0.5 * jnp.sum(weights * residual**2) + 0.7 * jnp.sum(jnp.abs(y)))


def maximum(data: Any, x: Any) -> Any:
    """The largest of some affine functions, plus a quadratic."""
    s, weights, turn, centre = data
    y = x / s - centre
    rows = jnp.concatenate([turn @ y, -2 * (turn @ y)])
    return s**2 * (jnp.max(rows) + 0.05 * jnp.sum(weights * y**2))


def network(data: Any, x: Any) -> Any:
    """The mean square of a ReLU network with three neurons, at four points."""
    s, weights, turn, centre = data
    w = (x / s).reshape(3, 3)
    points = 2 * turn[:4, :2]
    values = jax.nn.relu(points @ w[:, :2].T) @ w[:, 2]
    fit = jnp.mean((values - centre[:4]) ** 2) + 0.05 * jnp.sum((x / s) ** 2)
    return s**2 * (fit + 0 * weights[0])


def saddle(data: Any, x: Any) -> Any:
    """A quadratic minus a norm: on its kinks the inclusion branches."""
    s, weights, _, _ = data
    return s**2 * (0.5 * jnp.sum(weights * (x / s) ** 2) - jnp.sum(jnp.abs(x / s)))


LOSSES = {
    "bowl": bowl,
    "stiff": bowl,
    "l1": l1,
    "max": maximum,
    "network": network,
    "branching": saddle,
}


def flow(loss: Any, p: Any) -> Any:
    """Gradient flow."""
    del p
    return ds.GradientFlow(loss)


def newton(loss: Any, p: Any) -> Any:
    """Continuous Newton."""
    return ds.ContinuousNewton(loss, p[0])


def levenberg_marquardt(loss: Any, p: Any) -> Any:
    """With a damping that decays."""
    return ds.LevenbergMarquardt(loss, ds.schedules.PowerLaw(p[0], 1.0), p[1])


def levenberg_marquardt_where(loss: Any, p: Any) -> Any:
    """With a damping that jumps."""
    return ds.LevenbergMarquardt(loss, Partial(jump, p[:4]), p[1])


def heavy_ball(loss: Any, p: Any) -> Any:
    """Heavy ball."""
    return ds.HeavyBall(loss, p[0])


def heavy_ball_piecewise(loss: Any, p: Any) -> Any:
    """With a damping that jumps twice."""
    return ds.HeavyBall(
        loss, ds.schedules.Piecewise([p[2], p[2] + p[3]], [p[0], p[1], 2.0])
    )


def avd(loss: Any, p: Any) -> Any:
    """Asymptotically vanishing damping."""
    return ds.AVD(loss, 2 + p[0])


def din(loss: Any, p: Any) -> Any:
    """DIN."""
    return ds.DIN(loss, p[0], p[1])


def din_avd(loss: Any, p: Any) -> Any:
    """DIN-AVD."""
    return ds.DINAVD(loss, 2 + p[0], beta=p[1])


def gdin(loss: Any, p: Any) -> Any:
    """Generalised DIN."""
    return ds.GDIN(loss, p[0], p[1])


def light(loss: Any, p: Any) -> Any:
    """VM-DIN-AVD with a small mass that decays."""
    mass = ds.schedules.PowerLaw(1e-3 * p[2], 1.0)
    return ds.VMDINAVD(loss, mass, p[0], p[1])


def with_hessian(loss: Any, p: Any) -> Any:
    """VM-DIN-AVD in position and velocity."""
    mass = ds.schedules.Exponential(p[2], 0.3)
    return ds.VMDINAVD(loss, mass, p[0], p[1], hessian_free=False)


def mass_jumps(loss: Any, p: Any) -> Any:
    """VM-DIN-AVD with a mass that jumps."""
    return ds.VMDINAVD(loss, ds.schedules.Piecewise([p[2]], [0.5, p[3]]), p[0], p[1])


def all_jump(loss: Any, p: Any) -> Any:
    """The general equation with coefficients that are written with `where`."""
    return ds.InertialNewton(loss, Partial(jump, p[:4]), Partial(jump, p[1:]), p[4])


def jump(p: Any, t: Any) -> Any:
    """A coefficient that jumps."""
    return jnp.where(t < 1 + p[2], p[0], p[0] + p[3])


FIRST_ORDER = (flow, newton, levenberg_marquardt, levenberg_marquardt_where)

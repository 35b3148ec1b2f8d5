"""Losses with more kinks than can be followed one by one."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from dynsys.integrators.engine.carry import Carry
from dynsys.integrators.engine.log import empty_log
from dynsys.integrators.engine.motion import AbstractMotion
from dynsys.integrators.engine.problem import Method, Problem
from dynsys.integrators.engine.solve import solved_by
from dynsys.integrators.engine.solved import Solved
from dynsys.integrators.inclusion.first_order import integrate_in_first_order


@eqx.filter_custom_vjp
def solve_in_first_order(
    problem: Problem, method: Method, motion: AbstractMotion
) -> Solved:
    """Integrate a problem with more kinks than can be followed, in steps of order 1.

    Args:
        problem: What to integrate.
        method: With how many steps at most.
        motion: How it moves: without events.
    """
    kept = lambda y0, y1, _: {"polynomial": {"y0": y0, "y1": y1}, "mode": ()}
    like = kept(problem.state, problem.state, None)
    log = empty_log(problem, method, like, None)
    none, zero = jnp.zeros_like(problem.t0), jnp.zeros((), int)
    start = Carry(
        t=problem.t0,
        state=problem.state,
        hidden=None,
        control=None,
        next_step=none,
        tried=none,
        accepted=zero,
        rejected=zero,
        code=problem.code,
        course=(),
    )
    last, log, first_order = integrate_in_first_order(problem, method, start, log, kept)
    solved = solved_by(problem, method, motion, last, log, like)
    return solved._replace(story=solved.story._replace(first_order=first_order))


@solve_in_first_order.def_fwd
def _(perturbed: Any, *args: Any) -> Any:
    del perturbed, args
    raise ValueError(
        "Steps of first order, which are for losses with very many kinks, have no "
        "derivative. If kinks are only crossed and nothing comes to rest on them, pass "
        "`inclusion='autodiff'` for the gradients that JAX returns."
    )


@solve_in_first_order.def_bwd
def _(*args: Any) -> Any:
    raise AssertionError(args)

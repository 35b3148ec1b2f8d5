"""Rodas5P, a Rosenbrock-Wanner method of order 5 for stiff systems."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from dynsys.integrators.engine.first_step import EVALUATIONS
from dynsys.integrators.solvers.cost import Steps
from dynsys.integrators.solvers.linearisation import linearise
from dynsys.integrators.solvers.rodas5p_tableau import GAMMA, A, C, D, G, H
from dynsys.trees import as_vector, combine, from_vector, widest_dtype

State = PyTree[Float[Array, "..."]]

STAGES = len(C)


class Rodas5PInterpolation(diffrax.AbstractLocalInterpolation):
    r"""Dense output of order 4 over one step.

    $$y(\theta) = (1-\theta)y_0 + \theta\big(y_1 + (1-\theta)(k_1 + \theta(k_2
    + \theta k_3))\big)$$
    """

    t0: Any
    t1: Any
    y0: State
    y1: State
    k: tuple[State, State, State]

    def evaluate(self, t0: Any, t1: Any = None, left: bool = True) -> State:
        del left
        if t1 is not None:
            return jax.tree.map(jnp.subtract, self.evaluate(t1), self.evaluate(t0))
        span = self.t1 - self.t0
        theta = (t0 - self.t0) / jnp.where(span == 0, 1, span)

        def blend(y0: Array, y1: Array, k1: Array, k2: Array, k3: Array) -> Array:
            s = theta.astype(y0.dtype)
            return (1 - s) * y0 + s * (y1 + (1 - s) * (k1 + s * (k2 + s * k3)))

        return jax.tree.map(blend, self.y0, self.y1, *self.k)


class Rodas5P(diffrax.AbstractAdaptiveSolver):
    r"""Rosenbrock-Wanner method of order 5(4), stiffly accurate and L-stable.

    Each step solves eight linear systems with one matrix,

    $$\big(\tfrac1{h\gamma}I - J\big)U_i = F\big(t + c_ih, y + \sum_j a_{ij}U_j\big)
    + \sum_j\tfrac{g_{ij}}hU_j + h\,d_i\,\partial_tF,$$

    where $J$ and $\partial_tF$ are exact. No nonlinear equation is solved, so nothing
    can fail to converge.

    Where `args` is a system that is linear in feedback with the gradient, all but the
    general field with a Hessian in it, each linear system is reduced to
    $(c_0I + c_1\nabla^2f)u = r$ of the size of the position, with one Hessian a step
    ($c_0$, $c_1$ by `dynsys.systems.feedback`): by elimination up to dimension 16, by
    Cholesky up to 1024, beyond by conjugate gradients on Hessian-vector products. Of any
    other field the Jacobian is formed and factorised.

    Where the mass $\varepsilon$ of a system is small next to the step, the error of the
    position is at most $O(h^5) + O(\varepsilon h^2)$ for starts near the slow motion: of
    full order in the limit, where the solution is that of continuous Newton, with an order
    reduction in between that is in proportion to the mass.

    Args:
        written_out: Whether the stages are written out instead of in a loop: faster for
            many tiny systems at once, and a program that takes longer to compile.

    Example:
        >>> import dynsys as ds
        >>> system = ds.DIN(lambda x: jnp.sum(x**4), alpha=1.0, beta=0.1)
        >>> start = system.initial_state(0.0, jnp.ones(2), None)
        >>> term = diffrax.ODETerm(lambda t, y, args: args.vector_field(t, y))
        >>> step = Rodas5P().step
        >>> zero = jnp.array(0.0)
        >>> state, error, *_ = step(term, zero, zero + 0.1, start, system, None, False)
        >>> state.x.shape
        (2,)

    Source:
        G. Steinebach, "Construction of Rosenbrock-Wanner method Rodas5P and numerical
        benchmarks within the Julia Differential Equations package", BIT 63:27 (2023);
        coefficients as in OrdinaryDiffEq.jl. Form of the stages: Hairer and Wanner,
        Solving Ordinary Differential Equations II, section IV.7.
    """

    written_out: bool = eqx.field(default=False, static=True)
    term_structure: ClassVar[Any] = diffrax.ODETerm
    interpolation_cls: ClassVar[Any] = Rodas5PInterpolation

    def count(self, steps: Steps) -> tuple[Any, Any]:
        """A step takes a gradient a stage, and a Hessian with one more gradient.

        Where the Jacobian of the state is formed, the derivative of the field in time
        takes another one.
        """
        a_step = STAGES + 1 + int(steps.forms_jacobian)
        return EVALUATIONS + a_step * steps.attempts, steps.attempts

    def order(self, terms: Any) -> int:
        del terms
        return 5

    def init(self, terms: Any, t0: Any, t1: Any, y0: State, args: Any) -> None:
        del terms, t0, t1, y0, args

    def func(self, terms: Any, t0: Any, y0: State, args: Any) -> State:
        return terms.vf(t0, y0, args)

    def step(
        self,
        terms: Any,
        t0: Any,
        t1: Any,
        y0: State,
        args: Any,
        solver_state: None,
        made_jump: Any,
    ) -> tuple[State, State, dict[str, Any], None, diffrax.RESULTS]:
        del solver_state, made_jump
        h = terms.contr(t0, t1).astype(widest_dtype(y0))
        field = lambda t, y: terms.vf(t, y, args)
        start = _begin(field, t0, h, y0, args)
        rows = (_written_out if self.written_out else _in_a_loop)(start, t0, h)
        stages = [from_vector(row, y0) for row in rows]
        last = stages[-1]
        y1 = _add(_add(y0, A[-1], stages[:-1]), (1.0,), [last])
        k = tuple(combine(*zip(row, stages, strict=True)) for row in H)
        dense_info = {"y0": y0, "y1": y1, "k": k}
        return y1, last, dense_info, None, diffrax.RESULTS.successful


class _Start(NamedTuple):
    """What all stages of a step share.

    Args:
        solve: The solution of the linear system.
        flat: The state, in one vector.
        drift: The derivative of the field in time, likewise.
        field: The field, of a time and such a vector.
    """

    solve: Callable[[Array], Array]
    flat: Array
    drift: Array
    field: Callable[[Any, Array], Array]


def _begin(
    field: Callable[[Any, State], State], t0: Any, h: Any, y0: State, args: Any
) -> _Start:
    solve, time_derivative = linearise(field, t0, y0, args, 1 / (h * GAMMA))
    on_vectors = lambda function: lambda v: as_vector(function(from_vector(v, y0)))
    return _Start(
        on_vectors(solve),
        as_vector(y0),
        as_vector(time_derivative),
        lambda t, v: on_vectors(lambda y: field(t, y))(v),
    )


def _in_a_loop(start: _Start, t0: Any, h: Any) -> Array:
    """The increments of the stages, each a solution with the same matrix, in rows.

    There is one field in the program.
    """
    flat, inverse = start.flat, 1 / h
    padded = lambda rows: np.array([np.pad(row, (0, STAGES - len(row))) for row in rows])
    rows = np.concatenate([padded(A), padded(G), np.stack([C, D], axis=1)], axis=1)
    table = jnp.asarray(rows, flat.dtype)

    def stage(i: Any, stages: Array) -> Array:
        row = jax.lax.dynamic_index_in_dim(table, i, 0, keepdims=False)
        a, g, c, d = row[:STAGES], row[STAGES:-2], row[-2], row[-1]
        t = t0 + (c * h).astype(t0.dtype)
        slope = start.field(t, flat + _mix(a, stages))
        # A weight of 0 must not bring in a derivative that is not finite.
        slope = slope + jnp.where(d != 0, d * h * start.drift, 0)
        solved = start.solve(slope + _mix(g, stages) * inverse)
        return jax.lax.dynamic_update_index_in_dim(stages, solved, i, 0)

    begin = jnp.zeros((STAGES, len(flat)), flat.dtype)
    return jax.lax.fori_loop(0, STAGES, stage, begin)


def _written_out(start: _Start, t0: Any, h: Any) -> Array:
    """The same one after the other, with weights that the compiler knows."""
    flat, inverse = start.flat, 1 / h
    stages = jnp.zeros((STAGES, len(flat)), flat.dtype)
    for i, (a, g, c, d) in enumerate(zip(A, G, C, D, strict=True)):
        y = flat + _mix(a, stages) if a else flat
        slope = start.field(t0 + (c * h).astype(t0.dtype), y)
        slope = slope + d * h * start.drift if d else slope
        solved = start.solve(slope + _mix(g, stages) * inverse if g else slope)
        # Written into an array, a stage is not computed anew wherever it is used.
        stages = jax.lax.dynamic_update_index_in_dim(stages, solved, i, 0)
    return stages


def _mix(weights: Sequence[Any] | Array, stages: Array) -> Array:
    """The weighted sum of the first stages."""
    terms = (weights[j] * stages[j] for j in range(1, len(weights)))
    return sum(terms, weights[0] * stages[0])


def _add(base: State, weights: Sequence[Any], vectors: list[State]) -> State:
    return combine((1.0, base), *zip(weights, vectors, strict=True))

"""Rodas5P, a Rosenbrock-Wanner method of order 5 for stiff systems."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from dynsys.integrators.rodas5p_tableau import GAMMA, A, C, D, G, H
from dynsys.trees import as_vector, from_vector

State = PyTree[Float[Array, "..."]]
Vector = Float[Array, " dim"]

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


class Linearisation(NamedTuple):
    """The factorised matrix of the stages, and the derivative of the field in time."""

    lu: tuple[Float[Array, "dim dim"], Array]
    time_derivative: Vector


class Rodas5P(diffrax.AbstractAdaptiveSolver):
    r"""Rosenbrock-Wanner method of order 5(4), stiffly accurate and L-stable.

    Each step solves eight linear systems with one matrix,

    $$\big(\tfrac1{h\gamma}I - J\big)U_i = F\big(t + c_ih, y + \sum_j a_{ij}U_j\big)
    + \sum_j\tfrac{g_{ij}}hU_j + h\,d_i\,\partial_tF,$$

    where $J$ and $\partial_tF$ are exact. No nonlinear equation is solved, so nothing
    can fail to converge. The matrix is dense: use it in small dimension.

    Source:
        G. Steinebach, "Construction of Rosenbrock-Wanner method Rodas5P and numerical
        benchmarks within the Julia Differential Equations package", BIT 63:27 (2023);
        coefficients as in OrdinaryDiffEq.jl. Form of the stages: Hairer and Wanner,
        Solving Ordinary Differential Equations II, section IV.7.
    """

    term_structure: ClassVar[Any] = diffrax.ODETerm
    interpolation_cls: ClassVar[Any] = Rodas5PInterpolation

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
        flat0 = as_vector(y0)
        unravel = lambda vector: from_vector(vector, y0)

        def field(t: Float[Array, ""], flat: Vector) -> Vector:
            return as_vector(terms.vf(t, unravel(flat), args))

        h = terms.contr(t0, t1).astype(flat0.dtype)
        stages = _stages(field, t0, h, flat0)
        increments = jnp.stack(stages)
        flat1 = _add_weighted(flat0, A[-1], stages[:-1]) + stages[-1]
        k1, k2, k3 = jnp.asarray(H, flat0.dtype) @ increments
        dense_info = {
            "y0": y0,
            "y1": unravel(flat1),
            "k": (unravel(k1), unravel(k2), unravel(k3)),
        }
        error = unravel(stages[-1])
        return unravel(flat1), error, dense_info, None, diffrax.RESULTS.successful


def _stages(
    field: Callable[[Any, Vector], Vector], t0: Any, h: Any, flat0: Vector
) -> list[Vector]:
    """The increments of the stages, each a solution with the same matrix."""
    lu, time_derivative = _linearise(field, t0, h, flat0)
    stages: list[Vector] = []
    for a, g, c, d in zip(A, G, C, D, strict=True):
        inside = _add_weighted(flat0, a, stages)
        right_side = field(t0 + c * h.astype(t0.dtype), inside)
        right_side = right_side + d * h * time_derivative
        right_side = _add_weighted(right_side, g, stages, h)
        stages.append(jax.scipy.linalg.lu_solve(lu, right_side))
    return stages


def _linearise(
    field: Callable[[Any, Vector], Vector], t0: Any, h: Any, flat0: Vector
) -> Linearisation:
    jacobian = jax.jacfwd(field, argnums=1)(t0, flat0)
    _, time_derivative = jax.jvp(lambda t: field(t, flat0), (t0,), (jnp.ones_like(t0),))
    identity = jnp.eye(len(flat0), dtype=flat0.dtype)
    matrix = identity / (h * GAMMA) - jacobian
    return Linearisation(jax.scipy.linalg.lu_factor(matrix), time_derivative)


def _add_weighted(
    base: Vector, weights: tuple[float, ...], vectors: list[Vector], over: Any = 1
) -> Vector:
    for weight, vector in zip(weights, vectors, strict=True):
        base = base + (weight / over) * vector
    return base

"""The explicit Runge-Kutta methods of diffrax, with stages that are a small program."""

from typing import Any, ClassVar, TypeGuard

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from dynsys.trees import as_rows, from_rows, widest_dtype

State = PyTree[Float[Array, "..."]]


class ExplicitRungeKutta(diffrax.AbstractAdaptiveSolver):
    r"""A method of diffrax by its tableau.

    $$k_i = F\Big(t + c_ih, y + h\sum_{j<i}a_{ij}k_j\Big),\quad
    y_1 = y + h\sum_ib_ik_i,\quad e = h\sum_i\hat b_ik_i$$

    Steps, errors and dense output are those of the method. The stages are one loop over
    rows of a matrix, which compiles into a kernel and has derivatives of both modes.

    Args:
        method: The method, such as `diffrax.Tsit5()`.

    Example:
        >>> solver = ExplicitRungeKutta(diffrax.Tsit5())
        >>> term = diffrax.ODETerm(lambda t, y, args: -y)
        >>> start = solver.init(term, 0.0, 0.1, jnp.ones(1), None)
        >>> y, *_ = solver.step(
        ...     term, jnp.array(0.0), jnp.array(0.1), jnp.ones(1), None, start, False
        ... )
        >>> round(float(y[0]), 6)
        0.904837
    """

    method: diffrax.AbstractERK = eqx.field(static=True)
    term_structure: ClassVar[Any] = diffrax.ODETerm

    @property
    def interpolation_cls(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.method.interpolation_cls

    def order(self, terms: Any) -> int | None:
        return self.method.order(terms)

    def init(self, terms: Any, t0: Any, t1: Any, y0: State, args: Any) -> State | None:
        """The first slope, where the last one of a step is that of the next."""
        del t1
        tableau: Any = self.method.tableau
        return terms.vf(t0, y0, args) if tableau.fsal else None

    def func(self, terms: Any, t0: Any, y0: State, args: Any) -> State:
        return terms.vf(t0, y0, args)

    def step(
        self,
        terms: Any,
        t0: Any,
        t1: Any,
        y0: State,
        args: Any,
        solver_state: State | None,
        made_jump: Any,
    ) -> tuple[State, State, dict[str, Any], State | None, diffrax.RESULTS]:
        del made_jump
        tableau: Any = self.method.tableau
        dtype = widest_dtype(y0)
        size, h, flat = len(tableau.c) + 1, terms.contr(t0, t1), as_rows(y0)
        first = terms.vf(t0, y0, args) if solver_state is None else solver_state
        rows = [np.zeros(0), *map(np.asarray, tableau.a_lower)]
        padded = np.array([np.pad(row, (0, size - len(row))) for row in rows])
        table = jnp.asarray(padded * 1.0, dtype)
        nodes = jnp.asarray(np.append(0.0, tableau.c), t0.dtype)
        wide = h.astype(dtype)

        def stage(i: Any, slopes: Array) -> Array:
            y = from_rows(flat + wide * _mix(table[i], slopes), y0)
            slope = as_rows(terms.vf(t0 + nodes[i] * h, y, args))
            return jax.lax.dynamic_update_index_in_dim(slopes, slope, i, 0)

        begin = jnp.zeros((size, *flat.shape), dtype)
        begin = jax.lax.dynamic_update_index_in_dim(begin, as_rows(first), 0, 0)
        slopes = jax.lax.fori_loop(1, size, stage, begin)
        back = lambda vector: from_rows(vector, y0)
        y1 = back(flat + wide * _mix(tableau.b_sol, slopes))
        error = back(wide * _mix(tableau.b_error, slopes))
        dense_info = {"y0": y0, "y1": y1, "k": jax.vmap(back)(wide * slopes)}
        last = back(slopes[-1]) if tableau.fsal else None
        return y1, error, dense_info, last, diffrax.RESULTS.successful


def is_plain(solver: Any) -> TypeGuard[diffrax.AbstractERK]:
    """Whether a solver is an explicit Runge-Kutta method and nothing else."""
    if not isinstance(solver, diffrax.AbstractERK) or solver.scan_kind is not None:
        return False
    steps_as_usual = type(solver).step is diffrax.AbstractERK.step
    return steps_as_usual and isinstance(solver.tableau, diffrax.ButcherTableau)


def _mix(weights: Any, rows: Array) -> Array:
    """A sum of rows, in which a weight that is known to be 0 takes nothing."""
    terms = [
        (weight if isinstance(weight, jax.Array) else float(weight), row)
        for weight, row in zip(weights, rows, strict=True)
        if isinstance(weight, jax.Array) or weight != 0
    ]
    total = terms[0][0] * terms[0][1]
    for weight, row in terms[1:]:
        total = total + weight * row
    return total

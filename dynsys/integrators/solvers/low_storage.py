"""An explicit method that keeps few copies of the state, for states of any size."""

from typing import Any, ClassVar

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from dynsys.integrators.engine.first_step import EVALUATIONS
from dynsys.integrators.solvers.cost import Steps
from dynsys.trees import combine, time_dtype, zeros_like

State = PyTree[Float[Array, "..."]]

A = (
    970286171893 / 4311952581923,
    6584761158862 / 12103376702013,
    2251764453980 / 15575788980749,
    26877169314380 / 34165994151039,
)
"""Weights of a stage in the argument of the next one; that of the stages before it is
their weight in the step, so that one sum serves for both."""

B = (
    1153189308089 / 22510343858157,
    1772645290293 / 4653164025191,
    -1672844663538 / 4480602732383,
    2114624349019 / 3568978502595,
    5198255086312 / 14908931495163,
)
"""Weights of the stages in the step."""

B_EMBEDDED = (
    1016888040809 / 7410784769900,
    11231460423587 / 58533540763752,
    -1563879915014 / 6823010717585,
    606302364029 / 971179775848,
    1097981568119 / 3980877426909,
)
"""Weights of the stages in the step of order 3."""

STAGES = len(B)


class LowStorageRK4(diffrax.AbstractAdaptiveSolver):
    r"""Explicit Runge-Kutta method of order 4(3) that keeps two sums and the error.

    $$Y_{i+1} = y + h\sum_{j<i}b_jk_j + ha_ik_i, \qquad k_i = F(t + c_ih, Y_i), \qquad
    y_1 = y + h\sum_jb_jk_j$$

    In the argument of a stage all earlier stages but the last have the weights that they
    have in the step. So whatever the number of stages, one sum is kept, next to the
    argument of the stage and the sum for the error. The dense output is a cubic Hermite
    polynomial, of order 3; its slopes at both ends take two more evaluations, and only
    where outputs inside of steps are asked for.

    Example:
        >>> import dynsys as ds
        >>> f = lambda x: jnp.sum(jnp.cosh(x))
        >>> solver = LowStorageRK4()
        >>> run = ds.simulate(ds.GDIN(f, 1.0, 0.1), jnp.ones(9), t1=5.0, solver=solver)
        >>> run.stats.solver
        'LowStorageRK4'

    Source:
        C. A. Kennedy, M. H. Carpenter, R. M. Lewis, "Low-storage, explicit Runge-Kutta
        schemes for the compressible Navier-Stokes equations", Appl. Numer. Math. 35
        (2000), scheme RK4(3)5[2R+]C; digits as in OrdinaryDiffEq.jl.
    """

    term_structure: ClassVar[Any] = diffrax.ODETerm
    interpolation_cls: ClassVar[Any] = diffrax.ThirdOrderHermitePolynomialInterpolation

    def order(self, terms: Any) -> int:
        del terms
        return 4

    def init(self, terms: Any, t0: Any, t1: Any, y0: State, args: Any) -> None:
        del terms, t0, t1, y0, args

    def func(self, terms: Any, t0: Any, y0: State, args: Any) -> State:
        return terms.vf(t0, y0, args)

    def count(self, steps: Steps) -> tuple[Any, Any]:
        """A step that is interpolated takes two evaluations more, for its slopes."""
        a_step = STAGES + 2 * int(steps.interpolate)
        return EVALUATIONS + a_step * steps.attempts, 0

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
        h = terms.contr(t0, t1)
        field = lambda t, y: terms.vf(t, y, args)
        dtype = time_dtype(y0)
        error = tuple(b - e for b, e in zip(B, B_EMBEDDED, strict=True))
        nodes = (0.0, *(a + sum(B[:i]) for i, a in enumerate(A)))
        rows = [jnp.asarray(row, dtype) for row in ((*A, 0.0), B, error, nodes)]

        def stage(sums: tuple[State, State, State], row: Any) -> tuple[Any, None]:
            y, argument, wrong = sums
            a, b, e, c = row
            k = field(t0 + c * h, argument)
            after = (
                combine((1.0, y), (h * b, k)),
                combine((1.0, y), (h * a, k)),
                combine((1.0, wrong), (h * e, k)),
            )
            return after, None

        begin = (y0, y0, zeros_like(y0))
        (y1, _, wrong), _ = jax.lax.scan(stage, begin, tuple(rows))
        slopes = combine((h, field(t0, y0))), combine((h, field(t1, y1)))
        dense_info = {"y0": y0, "y1": y1, "k0": slopes[0], "k1": slopes[1]}
        return y1, wrong, dense_info, None, diffrax.RESULTS.successful

"""Rodas5P, a Rosenbrock-Wanner method of order 5 for stiff systems."""

from typing import Any, ClassVar, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

State = PyTree[Float[Array, "..."]]
Vector = Float[Array, " dim"]

GAMMA = 0.21193756319429014
C = np.array(
    [0.0, 0.6358126895828704, 0.4095798393397535, 0.9769306725060716]
    + [0.4288403609558664, 1.0, 1.0, 1.0]
)
D = np.array(
    [GAMMA, -0.42387512638858027, -0.3384627126235924, 1.8046452872882734]
    + [2.325825639765069, 0.0, 0.0, 0.0]
)
LAST = [-7.502846399306121, 2.561846144803919, -11.627539656261098]
LAST += [-0.18268767659942256, 0.030198172008377946]
A = (
    np.array([]),
    np.array([3.0]),
    np.array([2.849394379747939, 0.45842242204463923]),
    np.array([-6.954028509809101, 2.489845061869568, -10.358996098473584]),
    np.array(
        [2.8029986275628964, 0.5072464736228206, -0.3988312541770524]
        + [-0.04721187230404641]
    ),
    np.array(LAST),
    np.array([*LAST, 1.0]),
    np.array([*LAST, 1.0, 1.0]),
)
G = (
    np.array([]),
    np.array([-14.155112264123755]),
    np.array([-17.97296035885952, -2.859693295451294]),
    np.array([147.12150275711716, -1.41221402718213, 71.68940251302358]),
    np.array(
        [165.43517024871676, -0.4592823456491126, 42.90938336958603]
        + [-5.961986721573306]
    ),
    np.array(
        [24.854864614690072, -3.0009227002832186, 47.4931110020768]
        + [5.5814197821558125, -0.6610691825249471]
    ),
    np.array(
        [30.91273214028599, -3.1208243349937974, 77.79954646070892]
        + [34.28646028294783, -19.097331116725623, -28.087943162872662]
    ),
    np.array(
        [37.80277123390563, -3.2571969029072276, 112.26918849496327]
        + [66.9347231244047, -40.06618937091002, -54.66780262877968]
        + [-9.48861652309627]
    ),
)
H = np.array(
    [
        [25.948786856663858, -2.5579724845846235, 10.433815404888879]
        + [-2.3679251022685204, 0.524948541321073, 1.1241088310450404]
        + [0.4272876194431874, -0.17202221070155493],
        [-9.91568850695171, -0.9689944594115154, 3.0438037242978453]
        + [-24.495224566215796, 20.176138334709044, 15.98066361424651]
        + [-6.789040303419874, -6.710236069923372],
        [11.419903575922262, 2.8879645146136994, 72.92137995996029]
        + [80.12511834622643, -52.072871366152654, -59.78993625266729]
        + [-0.15582684282751913, 4.883087185713722],
    ]
)
STAGES = 8


class Rodas5PInterpolation(diffrax.AbstractLocalInterpolation):
    r"""Dense output of order 4 over one step.

    $$y(\theta) = (1-\theta)y_0 + \theta\big(y_1 + (1-\theta)(k_1 + \theta(k_2
    + \theta k_3))\big)$$
    """

    t0: Float[Array, ""]
    t1: Float[Array, ""]
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
        flat0, unravel = ravel_pytree(y0)

        def field(t: Float[Array, ""], flat: Vector) -> Vector:
            return ravel_pytree(terms.vf(t, unravel(flat), args))[0]

        h = terms.contr(t0, t1).astype(flat0.dtype)
        stages = _stages(field, t0, h, flat0)
        increments = jnp.stack(stages)
        flat1 = flat0 + _weighted(A[-1], stages[:-1]) + stages[-1]
        k1, k2, k3 = jnp.asarray(H, flat0.dtype) @ increments
        dense_info = {
            "y0": y0,
            "y1": unravel(flat1),
            "k": (unravel(k1), unravel(k2), unravel(k3)),
        }
        error = unravel(stages[-1])
        return unravel(flat1), error, dense_info, None, diffrax.RESULTS.successful


def _stages(field: Any, t0: Any, h: Any, flat0: Vector) -> list[Vector]:
    lu, time_derivative = _linearise(field, t0, h, flat0)
    stages: list[Vector] = []
    for a, g, c, d in zip(A, G, C, D, strict=True):
        inside = flat0 + _weighted(a, stages) if stages else flat0
        right_side = field(t0 + c.astype(t0.dtype) * h.astype(t0.dtype), inside)
        right_side = right_side + d * h * time_derivative
        if stages:
            right_side = right_side + _weighted(g, stages) / h
        stages.append(jax.scipy.linalg.lu_solve(lu, right_side))
    return stages


def _linearise(field: Any, t0: Any, h: Any, flat0: Vector) -> Linearisation:
    jacobian = jax.jacfwd(field, argnums=1)(t0, flat0)
    _, time_derivative = jax.jvp(lambda t: field(t, flat0), (t0,), (jnp.ones_like(t0),))
    identity = jnp.eye(len(flat0), dtype=flat0.dtype)
    matrix = identity / (h * GAMMA) - jacobian
    return Linearisation(jax.scipy.linalg.lu_factor(matrix), time_derivative)


def _weighted(weights: np.ndarray, vectors: list[Vector]) -> Vector:
    return sum(float(w) * u for w, u in zip(weights[1:], vectors[1:], strict=True)) + (
        float(weights[0]) * vectors[0]
    )

"""A loop over small steps as one compiled kernel.

On a CPU, XLA runs a program as a sequence of kernels. One step of a small problem is
about a hundred of them, of a few arithmetic operations each, and starting them costs
more than what they do. XLA can compile a call as one function instead, and does so by
itself for the smallest of loops; metadata asks for it here. A version of XLA that does
not know the metadata ignores it: the result is the same, and only slower.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jaxtyping import Array, Float

from dynsys.equations import programs_inside
from dynsys.trees import from_vector

ARITHMETIC = frozenset(
    {
        "abs",
        "acos",
        "acosh",
        "add",
        "add_any",
        "and",
        "argmax",
        "argmin",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "broadcast_in_dim",
        "cbrt",
        "ceil",
        "clamp",
        "concatenate",
        "convert_element_type",
        "copy",
        "cos",
        "cosh",
        "custom_jvp_call",
        "custom_vjp_call",
        "div",
        "dynamic_slice",
        "dynamic_update_slice",
        "eq",
        "erf",
        "erfc",
        "exp",
        "exp2",
        "expm1",
        "floor",
        "gather",
        "ge",
        "gt",
        "integer_pow",
        "iota",
        "is_finite",
        "jit",
        "le",
        "log",
        "log1p",
        "logistic",
        "lt",
        "max",
        "min",
        "mul",
        "ne",
        "neg",
        "nonbatchable",
        "not",
        "or",
        "pad",
        "pjit",
        "pow",
        "reduce_and",
        "reduce_max",
        "reduce_min",
        "reduce_or",
        "reduce_prod",
        "reduce_sum",
        "rem",
        "reshape",
        "rev",
        "round",
        "rsqrt",
        "select_n",
        "sign",
        "sin",
        "sinh",
        "slice",
        "split",
        "sqrt",
        "square",
        "squeeze",
        "stack",
        "stop_gradient",
        "sub",
        "tan",
        "tanh",
        "transpose",
        "xor",
    }
)
"""Primitives that compile into a kernel. Calls of libraries, for products of matrices,
factorisations or sorting, do not, nor do loops inside of the loop."""

AS_ONE = {"xla_cpu_small_call": "true", "inlineable": "false"}
"""Metadata of a call that XLA compiles as one kernel."""

LARGEST_VECTOR = 65_536
"""Entries of the arguments, which are copied, above which nothing would be gained."""


def as_one_kernel(loop: Callable[..., Any], *args: Any) -> Any:
    """Call a function that is one `while_loop`, as one kernel if its steps are small.

    The kernel takes one vector, of which something is always needed: XLA cannot compile
    one with an argument that turns out not to be.

    Args:
        loop: A function of pytrees of arrays, whose result is that of the loop.
        *args: Its arguments.
    """
    if jax.default_backend() != "cpu" or not _fits_into_a_vector(args):
        return loop(*args)
    shapes = jax.eval_shape(lambda: args)
    on_vector = lambda vector: loop(*from_vector(vector, shapes))
    vector = _pack(args)
    traced, results = jax.make_jaxpr(on_vector, return_shape=True)(vector)
    run = jaxpr_as_fun(traced)
    leaves = _one_kernel(run)(vector) if is_small_loop(traced) else run(vector)
    # A result that is a constant comes as a number of Python.
    arrays = [jnp.asarray(leaf) for leaf in leaves]
    return jax.tree.unflatten(jax.tree.structure(results), arrays)


def _one_kernel(run: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of a vector as one kernel, unless it is mapped over."""

    @jax.custom_batching.custom_vmap
    def alone(vector: Any) -> Any:
        with set_xla_metadata(**AS_ONE):
            return jax.jit(_without_metadata(run))(vector)

    @alone.def_vmap
    def _(axis_size: int, in_batched: Any, vectors: Any) -> tuple[Any, Any]:
        del axis_size, in_batched
        results = jax.vmap(run)(vectors)
        return results, jax.tree.map(lambda _: True, results)

    return alone


def _fits_into_a_vector(args: Any) -> bool:
    """Whether the arguments are few, and a vector of 64 bits holds them exactly."""
    leaves = jax.tree.leaves(args)
    sound = [_is_exact_in_64_bits(leaf) for leaf in leaves]
    has_wide = any(leaf.dtype == jnp.float64 for leaf in leaves)
    return has_wide and all(sound) and sum(leaf.size for leaf in leaves) <= LARGEST_VECTOR


def _is_exact_in_64_bits(leaf: Array) -> bool:
    is_integer = leaf.dtype == jnp.bool_ or jnp.issubdtype(leaf.dtype, jnp.integer)
    is_small_integer = is_integer and leaf.dtype.itemsize <= 4
    return jnp.issubdtype(leaf.dtype, jnp.floating) or (is_small_integer and leaf.ndim == 0)


def _pack(args: Any) -> Float[Array, " size"]:
    flat = [leaf.astype(jnp.float64).reshape(-1) for leaf in jax.tree.leaves(args)]
    return jnp.concatenate(flat)


def _without_metadata(run: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, in which the calls are compiled as usual."""

    def plain(vector: Any) -> Any:
        with set_xla_metadata(**dict.fromkeys(AS_ONE)):
            return run(vector)

    return plain


def is_small_loop(traced: ClosedJaxpr) -> bool:
    """Whether a program is one loop over steps of small arithmetic."""
    equations = traced.jaxpr.eqns
    loops = [equation for equation in equations if equation.primitive.name == "while"]
    others = [equation for equation in equations if equation.primitive.name != "while"]
    if len(loops) != 1:
        return False
    inside = [*others, *_equations_inside(loops[0])]
    return all(equation.primitive.name in ARITHMETIC for equation in inside)


def _equations_inside(equation: Any) -> Iterator[Any]:
    """All equations of the programs inside an equation, at any depth."""
    for jaxpr in programs_inside(equation):
        for inner in jaxpr.eqns:
            yield inner
            yield from _equations_inside(inner)

"""A small loop as one compiled kernel.

On a CPU, XLA runs a program as a sequence of kernels. One step of a small problem is
about a hundred of them, of a few arithmetic operations each, and starting them costs
more than what they do. XLA can compile a call as one function instead, and does so by
itself for the smallest of loops; metadata asks for it here. A version of XLA that does
not know the metadata ignores it: the result is the same, and only slower.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun

ARITHMETIC = frozenset(
    """
    abs acos acosh add add_any and argmax argmin asin asinh atan atan2 atanh
    broadcast_in_dim cbrt ceil clamp concatenate convert_element_type copy cos cosh
    custom_jvp_call custom_vjp_call div dot_general dynamic_slice dynamic_update_slice eq
    erf erfc exp exp2 expand_dims expm1 floor gather ge gt integer_pow iota is_finite jit
    le log log1p logistic lt max min mul ne neg nonbatchable not or pad pjit pow real reduce_and
    reduce_max reduce_min reduce_or reduce_prod reduce_sum rem reshape rev round rsqrt scan
    scatter select_n sign sin sinh slice split sqrt square squeeze stack stop_gradient sub tan
    tanh transpose while xor cond
    """.split()
)
"""Primitives that compile into a kernel. Others, calls of LAPACK among them, do not."""

LARGEST_PRODUCT = 4096
"""Entries of a factor of a matrix product above which a library's product is faster."""


def as_one_kernel(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function of pytrees of arrays, as one kernel if it is small arithmetic."""
    if jax.default_backend() != "cpu":
        return function(*args)
    traced, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
    run = jaxpr_as_fun(traced)
    leaves = jax.tree.leaves(args)
    if is_small_arithmetic(traced):
        with set_xla_metadata(xla_cpu_small_call="true", inlineable="false"):
            results = jax.jit(run)(*leaves)
    else:
        results = run(*leaves)
    return jax.tree.unflatten(jax.tree.structure(shapes), results)


def is_small_arithmetic(traced: ClosedJaxpr) -> bool:
    """Whether a program is made of primitives that compile into one kernel."""
    return all(_is_small(equation) for equation in _equations(traced.jaxpr))


def _is_small(equation: Any) -> bool:
    name = equation.primitive.name
    if name == "dot_general":
        return all(var.aval.size <= LARGEST_PRODUCT for var in equation.invars)
    return name in ARITHMETIC


def _equations(jaxpr: Jaxpr) -> Iterator[Any]:
    """All equations of a program, those of programs inside of it, too."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(
            list(equation.params.values()),
            is_leaf=lambda leaf: isinstance(leaf, ClosedJaxpr | Jaxpr),
        ):
            if isinstance(inner, ClosedJaxpr):
                yield from _equations(inner.jaxpr)
            elif isinstance(inner, Jaxpr):
                yield from _equations(inner)

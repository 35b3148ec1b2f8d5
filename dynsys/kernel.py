"""A loop over small steps as one compiled kernel.

On a CPU, XLA runs a program as a sequence of kernels. One step of a small problem is
about a hundred of them, of a few arithmetic operations each, and starting them costs
more than what they do. XLA can compile a call as one function instead, and does so by
itself for the smallest of loops; metadata asks for it here. A version of XLA that does
not know the metadata ignores it: the result is the same, and only slower.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jaxtyping import Array, Float

from dynsys.products import has_small_products, with_products_in_loops
from dynsys.programs.equations import all_equations
from dynsys.programs.primitives import (
    COPIES,
    ENTRYWISE,
    LOOPS,
    REARRANGEMENTS,
    REDUCTIONS,
    TOTAL_ORDER,
)

ARITHMETIC = (
    ENTRYWISE
    | TOTAL_ORDER
    | COPIES
    | REARRANGEMENTS
    | REDUCTIONS
    | frozenset({"cumsum", "custom_jvp_call", "custom_vjp_call", "iota", "jit"})
    | frozenset({"empty2", "nonbatchable", "pjit"})
)
"""Primitives that compile into a kernel, as loops and branches of them do. Calls of
libraries, for products of matrices, factorisations or sorting, do not."""

LIBRARY_SUM = 4096
"""Entries from which XLA gives sums to a library."""

AS_ONE = {"xla_cpu_small_call": "true", "inlineable": "false"}
"""Metadata of a call that XLA compiles as one kernel."""

LARGEST_VECTOR = 65_536
"""Entries of the arguments above which copying them would cost what the kernel gains."""


def as_one_kernel(
    loop: Callable[..., Any], *args: Any, largest: int = LARGEST_VECTOR
) -> Any:
    """Call a function that ends with a loop, as one kernel if its steps are small.

    The kernel takes all its arguments in one vector: XLA cannot compile a kernel that does
    not use one of its arguments.

    Args:
        loop: A function of pytrees of arrays, whose result is that of the loop.
        *args: Its arguments.
        largest: Entries of the arguments above which it is called as it is.
    """
    leaves, structure = jax.tree.flatten(args)
    if jax.default_backend() != "cpu" or not _fits_into_a_vector(leaves, largest):
        return loop(*args)
    on_leaves = lambda *leaves: loop(*structure.unflatten(leaves))
    traced, results = jax.make_jaxpr(on_leaves, return_shape=True)(*leaves)
    # What it closes over is an argument, too.
    inputs = [*map(jnp.asarray, traced.consts), *leaves]
    shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in inputs]
    count = len(traced.consts)

    def run(way: Callable[..., list[Any]], vector: Any) -> list[Any]:
        parts = _unpack(vector, shapes)
        return way(ClosedJaxpr(traced.jaxpr, parts[:count]), parts[count:])

    plain = functools.partial(run, lambda closed, args: jaxpr_as_fun(closed)(*args))
    kernel, written = plain, traced
    if has_small_products(traced.jaxpr):
        kernel = functools.partial(run, with_products_in_loops)
        written = jax.make_jaxpr(lambda *args: with_products_in_loops(traced, args))(
            *leaves
        )
    if is_small_loop(written) and _fits_into_a_vector(inputs, largest):
        outputs = _one_kernel(kernel, plain)(_pack(inputs))
    else:
        outputs = jaxpr_as_fun(traced)(*leaves)
    # A result that is a constant comes as a number of Python.
    arrays = [jnp.asarray(output) for output in outputs]
    return jax.tree.unflatten(jax.tree.structure(results), arrays)


def _one_kernel(
    kernel: Callable[..., Any], plain: Callable[..., Any]
) -> Callable[..., Any]:
    """A function of a vector as one kernel, unless it is mapped over or differentiated.

    Args:
        kernel: The function as it is compiled.
        plain: The same with the rules of its parts for batches and derivatives.
    """

    @jax.custom_batching.custom_vmap
    def alone(vector: Any) -> Any:
        with set_xla_metadata(**AS_ONE):
            return jax.jit(_without_metadata(kernel))(vector)

    @alone.def_vmap
    def _(axis_size: int, in_batched: Any, vectors: Any) -> tuple[Any, Any]:
        del axis_size, in_batched
        results = jax.vmap(plain)(vectors)
        return results, jax.tree.map(lambda _: True, results)

    # The rule for a mapped call does not see which of primals and tangents are mapped.
    differentiable = jax.custom_jvp(alone)
    differentiable.defjvp(lambda primals, tangents: jax.jvp(plain, primals, tangents))
    return differentiable


def _fits_into_a_vector(leaves: Sequence[Any], largest: int) -> bool:
    """Whether the arguments are few real numbers, some of them of 64 bits."""
    has_wide = any(leaf.dtype == jnp.float64 for leaf in leaves)
    is_number = all(
        jnp.issubdtype(leaf.dtype, jnp.number) or leaf.dtype == bool for leaf in leaves
    )
    is_real = not any(jnp.issubdtype(leaf.dtype, jnp.complexfloating) for leaf in leaves)
    return (
        has_wide and is_number and is_real and sum(leaf.size for leaf in leaves) <= largest
    )


def _is_long(dtype: Any) -> bool:
    """Whether it is an integer whose 64 bits do not fit into the 53 of a float."""
    return jnp.issubdtype(dtype, jnp.integer) and dtype.itemsize > 4


def _pack(leaves: Sequence[Array]) -> Float[Array, " size"]:
    """All entries in one vector of 64-bit floats, from which they come back bit for bit."""
    parts: list[Array] = []
    for leaf in leaves:
        flat = leaf.reshape(-1)
        halves = [flat]
        if _is_long(leaf.dtype):
            halves = [flat >> 32, flat & jnp.asarray(2**32 - 1, leaf.dtype)]
        parts += [half.astype(jnp.float64) for half in halves]
    return jnp.concatenate(parts)


def _unpack(vector: Float[Array, " size"], shapes: Sequence[Any]) -> list[Array]:
    """The inverse of `_pack`."""
    halves = [2 if _is_long(shape.dtype) else 1 for shape in shapes]
    sizes = [shape.size for shape, n in zip(shapes, halves, strict=True) for _ in range(n)]
    parts = iter(jnp.split(vector, np.cumsum(sizes)[:-1]))
    arrays: list[Array] = []
    for shape, n in zip(shapes, halves, strict=True):
        high, *low = [next(parts).astype(shape.dtype) for _ in range(n)]
        whole = (high << 32) | low[0] if low else high
        arrays.append(whole.reshape(shape.shape))
    return arrays


def _without_metadata(run: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, whose inner calls are compiled as usual."""

    def plain(vector: Any) -> Any:
        with set_xla_metadata(**dict.fromkeys(AS_ONE)):
            return run(vector)

    return plain


def is_small_loop(traced: ClosedJaxpr) -> bool:
    """Whether a program is a loop over steps of small arithmetic, and what begins it."""
    has_loop = any(e.primitive.name == "while" for e in traced.jaxpr.eqns)
    return has_loop and all(map(_is_small, all_equations(traced.jaxpr)))


def _is_small(equation: Any) -> bool:
    """Whether an equation compiles into a kernel."""
    name = equation.primitive.name
    is_large = name.startswith("reduce_") and equation.invars[0].aval.size >= LIBRARY_SUM
    return name in ARITHMETIC | LOOPS and not is_large

"""A loop over small steps as one compiled kernel.

On a CPU, XLA runs a program as a sequence of kernels. One step of a small problem is
about a hundred of them, of a few arithmetic operations each, and starting them costs
more than what they do. XLA can compile a call as one function instead, and does so by
itself for the smallest of loops; metadata asks for it here. XLA may refuse to compile a
kernel: then `cached_call` traces the program once more, without any.
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

from dynsys.kernel_outcome import note_outcome, refusal
from dynsys.products import has_small_products, with_products_in_loops
from dynsys.programs.equations import all_equations, programs_inside
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
"""Entries from which XLA gives sums of floats to a library."""

AS_ONE = {"xla_cpu_small_call": "true", "inlineable": "false"}
"""Metadata of a call that XLA compiles as one kernel."""

LARGEST_VECTOR = 65_536
"""Entries of the arguments above which copying them would cost what the kernel gains."""


def as_one_kernel(
    loop: Callable[..., Any],
    *args: Any,
    largest: int = LARGEST_VECTOR,
    obstacle: str = "",
) -> Any:
    """Call a function that ends with a loop, as one kernel if its steps are small.

    The kernel takes all its arguments in one vector: XLA cannot compile a kernel that does
    not use one of its arguments.

    Args:
        loop: A function of pytrees of arrays, whose result is that of the loop.
        *args: Its arguments.
        largest: Entries of the arguments above which it is called as it is.
        obstacle: Why it is called as it is in any case, if so.
    """
    leaves, structure = jax.tree.flatten(args)
    obstacle = obstacle or refusal() or _obstacle_of_arguments(leaves, largest)
    if obstacle:
        note_outcome(obstacle)
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
    obstacle = obstacle_of_loop(written) or _obstacle_of_arguments(inputs, largest)
    note_outcome(obstacle)
    if obstacle:
        outputs = jaxpr_as_fun(traced)(*leaves)
    else:
        outputs = _one_kernel(kernel, plain)(_pack(inputs))
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


def _obstacle_of_arguments(leaves: Sequence[Any], largest: int) -> str:
    """Why the arguments of a loop cannot be one vector of 64-bit floats, if so.

    Some are of 64 bits if they can, so that these are at hand.
    """
    has_wide = any(leaf.dtype == jnp.float64 for leaf in leaves)
    kinds = (jnp.bool_, jnp.integer, jnp.floating)
    is_real = lambda leaf: any(jnp.issubdtype(leaf.dtype, kind) for kind in kinds)
    size = sum(leaf.size for leaf in leaves)
    obstacles = {
        "it is not on a processor": jax.default_backend() != "cpu",
        "it is not in double precision": not has_wide,
        "not all of its arrays are real": not all(map(is_real, leaves)),
        f"its {size:,} numbers are more than {largest:,}": size > largest,
    }
    return next((reason for reason, holds in obstacles.items() if holds), "")


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


def obstacle_of_loop(traced: ClosedJaxpr) -> str:
    """Why a program is not a loop over steps of small arithmetic, and what begins it."""
    if not any(equation.primitive.name == "while" for equation in traced.jaxpr.eqns):
        return "it is no loop"
    # What a call does says more than that it is one.
    is_call = lambda equation: any(True for _ in programs_inside(equation))
    every = sorted(all_equations(traced.jaxpr), key=is_call)
    return next(filter(None, map(_obstacle_of, every)), "")


def _obstacle_of(equation: Any) -> str:
    """Why an equation does not compile into a kernel, if so."""
    name = equation.primitive.name
    if name not in ARITHMETIC | LOOPS:
        return f"`{name}` in it is not compiled into a kernel"
    if name.startswith("reduce_"):
        aval = equation.invars[0].aval
        if jnp.issubdtype(aval.dtype, jnp.floating) and aval.size >= LIBRARY_SUM:
            return f"`{name}` in it goes over {aval.size:,} entries"
    return ""

"""Small products of arrays as loops, which compile into a kernel.

A call of a library would be faster for one large product, but it cannot be part of a
kernel, and starting it costs more than what a small one does.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr

from dynsys.programs.equations import all_equations, called, has_any
from dynsys.programs.evaluate import bind, evaluate, scan_operands, while_operands

LONGEST = 128
"""Most terms of each sum of a product that becomes a loop."""

LARGEST = 16_384
"""Most multiplications in such a product."""


def is_short(equation: Any) -> bool:
    """Whether each sum of a `dot_general` has few terms."""
    contracted, batch = equation.params["dimension_numbers"]
    shape = equation.invars[0].aval.shape
    length = math.prod(shape[axis] for axis in contracted[0])
    return not batch[0] and length <= LONGEST


def _is_small(equation: Any) -> bool:
    shapes = [v.aval.shape for v in (*equation.invars, *equation.outvars)]
    # Each pair of factors is in two of the three.
    count = math.sqrt(math.prod(math.prod(shape) for shape in shapes))
    return is_short(equation) and count <= LARGEST


def in_a_loop(
    equation: Any,
    arrays: Sequence[Any],
    varies: Sequence[bool] = (False, False),
    width: int | None = None,
) -> Any:
    """The result of a short `dot_general`.

    Args:
        equation: The equation.
        arrays: Its operands.
        varies: Which of them have lanes as one more axis, the last.
        width: Number of lanes, if there are any.
    """
    contracted, _ = equation.params["dimension_numbers"]
    out = equation.outvars[0].aval
    terms = [
        _terms(array, axes).astype(out.dtype)
        for array, axes in zip(arrays, contracted, strict=True)
    ]
    ranks = [term.ndim - 1 - v for term, v in zip(terms, varies, strict=True)]
    shape = (*out.shape, *(() if width is None else (width,)))
    places = [tuple(range(ranks[0])), tuple(range(ranks[0], sum(ranks)))]
    axes = [
        (*place, *((len(shape) - 1,) if v else ()))
        for place, v in zip(places, varies, strict=True)
    ]

    def add(k: Any, total: Any) -> Any:
        rows = [jax.lax.dynamic_index_in_dim(term, k, 0, False) for term in terms]
        first, second = (
            jax.lax.broadcast_in_dim(row, shape, at)
            for row, at in zip(rows, axes, strict=True)
        )
        return total + first * second

    return jax.lax.fori_loop(0, len(terms[0]), add, jnp.zeros(shape, out.dtype))


def _terms(array: Any, axes: Sequence[int]) -> Any:
    """The axes that are summed over as one, at the front."""
    array = jnp.moveaxis(array, axes, range(len(axes)))
    return array.reshape(-1, *array.shape[len(axes) :])


def has_small_products(jaxpr: Jaxpr) -> bool:
    """Whether there are products in a program, all of them short and small."""
    products = [e for e in all_equations(jaxpr) if e.primitive.name == "dot_general"]
    return bool(products) and all(map(_is_small, products))


def with_products_in_loops(closed: ClosedJaxpr, args: Sequence[Any]) -> list[Any]:
    """The outputs of a program whose products are small, as loops.

    Programs that it calls are opened, so their own rules for derivatives are lost.
    """
    return evaluate(closed, args, _equation)


def _equation(equation: Any, values: list[Any]) -> Sequence[Any]:
    name, params, inner = equation.primitive.name, equation.params, called(equation)
    if name == "dot_general":
        return [in_a_loop(equation, values)]
    if not has_any(equation, {"dot_general"}):
        return bind(equation, values)
    if inner is not None:
        return with_products_in_loops(inner, values)
    if name == "while" and not params["cond_jaxpr"].out_avals[0].shape:
        return _while(params, values)
    if name == "scan":
        return _scan(params, values)
    if name == "cond":
        branches = [_as_call(branch) for branch in params["branches"]]
        return jax.lax.switch(values[0], branches, *values[1:])
    # Among others many loops in one, each with an end of its own.
    return bind(equation, values)


def _as_call(closed: ClosedJaxpr) -> Callable[..., list[Any]]:
    return lambda *args: with_products_in_loops(closed, args)


def _while(params: Any, values: list[Any]) -> list[Any]:
    fixed, consts, carry = while_operands(params, values)
    return jax.lax.while_loop(
        lambda carry: with_products_in_loops(params["cond_jaxpr"], [*fixed, *carry])[0],
        lambda carry: with_products_in_loops(params["body_jaxpr"], [*consts, *carry]),
        carry,
    )


def _scan(params: Any, values: list[Any]) -> list[Any]:
    consts, first, series = scan_operands(params, values)

    def step(carry: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
        outputs = with_products_in_loops(params["jaxpr"], [*consts, *carry, *row])
        return outputs[: len(first)], outputs[len(first) :]

    last, rows = jax.lax.scan(
        step,
        first,
        series,
        length=params["length"],
        reverse=params["reverse"],
        unroll=params["unroll"],
    )
    return [*last, *rows]

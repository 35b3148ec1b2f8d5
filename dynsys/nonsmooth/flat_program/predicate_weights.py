r"""Predicates as weights: 1 where true, 0 where not, and between them on a kink.

A comparison whose switching value has the sign $s$ is the weight $w = (1 + s) / 2$, so what
is made of comparisons is a polynomial in signs and keeps its derivative in each of them.
Integers that depend on predicates are stood for by floats in the same way.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from dynsys.programs.equations import indices_of

Weight = Any
Complement = Callable[[Weight], Weight]
Blend = Callable[[Weight, Any, Any], Any]


def complement(weight: Weight) -> Weight:
    """The weight of the opposite."""
    return 1 - weight


def unsigned_complement(weight: Weight) -> Weight:
    """The weight of the opposite, with a derivative that cancels no other one."""
    return 1 - 2 * jax.lax.stop_gradient(weight) + weight


def blend(weight: Weight, upper: Any, lower: Any) -> Any:
    """The upper value at weight 1, the lower one at 0, even if the other is infinite.

    The derivative with respect to the weight is their difference where that is finite.
    """
    weight, upper, lower, end = _prepared(weight, upper, lower)
    gap = upper - lower
    gap = jnp.where(jnp.isfinite(gap), gap, 0)
    return jnp.where(end, upper, lower) + (weight - end.astype(weight.dtype)) * gap


@jax.custom_vjp
def size_blend(weight: Weight, upper: Any, lower: Any) -> Any:
    r"""A blend whose derivative with respect to the weight is a size, and never negative.

    It is $(|a| + |b|)\,|\partial f|$ for a blend of $a$ and $b$ that the result changes
    with the slope $\partial f$.
    """
    return blend(weight, upper, lower)


def _size_forward(weight: Weight, upper: Any, lower: Any) -> tuple[Any, Any]:
    return blend(weight, upper, lower), (weight, upper, lower)


def _size_backward(operands: Any, slope: Any) -> tuple[Any, Any, Any]:
    _, pull = jax.vjp(blend, *operands)
    _, upper, lower, _ = _prepared(*operands)
    size = jnp.abs(upper) + jnp.abs(lower)
    size = jnp.where(jnp.isfinite(size), size, 0)
    by_weight = (jnp.abs(slope) * size).astype(operands[0].dtype)
    extra = tuple(range(by_weight.ndim - jnp.ndim(operands[0])))
    return jnp.sum(by_weight, axis=extra), *pull(slope)[1:]


size_blend.defvjp(_size_forward, _size_backward)


def _prepared(weight: Weight, upper: Any, lower: Any) -> tuple[Any, Any, Any, Any]:
    """All of one shape and type, and whether the weight is at its upper end."""
    shape = jnp.broadcast_shapes(*map(jnp.shape, (weight, upper, lower)))
    weight, upper, lower = (jnp.broadcast_to(a, shape) for a in (weight, upper, lower))
    return weight.astype(upper.dtype), upper, lower, weight >= 1


def combined(
    equation: Any, values: Sequence[Any], negate: Complement, mix: Blend
) -> Sequence[Any]:
    """The results of an equation some of whose operands are weights.

    Args:
        equation: The equation.
        values: Its operands; among them plain predicates and integers.
        negate: The weight of the opposite.
        mix: What selects.
    """
    name, params = equation.primitive.name, equation.params
    if name == "select_n":
        return [_selected(equation, values, mix)]
    if name == "convert_element_type":
        is_float = jnp.issubdtype(params["new_dtype"], jnp.floating)
        return [values[0].astype(params["new_dtype"]) if is_float else values[0]]
    where = indices_of(equation)
    indices, values = values[where], _alike(values)
    values[where] = indices
    if equation.invars[0].aval.dtype == bool and name in LOGIC:
        return [LOGIC[name](negate, *values)]
    results = equation.primitive.bind(*values, **params)
    return results if equation.primitive.multiple_results else [results]


def _selected(equation: Any, values: Sequence[Any], mix: Blend) -> Any:
    weight, *cases = values
    if not _is_float(equation.outvars[0].aval):
        cases = _alike(cases) if any(map(_is_float, cases)) else cases
    if not _is_float(weight):
        return jax.lax.select_n(weight, *cases)
    if not any(map(_is_float, cases)):
        cases = [case.astype(weight.dtype) for case in cases]
    return mix(weight, cases[1], cases[0])


def _alike(values: Sequence[Any]) -> list[Any]:
    """All as floats of the widest type among them."""
    floats = [v.dtype for v in values if _is_float(v)]
    dtype = max(floats, key=lambda dtype: jnp.finfo(dtype).bits)
    return [jnp.asarray(v).astype(dtype) for v in values]


def _is_float(value: Any) -> bool:
    return jnp.issubdtype(value.dtype, jnp.floating)


def _either(_: Complement, a: Weight, b: Weight) -> Weight:
    return a + b - a * b


def _both(_: Complement, a: Weight, b: Weight) -> Weight:
    return a * b


def _one(negate: Complement, a: Weight, b: Weight) -> Weight:
    return a * negate(b) + negate(a) * b


def _same(negate: Complement, a: Weight, b: Weight) -> Weight:
    return a * b + negate(a) * negate(b)


LOGIC: dict[str, Callable[..., Weight]] = {
    "and": _both,
    "min": _both,
    "mul": _both,
    "or": _either,
    "max": _either,
    "not": lambda negate, a: negate(a),
    "xor": _one,
    "ne": _one,
    "eq": _same,
}
"""Primitives of predicates, as polynomials of weights."""

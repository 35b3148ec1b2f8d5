"""Rules of primitives that do not act on each entry alone, in any arithmetic.

Sums, products and quotients are taken as such; a comparison is a weight between 0 and 1, of
which `and`, `or`, `not` and selections are polynomials.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from dynsys.nonsmooth.arithmetic import moves
from dynsys.nonsmooth.arithmetic.scope import Call
from dynsys.programs.dataflow import is_in
from dynsys.programs.primitives import COPIES

LARGEST_TABLE = 1 << 20
"""Entries times updates of each up to which scattered sums are followed."""

SAME = COPIES | {"reduce_precision"}
"""Primitives that pass their operand on."""


def moved(call: Call) -> Any:
    """A move, if its indices are known."""
    equation = call.equation
    operands = [
        i
        for i, v in enumerate(equation.invars)
        if moves.is_data(v) or call.known(i) is None
    ]
    if any(
        call.known(i) is None and not moves.is_data(equation.invars[i]) and i
        for i in operands
    ):
        return None
    known = [None if i in operands else call.known(i) for i in range(len(equation.invars))]
    cache = call.form.sources
    key = id(equation)
    if key not in cache:
        cache[key] = moves.sources(equation, known)
    if cache[key] is None:
        return None
    rows = [call.rows(i) for i in operands]
    absent = call.field.exact(np.nan)
    return [moves.take(indices, rows, absent) for indices in cache[key]]


def _select(call: Call) -> Any:
    if len(call.equation.invars) != 3 or not call.is_bool():
        return None
    known = call.known(0)
    if known is not None:
        return np.where(known, call.rows(2), call.rows(1))
    return call.field.blend(call.rows(0), call.rows(1), call.rows(2))


def _equal(call: Call) -> Any:
    """Floats that depend on the position are generically different."""
    a, b = call.rows(0), call.rows(1)
    same = (a == b).all(axis=1, keepdims=True)
    v = call.equation.invars
    is_active = any(is_in(u, call.form.active) for u in v)
    if call.is_bool():
        product = call.field.mul(a, b)
        both = call.field.add(a, b)
        weight = call.field.sub(
            call.field.one(a), call.field.sub(both, call.field.add(product, product))
        )
    elif is_active and jnp.issubdtype(v[0].aval.dtype, jnp.inexact):
        weight = np.zeros_like(a)
    else:
        weight = call.field.relation("eq", a, b)
    weight = np.where(same, call.field.one(weight), weight)
    differs = call.equation.primitive.name == "ne"
    return call.field.sub(call.field.one(weight), weight) if differs else weight


def _order(call: Call) -> Any:
    """A comparison of data that are traced: an unknown weight."""
    name, field = call.equation.primitive.name, call.field
    a, b = call.rows(0), call.rows(1)
    left, right = (a, b) if name in ("gt", "le") else (b, a)
    weight = field.relation("gt", left, right)
    return weight if name in ("gt", "lt") else field.sub(field.one(weight), weight)


def _both(call: Call) -> Any:
    return call.field.mul(call.rows(0), call.rows(1)) if call.is_bool() else None


def _either(call: Call) -> Any:
    if not call.is_bool():
        return None
    a, b = call.rows(0), call.rows(1)
    return call.field.sub(call.field.add(a, b), call.field.mul(a, b))


def _one_of(call: Call) -> Any:
    if not call.is_bool():
        return None
    a, b = call.rows(0), call.rows(1)
    product = call.field.mul(a, b)
    return call.field.sub(call.field.add(a, b), call.field.add(product, product))


def _not(call: Call) -> Any:
    a = call.rows(0)
    return call.field.sub(call.field.one(a), a) if call.is_bool() else None


def _converted(call: Call) -> Any:
    source, target = call.equation.invars[0].aval.dtype, call.equation.params["new_dtype"]
    rounds = jnp.issubdtype(source, jnp.inexact) and not jnp.issubdtype(target, jnp.inexact)
    return None if rounds else call.rows(0)


def _stopped(call: Call) -> Any:
    """What depends on the position, but is constant to derivatives, is a new unknown."""
    return call.rows(0) if is_in(call.equation.invars[0], call.form.traced) else None


def _scattered(call: Call) -> Any:
    """Updates that are added to entries, some of them to the same one."""
    equation, index = call.equation, call.known(1)
    if index is None:
        return None
    cache, key = call.form.sources, id(equation)
    if key not in cache:
        into = moves.targets(equation, index)
        size = int(equation.invars[0].aval.size)
        table = None if into is None else moves.slots(into, size)
        cache[key] = None if table is None or table.size > LARGEST_TABLE else table
    if cache[key] is None:
        return None
    parts = moves.take(cache[key], [call.rows(2)], call.field.exact(0.0))
    total = call.field.total(parts, (1,)).reshape(-1, *call.rows(0).shape[1:])
    is_minus = equation.primitive.name == "scatter-sub"
    return (call.field.sub if is_minus else call.field.add)(call.rows(0), total)


def _running(call: Call) -> Any:
    axis, a = call.equation.params["axis"], call.rows(0)
    if not call.equation.params["reverse"]:
        return call.field.running_total(a, axis)
    at = axis + moves.LEAD
    return np.flip(call.field.running_total(np.flip(a, at), axis), at)


def _running_product(call: Call) -> Any:
    """Each pass doubles the number of factors."""
    axis = call.equation.params["axis"] + moves.LEAD
    turn = call.equation.params["reverse"]
    a = np.moveaxis(call.rows(0), axis, -1)
    a, shift = a[..., ::-1] if turn else a, 1
    while shift < a.shape[-1]:
        longer = call.field.mul(a[..., shift:], a[..., :-shift])
        a, shift = np.concatenate([a[..., :shift], longer], axis=-1), 2 * shift
    return np.moveaxis(a[..., ::-1] if turn else a, -1, axis)


def _multiplied(call: Call) -> Any:
    """A product over axes."""
    a = call.rows(0)
    axes = [i + moves.LEAD for i in call.equation.params["axes"]]
    rest = [i for i in range(a.ndim) if i not in axes]
    a = a.transpose(*rest, *axes).reshape(*(a.shape[i] for i in rest), -1)
    while a.shape[-1] > 1:
        half = a.shape[-1] // 2
        pairs = call.field.mul(a[..., :half], a[..., half : 2 * half])
        a = np.concatenate([pairs, a[..., 2 * half :]], axis=-1)
    return a[..., 0] if a.shape[-1] else call.field.one(a[..., 0:0].sum(axis=-1))


def _dot(call: Call) -> Any:
    return call.field.bilinear(moves.dot(call.equation), call.rows(0), call.rows(1))


def _convolution(call: Call) -> Any:
    product = moves.convolution(call.equation)
    if product is None:
        return None
    return call.field.bilinear(product, call.rows(0), call.rows(1))


def _power(call: Call) -> Any:
    c = call.known(1)
    if c is None or c.size == 0 or not (c == c.reshape(-1)[0]).all():
        return None
    return call.field.raised_to(call.rows(0), float(c.reshape(-1)[0]))


def _simple(call: Call) -> Any:
    move = moves.SIMPLE[call.equation.primitive.name]
    if call.equation.primitive.name == "broadcast_in_dim" and len(call.equation.invars) > 1:
        return None
    return move(call.equation, *(call.rows(i) for i in range(len(call.equation.invars))))


_ring = lambda name: lambda call: getattr(call.field, name)(call.rows(0), call.rows(1))

RULES: dict[str, Callable[[Call], Any]] = {
    **dict.fromkeys(SAME, lambda call: call.rows(0)),
    **dict.fromkeys(moves.SIMPLE, _simple),
    **dict.fromkeys(("eq", "ne"), _equal),
    **dict.fromkeys(("ge", "gt", "le", "lt"), _order),
    **dict.fromkeys(("add", "add_any"), _ring("add")),
    "and": _both,
    "conv_general_dilated": _convolution,
    "convert_element_type": _converted,
    "cumprod": _running_product,
    "cumsum": _running,
    "div": _ring("div"),
    "dot_general": _dot,
    "integer_pow": lambda call: call.field.power(call.rows(0), call.equation.params["y"]),
    "is_finite": lambda call: call.field.one(call.rows(0)),
    "mul": _ring("mul"),
    "neg": lambda call: call.field.neg(call.rows(0)),
    "not": _not,
    "or": _either,
    "pow": _power,
    "reduce_prod": _multiplied,
    "reduce_sum": lambda call: call.field.total(call.rows(0), call.equation.params["axes"]),
    "select_n": _select,
    "square": lambda call: call.field.mul(call.rows(0), call.rows(0)),
    **dict.fromkeys(("max",), _either),
    **dict.fromkeys(("min",), _both),
    "stop_gradient": _stopped,
    "sub": _ring("sub"),
    **dict.fromkeys(("scatter-add", "scatter-sub"), _scattered),
    "xor": _one_of,
}

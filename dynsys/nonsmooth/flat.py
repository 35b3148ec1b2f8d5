"""A function as one flat list of primitives, in which every switch is seen.

Calls, custom derivatives and loops of known length that have a switch inside are opened,
and maxima over axes and windows become maxima of pairs.
"""

import contextlib
import itertools
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import source_info_util
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from dynsys.equations import CALLS, as_closed, bind, programs_inside

COMPARISONS = frozenset({"lt", "le", "gt", "ge"})
SWITCHES = frozenset({"abs", "max", "min", "sign"}) | COMPARISONS
"""Primitives that switch between smooth pieces; a comparison does so in a selection."""

MANY = frozenset({"reduce_max", "reduce_min", "reduce_window_max", "reduce_window_min"})
REFUSED = frozenset(
    {"ceil", "cummax", "cummin", "floor", "nextafter", "rem", "round", "sort", "top_k"}
)
"""Primitives that jump, or have kinks that are not looked into."""

OPAQUE = frozenset({"custom_linear_solve"})
"""Primitives that are smooth although programs inside of them choose pivots."""

LONGEST_SCAN = 1024
"""Passes of a loop that are written out one by one."""


class NotPiecewiseSmooth(ValueError):
    """A loss is discontinuous, or has kinks that cannot be looked into."""


def flatten(function: Callable[..., Any], x: Any) -> ClosedJaxpr:
    """The program of a scalar function of a pytree, opened wherever it switches.

    Args:
        function: The function.
        x: Its argument, or one like it.

    Raises:
        NotPiecewiseSmooth: It switches inside a loop of unknown length or a branch.
    """
    leaves, structure = jax.tree.flatten(x)
    on_leaves = lambda *leaves: function(jax.tree.unflatten(structure, leaves))
    closed = jax.make_jaxpr(on_leaves)(*leaves)
    opened = lambda *leaves: _evaluate(closed, leaves)
    return jax.make_jaxpr(opened)(*leaves)


def place(equation: Any) -> str:
    """A primitive and where it is in the code of the user, if that is known."""
    where = source_info_util.summarize(equation.source_info)
    return f"`{equation.primitive.name}`" + (f" at {where}" if where else "")


def _context(equation: Any) -> contextlib.AbstractContextManager[Any]:
    """New equations get the place of this one, if it has one."""
    if not source_info_util.summarize(equation.source_info):
        return contextlib.nullcontext()
    return source_info_util.user_context(equation.source_info.traceback)


def apply(equation: Any, values: Sequence[Any]) -> Sequence[Any]:
    """The results of one equation, with `None` for those that nobody needs."""
    with _context(equation):
        return bind(equation, values)


def _evaluate(closed: ClosedJaxpr, args: Sequence[Any]) -> list[Any]:
    """Run a program, opening what switches."""
    jaxpr = closed.jaxpr
    known = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    known |= dict(zip(jaxpr.invars, args, strict=True))
    read = lambda v: v.val if isinstance(v, Literal) else known[v]
    for equation in jaxpr.eqns:
        values = [read(v) for v in equation.invars]
        known |= dict(zip(equation.outvars, _open(equation, values), strict=True))
    return [read(v) for v in jaxpr.outvars]


def _open(equation: Any, values: list[Any]) -> Sequence[Any]:
    name, params = equation.primitive.name, equation.params
    if name in MANY:
        with _context(equation):
            return [_pairwise(name, params, values[0])]
    if name == "clamp":
        with _context(equation):
            low, x, high = jnp.broadcast_arrays(*values)
            return [jax.lax.min(jax.lax.max(x, low), high)]
    to_see = _SWITCHING | ({"sqrt"} if name in CALLS else set())
    if name in OPAQUE or not any(_has(p, to_see) for p in programs_inside(equation)):
        return apply(equation, values)
    if name in CALLS:
        closed = as_closed(params[CALLS[name]])
        with _context(equation):
            return _evaluate(closed, values)
    if name == "scan" and params["length"] <= LONGEST_SCAN:
        return _unroll(params, values)
    raise NotPiecewiseSmooth(
        f"The loss switches inside of {place(equation)}. Its kinks are found in straight "
        f"code and in `scan` of at most {LONGEST_SCAN} passes only: write the loop or the "
        f"branch in another way, or pass `inclusion='autodiff'`."
    )


def _unroll(params: Any, values: list[Any]) -> list[Any]:
    """The passes of a scan, one by one."""
    consts, carried = params["num_consts"], params["num_carry"]
    fixed, carry = values[:consts], values[consts : consts + carried]
    series = values[consts + carried :]
    order = range(params["length"])
    collected: list[Any] = [None] * params["length"]
    for i in reversed(order) if params["reverse"] else order:
        results = _evaluate(params["jaxpr"], [*fixed, *carry, *(s[i] for s in series)])
        carry, collected[i] = results[:carried], results[carried:]
    return [*carry, *(jnp.stack(column) for column in zip(*collected, strict=True))]


def _pairwise(name: str, params: Any, x: Any) -> Any:
    """A maximum or minimum over axes or windows, as a tree of pairs."""
    pair = jax.lax.max if name.endswith("max") else jax.lax.min
    if name.startswith("reduce_window"):
        filling = -jnp.inf if pair is jax.lax.max else jnp.inf
        return _tree(pair, jnp.stack(_windows(params, x, filling)))
    axes = params["axes"]
    rest = tuple(size for i, size in enumerate(x.shape) if i not in axes)
    return _tree(pair, jnp.moveaxis(x, axes, range(len(axes))).reshape(-1, *rest))


def _windows(params: Any, x: Any, filling: float) -> list[Any]:
    """One array for each place in a window."""
    padding = [(low, high, 0) for low, high in params["padding"]]
    x = jax.lax.pad(x, jnp.asarray(filling, x.dtype), padding)
    if set(params["base_dilation"]) != {1} or set(params["window_dilation"]) != {1}:
        raise NotPiecewiseSmooth("Pooling with dilation is not looked into.")
    sizes, strides = params["window_dimensions"], params["window_strides"]
    counts = [
        (length - size) // stride
        for length, size, stride in zip(x.shape, sizes, strides, strict=True)
    ]
    arrays = []
    for offset in itertools.product(*map(range, sizes)):
        last = [o + n * s + 1 for o, n, s in zip(offset, counts, strides, strict=True)]
        arrays.append(jax.lax.slice(x, offset, last, strides))
    return arrays


def _tree(pair: Callable[[Any, Any], Any], x: Any) -> Any:
    """Join the entries along the first axis in pairs, pairs of pairs and so on."""
    while len(x) > 1:
        half = len(x) // 2
        x = jnp.concatenate([pair(x[:half], x[half : 2 * half]), x[2 * half :]])
    return x[0]


_SWITCHING = SWITCHES | MANY | REFUSED | {"clamp", "select_n"}


def _has(jaxpr: Jaxpr, names: Collection[str]) -> bool:
    """Whether one of some primitives is in a program, at any depth."""
    return any(
        equation.primitive.name in names
        or any(_has(p, names) for p in programs_inside(equation))
        for equation in jaxpr.eqns
        if equation.primitive.name not in OPAQUE
    )


def is_in(v: Any, variables: Any) -> bool:
    """Whether an operand is one of some variables, and no constant."""
    return not isinstance(v, Literal) and v in variables

"""Equations of a program of JAX, and the programs inside of them."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import jax
from jax.extend.core import (
    ClosedJaxpr,
    DebugInfo,
    DropVar,
    Jaxpr,
    Literal,
    jaxpr_as_fun,
)
from jax.tree_util import tree_leaves

CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "custom_vmap_call": "call",
}
"""Primitives that call a program, and the name of it among their parameters."""


CHEAP = frozenset(
    {
        "abs",
        "add",
        "add_any",
        "and",
        "ceil",
        "clamp",
        "convert_element_type",
        "eq",
        "floor",
        "ge",
        "gt",
        "integer_pow",
        "is_finite",
        "le",
        "lt",
        "max",
        "min",
        "mul",
        "ne",
        "neg",
        "not",
        "or",
        "rem",
        "round",
        "select_n",
        "shift_left",
        "shift_right_arithmetic",
        "shift_right_logical",
        "sign",
        "square",
        "sub",
        "xor",
    }
)
"""Arithmetic on each entry alone that XLA may do anew in each place that uses it."""

EXPENSIVE = frozenset(
    {
        "acos",
        "acosh",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "cbrt",
        "cos",
        "cosh",
        "div",
        "erf",
        "erfc",
        "exp",
        "exp2",
        "expm1",
        "log",
        "log1p",
        "logistic",
        "pow",
        "rsqrt",
        "sin",
        "sinh",
        "sqrt",
        "tan",
        "tanh",
    }
)
"""Arithmetic on each entry alone that XLA does once."""

ENTRYWISE = CHEAP | EXPENSIVE

TOTAL_ORDER = frozenset({"le_to", "lt_to"})
"""Comparisons of each entry alone by which searching in a vector orders NaN, too."""

LIBRARIES = frozenset(
    {
        "cholesky",
        "custom_linear_solve",
        "eig",
        "eigh",
        "geqrf",
        "householder_product",
        "lu",
        "qr",
        "schur",
        "svd",
        "triangular_solve",
        "tridiagonal_solve",
    }
)
"""Primitives that call a library of linear algebra for the last two axes of an array. Two
such calls for batches at once on a processor can wait for each other for ever, inside of
XLA (`dynsys.lapack`)."""


def batches_wait() -> bool:
    """Whether libraries are called for one matrix after the other: on a processor."""
    return jax.default_backend() == "cpu"


def called(equation: Any) -> ClosedJaxpr | None:
    """The program that an equation calls, if that is all it does."""
    name = CALLS.get(equation.primitive.name)
    return None if name is None else as_closed(equation.params[name])


def as_closed(program: ClosedJaxpr | Jaxpr) -> ClosedJaxpr:
    """A program with its constants, of which a bare one has none."""
    return program if isinstance(program, ClosedJaxpr) else ClosedJaxpr(program, ())


def programs_inside(equation: Any) -> Iterator[Jaxpr]:
    """The programs among the parameters of an equation."""
    if equation.primitive.name in ENTRYWISE:
        return
    is_program = lambda leaf: isinstance(leaf, ClosedJaxpr | Jaxpr)
    found = tree_leaves(list(equation.params.values()), is_leaf=is_program)
    for program in filter(is_program, found):
        yield program.jaxpr if isinstance(program, ClosedJaxpr) else program


def has_any(jaxpr: Jaxpr, names: Collection[str]) -> bool:
    """Whether one of some primitives is in a program, at any depth."""
    return any(is_any(equation, names) for equation in jaxpr.eqns)


def is_any(equation: Any, names: Collection[str]) -> bool:
    """Whether an equation, or one inside of it, is of one of some primitives."""
    inner = programs_inside(equation)
    return equation.primitive.name in names or any(has_any(p, names) for p in inner)


def calls_in_batches(jaxpr: Jaxpr) -> bool:
    """Whether a library is called for a batch of matrices in a program, at any depth."""
    return any(
        _is_batch(equation) or any(map(calls_in_batches, programs_inside(equation)))
        for equation in jaxpr.eqns
    )


def _is_batch(equation: Any) -> bool:
    ranks = [len(v.aval.shape) for v in equation.invars]
    return equation.primitive.name in LIBRARIES and max(ranks, default=0) > 2


def bind(equation: Any, values: Sequence[Any]) -> Sequence[Any]:
    """The results of one equation, with `None` for those that nobody needs."""
    if not any(True for _ in programs_inside(equation)):
        results = equation.primitive.bind(*values, **equation.params)
        return results if equation.primitive.multiple_results else [results]
    # Programs inside of it are bound as JAX does it: with a program of this one equation.
    operands = zip(equation.invars, values, strict=True)
    inputs = {v: value for v, value in operands if not isinstance(v, Literal)}
    kept = [v for v in equation.outvars if not isinstance(v, DropVar)]
    names = tuple(str(i) for i in range(len(inputs)))
    paths = tuple(str(i) for i in range(len(kept)))
    info = DebugInfo("bind", equation.primitive.name, names, paths)
    one = Jaxpr((), list(inputs), kept, [equation], equation.effects, info)
    results = iter(jaxpr_as_fun(ClosedJaxpr(one, ()))(*inputs.values()))
    return [None if isinstance(v, DropVar) else next(results) for v in equation.outvars]

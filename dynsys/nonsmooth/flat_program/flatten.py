"""A function as one flat list of primitives, in which every switch is seen.

Calls are opened, branches that are chosen by the position become selections, loops of known
length that have a switch inside are written out, and maxima over axes and windows become
maxima of pairs. What does not depend on the position stays as it is.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr

from dynsys.nonsmooth.flat_program.chosen_integers import (
    choice_of,
    compared,
    limited,
    selected,
)
from dynsys.nonsmooth.flat_program.pairwise import can_pair, pairwise
from dynsys.nonsmooth.flat_program.refusals import NotPiecewiseSmooth as NotPiecewiseSmooth
from dynsys.nonsmooth.flat_program.source_lines import at_place, placed
from dynsys.nonsmooth.flat_program.source_lines import place as place
from dynsys.programs.dataflow import is_in
from dynsys.programs.equations import called, has_program, programs_inside
from dynsys.programs.evaluate import bind, evaluate, unrolled
from dynsys.programs.primitives import FACTORS, IN_DOMAIN, MOVES, SMOOTH, SOLVERS

LONGEST_SCAN = 1024
"""Passes of a loop that are written out one by one."""

PLAIN = MOVES | SMOOTH | IN_DOMAIN | SOLVERS | {"convert_element_type"}
"""May stay inside of a program that is not opened."""

KEPT = frozenset({"_det", "_slogdet_lu", "_slogdet_qr"})
"""Functions of JAX with derivatives of their own whose programs choose pivots."""


class Operand(NamedTuple):
    """A value in a program.

    Args:
        value: The value.
        moves: Whether it depends on the position.
        choice: How predicates decide it, if it is an integer for which that is known.
    """

    value: Any
    moves: bool
    choice: Any = None


def flatten(function: Callable[..., Any], x: Any) -> ClosedJaxpr:
    """The program of a scalar function of a pytree, opened wherever it switches.

    Args:
        function: The function.
        x: Its argument, or one like it.
    """
    leaves, structure = jax.tree.flatten(x)
    on_leaves = lambda *leaves: function(jax.tree.unflatten(structure, leaves))
    closed = jax.make_jaxpr(on_leaves)(*leaves)

    def opened(*leaves: Any) -> list[Any]:
        return [v.value for v in _evaluate(closed, [Operand(x, True) for x in leaves])]

    return jax.make_jaxpr(opened)(*leaves)


def apply(equation: Any, values: Sequence[Any]) -> Sequence[Any]:
    """The results of one equation, with `None` for those that nobody needs."""
    with at_place(equation):
        return bind(placed(equation), values)


def is_kept(equation: Any) -> bool:
    """Whether a function of JAX is smooth although it chooses pivots."""
    name = equation.primitive.name
    if name != "custom_jvp_call":
        return name in SOLVERS
    program: Any = called(equation)
    source = program.jaxpr.debug_info.func_src_info or ""
    function, _, file = source.partition(" at ")
    return function in KEPT and "/jax/" in file.replace("\\", "/")


def _evaluate(closed: ClosedJaxpr, operands: Sequence[Operand]) -> list[Operand]:
    """Run a program, opening what switches."""
    return evaluate(closed, operands, _open, lambda value, _: Operand(value, False))


def _open(equation: Any, inputs: list[Operand]) -> Sequence[Operand]:
    name = equation.primitive.name
    values, moves = [v.value for v in inputs], any(v.moves for v in inputs)
    if moves and len(equation.outvars) == 1:
        with at_place(equation):
            found = _chosen(equation, inputs)
        if found is not None:
            return [found]
    if moves and can_pair(equation):
        with at_place(equation):
            return [Operand(pairwise(equation, values[0]), True)]
    if moves and name == "clamp":
        with at_place(equation):
            low, x, high = jnp.broadcast_arrays(*values)
            return [Operand(jax.lax.min(jax.lax.max(x, low), high), True)]
    if not is_kept(equation) and _is_opened(equation, inputs):
        with at_place(equation):
            return _inside(equation, inputs)
    moves = moves and name != "stop_gradient"
    return [Operand(value, moves) for value in apply(equation, values)]


def _chosen(equation: Any, inputs: Sequence[Operand]) -> Operand | None:
    """The result of an equation that works with integers that predicates decide."""
    values, choices = [v.value for v in inputs], [v.choice for v in inputs]
    if equation.primitive.name == "select_n" and choices[0] is not None:
        index = limited(choices[0], len(values) - 1)
        return Operand(selected(index, values[1:]), True)
    predicate = compared(equation, values, choices)
    if predicate is not None:
        return Operand(predicate, True)
    choice = choice_of(equation, values, choices)
    return None if choice is None else Operand(apply(equation, values)[0], True, choice)


def _is_opened(equation: Any, inputs: Sequence[Operand]) -> bool:
    """Whether what is inside of an equation must be seen."""
    name, params = equation.primitive.name, equation.params
    is_call = called(equation) is not None
    if is_call and not name.startswith("custom"):
        return True
    if name == "cond" and inputs[0].moves:
        return True
    if not any(v.moves for v in inputs):
        return False
    if name == "scan" and params["length"] > LONGEST_SCAN:
        return False
    predicates = any(
        o.moves and v.aval.dtype == bool
        for v, o in zip(equation.invars, inputs, strict=True)
    )
    is_smooth = all(map(is_plain, programs_inside(equation)))
    is_open = is_call or name in ("cond", "scan")
    return is_open and (predicates or not is_smooth)


def is_plain(jaxpr: Jaxpr) -> bool:
    """Whether a program is smooth without being looked into."""
    return all(
        _is_plain_equation(e) and (e.primitive.name not in FACTORS or is_solved(jaxpr, e))
        for e in jaxpr.eqns
    )


def is_solved(jaxpr: Jaxpr, equation: Any) -> bool:
    """Whether the factors of a matrix are used to solve equations only."""
    factors = set(equation.outvars)
    for user in jaxpr.eqns:
        name = user.primitive.name
        if name == "custom_linear_solve" or not any(is_in(v, factors) for v in user.invars):
            continue
        if name not in FACTORS | MOVES | {"convert_element_type"}:
            return False
        factors |= set(user.outvars)
    return not any(is_in(v, factors) for v in jaxpr.outvars)


def _is_plain_equation(equation: Any) -> bool:
    if is_kept(equation) or not any(
        map(_is_inexact, (*equation.invars, *equation.outvars))
    ):
        return True
    if has_program(equation):
        # A `while` may go on for as long as the position decides.
        is_loop = equation.primitive.name == "while"
        return not is_loop and all(map(is_plain, programs_inside(equation)))
    # What is no float can be made of floats by rounding or comparing them only.
    from_floats = any(map(_is_inexact, equation.invars))
    rounds = from_floats and not all(map(_is_inexact, equation.outvars))
    return equation.primitive.name in PLAIN and not rounds


def _is_inexact(v: Any) -> bool:
    return jnp.issubdtype(v.aval.dtype, jnp.inexact)


def _inside(equation: Any, inputs: list[Operand]) -> Sequence[Operand]:
    """The results of a call, of a choice or of a loop, written out."""
    name, params = equation.primitive.name, equation.params
    if name == "cond":
        return _selected(params["branches"], inputs)
    if name == "scan":
        return _unrolled(params, inputs)
    program: Any = called(equation)
    return _evaluate(program, inputs)


def _selected(branches: Sequence[ClosedJaxpr], inputs: list[Operand]) -> list[Operand]:
    """The results of all branches, and a selection."""
    index, *operands = inputs
    results = [_evaluate(branch, operands) for branch in branches]

    def select(*cases: Operand) -> Operand:
        moves = index.moves or any(case.moves for case in cases)
        values = [case.value for case in cases]
        if index.choice is not None:
            return Operand(selected(limited(index.choice, len(cases)), values), moves)
        which = jax.lax.clamp(
            jnp.zeros_like(index.value),
            index.value,
            jnp.full_like(index.value, len(cases) - 1),
        )
        return Operand(jax.lax.select_n(which, *values), moves)

    return [select(*cases) for cases in zip(*results, strict=True)]


def _unrolled(params: Any, inputs: list[Operand]) -> list[Operand]:
    """The passes of a scan, one by one."""
    entry = lambda s, i: Operand(jax.lax.index_in_dim(s.value, i, keepdims=False), s.moves)
    carry, columns = unrolled(params, inputs, entry, _evaluate)
    stack = lambda column: Operand(
        jnp.stack([v.value for v in column]), any(v.moves for v in column)
    )
    return [*carry, *map(stack, columns)]

"""Numbers of Python among the data of functions, which become arrays.

A number of Python in a pytree is part of the program, so that each value is a program of
its own. It becomes an array, and may change, where the function makes the same operations
of it: not where it is an exponent, a length, an axis or looked at by an `if`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr

from dynsys.programs.equations import all_equations
from dynsys.switches.window import schedules_of
from dynsys.systems.system import AbstractSystem
from dynsys.trees import Position

NEUTRAL = frozenset({"broadcast_in_dim", "concatenate", "convert_element_type", "stack"})
"""Operations that a number, also in a list, may take more of as an array than in the
program."""

_known: dict[Any, frozenset[int]] = {}
"""Leaves that become arrays, by all else that decides about it."""

MOST_KNOWN = 1024
"""Functions that are remembered."""


def numbers_as_arrays(system: AbstractSystem, x: Position, dtype: Any) -> AbstractSystem:
    """A system whose numbers of Python are arrays where they are data.

    Args:
        system: The system.
        x: A position.
        dtype: Type of the times.
    """
    if not any(map(_is_number, jax.tree.leaves(system))):
        return system
    t, point = jax.ShapeDtypeStruct((), dtype), shapes_of(x)
    objective = with_arrays(system.objective, point)
    system = eqx.tree_at(lambda tree: tree.objective, system, objective)
    schedules = schedules_of(system)
    where = lambda tree: [getattr(tree, name) for name in schedules]
    if schedules:
        moved = [with_arrays(schedule, t) for schedule in schedules.values()]
        system = eqx.tree_at(where, system, moved)
    return system


def shapes_of(tree: Any) -> Any:
    """Shapes in place of the arrays of a pytree."""
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), tree)


def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def with_arrays(function: Any, *args: Any, call: Callable[..., Any] = _call) -> Any:
    """A function whose numbers of Python are arrays where they are data.

    Args:
        function: The function, or `None`.
        *args: Shapes of its arguments.
        call: How it is called, if not by itself.
    """
    leaves, structure = jax.tree.flatten(function)
    places = [i for i, leaf in enumerate(leaves) if _is_number(leaf)]
    if not places:
        return function
    shown = tuple(type(leaf) if _is_number(leaf) else _shape(leaf) for leaf in leaves)
    key = (structure, shown, str(args), call)
    if key not in _known:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        made = lambda whole, *args: call(structure.unflatten(whole), *args)
        _known[key] = _data_among(made, leaves, places, args)
    data = _known[key]
    return structure.unflatten(
        [jnp.asarray(leaf) if i in data else leaf for i, leaf in enumerate(leaves)]
    )


def _data_among(
    made: Callable[..., Any],
    leaves: Sequence[Any],
    places: Sequence[int],
    args: tuple[Any, ...],
) -> frozenset[int]:
    """The leaves of which, as arrays, a function of all makes the same operations."""

    def operations(moved: Sequence[int]) -> Counter[str] | None:
        def run(numbers: Sequence[Any], args: tuple[Any, ...]) -> Any:
            whole = list(leaves)
            for i, number in zip(moved, numbers, strict=True):
                whole[i] = number
            return made(whole, *args)

        try:
            traced = jax.make_jaxpr(run)([leaves[i] for i in moved], args)
        except Exception:
            # What goes wrong without moving any is said where the function is used.
            return None
        names = Counter(_names(traced.jaxpr))
        return Counter({n: count for n, count in names.items() if n not in NEUTRAL})

    usual = operations([])
    if usual is None:
        return frozenset()
    if operations(places) == usual:
        return frozenset(places)
    alone = [i for i in places if operations([i]) == usual]
    return frozenset(alone if operations(alone) == usual else ())


def _names(jaxpr: Jaxpr) -> Iterator[str]:
    """The names of all operations of a program, and of powers whether they are fixed."""
    for equation in all_equations(jaxpr):
        name = equation.primitive.name
        is_open = name == "pow" and not hasattr(equation.invars[1], "val")
        yield "open pow" if is_open else name


def _is_number(leaf: Any) -> bool:
    return type(leaf) in (int, float)


def _shape(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array) or hasattr(leaf, "dtype"):
        return (leaf.shape, str(leaf.dtype))
    return leaf

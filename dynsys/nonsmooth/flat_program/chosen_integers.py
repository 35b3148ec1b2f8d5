"""Integers that predicates decide, such as the index of a branch, as trees of predicates.

`(x > 0).astype(int) + (x > 1)` is 2 or 1 where x > 0, 1 or 0 elsewhere. What is selected or
compared by such a number becomes selections by the predicates, each of which is asked at
most once on every way through the tree.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.checks import is_concrete

MOST = 64
"""Leaves of a tree, at most."""

ARITHMETIC = {"add": operator.add, "max": max, "min": min, "mul": operator.mul}
ARITHMETIC |= {"sub": operator.sub}
COMPARISONS = {
    name: getattr(operator, name) for name in ("eq", "ge", "gt", "le", "lt", "ne")
}
MOVES = frozenset(
    {"broadcast_in_dim", "copy", "reshape", "rev", "slice", "squeeze", "transpose"}
)
"""Moves of one array."""


class Node(NamedTuple):
    """What holds where a predicate is true, and elsewhere; leaves are integers."""

    predicate: Any
    yes: Any
    no: Any


class Row(NamedTuple):
    """The trees of the entries along an axis."""

    axis: int
    trees: list[Any]


class TooLarge(Exception):
    """A tree has too many leaves."""


Choice = Any
"""A node, an integer for all entries, or a row of these."""


def choice_of(equation: Any, values: Sequence[Any], choices: Sequence[Choice]) -> Choice:
    """How predicates decide the result of an equation, `None` if they are not seen to.

    Args:
        equation: The equation.
        values: Its operands.
        choices: How predicates decide these.
    """
    name = equation.primitive.name
    if not jnp.issubdtype(equation.outvars[0].aval.dtype, jnp.integer):
        return None
    try:
        if name in MOVES:
            return _mapped(
                choices[0], lambda p: equation.primitive.bind(p, **equation.params)
            )
        if name == "convert_element_type":
            is_predicate = values[0].dtype == bool
            return Node(values[0], 1, 0) if is_predicate else choices[0]
        if name == "cumsum":
            return _running(choices[0], equation.params)
        if name == "argmax":
            return _first(choices[0], values[0], equation.params["axes"])
        trees = [_tree(v, c) for v, c in zip(values, choices, strict=True)]
        return _computed(name, trees)
    except TooLarge:
        return None


def _computed(name: str, trees: Sequence[Choice]) -> Choice:
    """A number that is computed from others."""
    if any(tree is None for tree in trees):
        return None
    if name == "clamp":
        low, x, high = trees
        return combined(min, combined(max, low, x), high)
    return combined(ARITHMETIC[name], *trees) if name in ARITHMETIC else None


def compared(equation: Any, values: Sequence[Any], choices: Sequence[Choice]) -> Any:
    """The predicate that a comparison of such numbers is, `None` if it is not one."""
    name = equation.primitive.name
    if name not in COMPARISONS or all(c is None for c in choices):
        return None
    trees = [_tree(v, c) for v, c in zip(values, choices, strict=True)]
    if any(tree is None for tree in trees):
        return None
    try:
        tree = combined(COMPARISONS[name], *trees)
    except TooLarge:
        return None
    shape = equation.outvars[0].aval.shape
    return selected(tree, {end: jnp.full(shape, end) for end in (False, True)})


def selected(tree: Choice, cases: Sequence[Any] | Mapping[Any, Any]) -> Any:
    """The case whose index a tree gives.

    Args:
        tree: A node or an index.
        cases: The cases, of one shape.
    """
    if not isinstance(tree, Node):
        return cases[tree]
    yes, no = selected(tree.yes, cases), selected(tree.no, cases)
    predicate = tree.predicate
    if predicate.shape and predicate.shape != yes.shape:
        predicate = jnp.broadcast_to(predicate, yes.shape)
    if tree.yes is True and tree.no is False:
        return jnp.broadcast_to(predicate, yes.shape)
    if tree.yes is False and tree.no is True:
        return jnp.broadcast_to(~predicate, yes.shape)
    return jax.lax.select_n(predicate, no, yes)


def limited(tree: Choice, number: int) -> Choice:
    """An index of some branches, as `jax.lax.switch` takes it."""
    return combined(min, combined(max, tree, 0), number - 1)


def combined(
    do: Callable[[Any, Any], Any],
    a: Choice,
    b: Choice,
    known: Mapping[int, bool] | None = None,
) -> Choice:
    """A function of two numbers, for all answers to the predicates."""
    tree = _merged(do, a, b, known or {})
    if _leaves(tree) > MOST:
        raise TooLarge
    return tree


def _merged(
    do: Callable[[Any, Any], Any], a: Choice, b: Choice, known: Mapping[int, bool]
) -> Choice:
    tree = next((choice for choice in (a, b) if isinstance(choice, Node)), None)
    if tree is None:
        return do(a, b)
    below = lambda branch, known: (
        _merged(do, branch, b, known) if tree is a else _merged(do, a, branch, known)
    )
    key = id(tree.predicate)
    if key in known:
        return below(tree.yes if known[key] else tree.no, known)
    yes = below(tree.yes, {**known, key: True})
    no = below(tree.no, {**known, key: False})
    return _node(tree.predicate, yes, no)


def _node(predicate: Any, yes: Choice, no: Choice) -> Choice:
    same = not isinstance(yes, Node) and not isinstance(no, Node) and yes == no
    return yes if same or yes is no else Node(predicate, yes, no)


def _leaves(tree: Choice) -> int:
    return _leaves(tree.yes) + _leaves(tree.no) if isinstance(tree, Node) else 1


def _tree(value: Any, choice: Choice) -> Choice:
    """How predicates decide a number; one that is known they do not."""
    if choice is not None:
        return None if isinstance(choice, Row) else choice
    if not is_concrete(value) or not np.size(value):
        return None
    numbers = np.unique(np.asarray(value))
    return int(numbers[0]) if len(numbers) == 1 else None


def _mapped(choice: Choice, move: Callable[[Any], Any]) -> Choice:
    """The same for predicates that are moved."""
    moved: dict[int, Any] = {}

    def each(tree: Choice) -> Choice:
        if not isinstance(tree, Node):
            return tree
        key = id(tree.predicate)
        if key not in moved:
            moved[key] = move(tree.predicate)
        return Node(moved[key], each(tree.yes), each(tree.no))

    return None if choice is None or isinstance(choice, Row) else each(choice)


def _running(choice: Choice, params: Any) -> Choice:
    """The sums up to each entry along an axis."""
    if (
        not isinstance(choice, Node)
        or params["reverse"]
        or (choice.yes, choice.no) != (1, 0)
    ):
        return None
    total: Choice = 0
    trees = []
    for entry in _entries(choice.predicate, params["axis"]):
        total = combined(operator.add, total, entry)
        trees.append(total)
    return Row(params["axis"], trees)


def _first(choice: Choice, value: Any, axes: Sequence[int]) -> Choice:
    """Where along an axis the largest number is, the first one if there are several."""
    if value.dtype == bool:
        trees = _entries(value, axes[0])
        index: Choice = 0
        for i, entry in reversed(list(enumerate(trees))):
            index = _node(entry.predicate, i, index) if isinstance(entry, Node) else index
        if _leaves(index) > MOST:
            raise TooLarge
        return index
    if not isinstance(choice, Row) or choice.axis != axes[0]:
        return None
    best: Choice = (0, -1)
    for i, tree in enumerate(choice.trees):
        best = combined(lambda b, n, i=i: b if b[1] >= n else (i, n), best, tree)
    return combined(lambda b, _: b[0], best, 0)


def _entries(predicate: Any, axis: int) -> list[Choice]:
    """The predicates along an axis, as numbers."""
    if predicate.shape[axis] > MOST:
        raise TooLarge
    entry = lambda i: jax.lax.index_in_dim(predicate, i, axis, keepdims=False)
    return [Node(entry(i), 1, 0) for i in range(predicate.shape[axis])]

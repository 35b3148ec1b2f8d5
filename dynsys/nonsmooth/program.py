"""The flat program of a loss, and the places where it switches."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal
from jaxtyping import Array, Float

from dynsys.nonsmooth.flat import NotPiecewiseSmooth, flatten, is_in
from dynsys.nonsmooth.interpret import interpret
from dynsys.nonsmooth.interpret import natural as natural
from dynsys.nonsmooth.known_signs import (
    nonnegative_variables,
    passes,
    positive_variables,
)
from dynsys.nonsmooth.places import entry_of, place
from dynsys.nonsmooth.primitives import COMPARISONS, SWITCHES

REFUSED = frozenset(
    {"ceil", "cummax", "cummin", "floor", "nextafter", "rem", "round", "sort", "top_k"}
)


class Switch(NamedTuple):
    """One place in the program where it switches, for each entry of an array.

    Args:
        equation: Index of the equation.
        name: Its primitive.
        shape: Shape of the switching values.
        start: Index of its first entry among all entries.
        where: The primitive and its line in the code.
    """

    equation: int
    name: str
    shape: tuple[int, ...]
    start: int
    where: str

    @property
    def stop(self) -> int:
        """Index after its last entry."""
        return self.start + int(np.prod(self.shape, dtype=int))

    def place(self, entry: int) -> str:
        """The switch of an entry among all, as in "`abs` at lasso.py:12, entry 3"."""
        index = entry_of(self.shape, entry - self.start)
        return self.where + (f", entry {index}" if index else "")


class Program(NamedTuple):
    """What is fixed of a loss: its equations and switches.

    Args:
        jaxpr: The flat program.
        structure: Structure of the argument.
        switches: Where it switches.
        passed: Equations that only look like switches, by their index, and the operand
            that they pass on: an absolute value of what is not negative.
        nested: Whether a switching value depends on another switch.
        roots: Square roots of what is not negative, but may be 0, by their equation.
    """

    jaxpr: Any
    structure: Any
    switches: tuple[Switch, ...]
    passed: tuple[tuple[int, int], ...]
    nested: bool
    roots: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of switching values."""
        return self.switches[-1].stop if self.switches else 0

    def switch_of(self, entry: int) -> Switch:
        """The switch that a switching value belongs to."""
        return next(s for s in self.switches if s.start <= entry < s.stop)

    def run(
        self, consts: Sequence[Any], x: Any, signs: Any = None, root: int = -1
    ) -> tuple[Float[Array, ""], Float[Array, " entries"]]:
        """The value, and all switching values, with given signs or those of the values.

        Args:
            consts: What the loss closes over.
            x: The argument.
            signs: A function from switching values, and the slice they have among all,
                to signs.
            root: A square root that is taken with the other sign.
        """
        found = interpret(self, consts, x, signs or (lambda z, _: natural(z)), root)
        value = found.read(self.jaxpr.outvars[0])
        empty = jnp.zeros(0, value.dtype)
        return value, jnp.concatenate(
            [empty, *(z.astype(value.dtype) for z in found.switching)]
        )


def program_of(loss: Callable[[Any], Any], x: Any) -> tuple[Program, list[Any]]:
    """The flat program of a loss, with the switches that its value depends on.

    Args:
        loss: A scalar function.
        x: A point like those that it takes.

    Returns:
        The program, and what it closes over.

    Raises:
        NotPiecewiseSmooth: The loss jumps, or switches where it cannot be looked into.
    """
    closed = flatten(loss, x)
    jaxpr = closed.jaxpr
    active = _active(jaxpr)
    live = _live(jaxpr)
    nonnegative = nonnegative_variables(jaxpr)
    positive = positive_variables(jaxpr, nonnegative)
    roots: list[int] = []
    switches: list[Switch] = []
    passed: list[tuple[int, int]] = []
    start = 0
    for i, equation in enumerate(jaxpr.eqns):
        depends = any(is_in(v, active) for v in equation.invars)
        if not (depends and any(v in live for v in equation.outvars)):
            continue
        name = equation.primitive.name
        if name in REFUSED:
            raise NotPiecewiseSmooth(
                f"The loss jumps, or has kinks that are not looked into: "
                f"{place(equation)}. Write it without, or pass `inclusion='autodiff'`."
            )
        if name == "sqrt" and is_in(equation.invars[0], nonnegative - positive):
            roots.append(i)
        operand = passes(equation, nonnegative)
        if operand is not None:
            passed.append((i, operand))
        elif _is_switch(equation):
            shape = equation.outvars[0].aval.shape
            switches.append(Switch(i, name, shape, start, place(equation)))
            start = switches[-1].stop
    structure = jax.tree.structure(x)
    nested = _nested(jaxpr, switches)
    program = Program(
        jaxpr, structure, tuple(switches), tuple(passed), nested, tuple(roots)
    )
    return program, list(closed.consts)


def _is_switch(equation: Any) -> bool:
    name, operands = equation.primitive.name, equation.invars
    is_float = operands and jnp.issubdtype(operands[0].aval.dtype, jnp.floating)
    if not is_float:
        return False
    if name in COMPARISONS:
        return operands[0] is not operands[1]
    return name in SWITCHES


def _active(jaxpr: Any) -> set[Any]:
    """Variables that depend on the argument, other than through `stop_gradient`."""
    active = set(jaxpr.invars)
    for equation in jaxpr.eqns:
        through = equation.primitive.name != "stop_gradient"
        if through and any(is_in(v, active) for v in equation.invars):
            active |= set(equation.outvars)
    return active


def _live(jaxpr: Any) -> set[Any]:
    """Variables that the value depends on, other than through `stop_gradient`."""
    live = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    for equation in reversed(jaxpr.eqns):
        through = equation.primitive.name != "stop_gradient"
        if through and any(v in live for v in equation.outvars):
            live |= {v for v in equation.invars if not isinstance(v, Literal)}
    return live


def _nested(jaxpr: Any, switches: Sequence[Switch]) -> bool:
    """Whether the operands of a switch depend on the result of another one."""
    at = {switch.equation for switch in switches}
    switched: set[Any] = set()
    for i, equation in enumerate(jaxpr.eqns):
        depends = any(is_in(v, switched) for v in equation.invars)
        if depends and i in at:
            return True
        if depends or i in at:
            switched |= set(equation.outvars)
    return False

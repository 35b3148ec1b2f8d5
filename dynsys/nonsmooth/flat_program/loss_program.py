"""The flat program of a loss, and the places where it switches."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsys.nonsmooth.flat_program.allowed_operations import Context, check
from dynsys.nonsmooth.flat_program.broken_powers import Powers, powers_of
from dynsys.nonsmooth.flat_program.domain_ends import Ends
from dynsys.nonsmooth.flat_program.flatten import flatten
from dynsys.nonsmooth.flat_program.guards import Guards, guarded
from dynsys.nonsmooth.flat_program.hidden_poles import refuse_hidden_poles
from dynsys.nonsmooth.flat_program.interpret import interpret
from dynsys.nonsmooth.flat_program.interpret import natural as natural
from dynsys.nonsmooth.flat_program.simplify import simplified
from dynsys.nonsmooth.flat_program.source_lines import entry_of, place
from dynsys.nonsmooth.intervals.bounds import Bounds, passes, sign_of
from dynsys.nonsmooth.intervals.rules import RULES
from dynsys.programs.dataflow import dependencies, dependents, is_in
from dynsys.programs.primitives import COMPARISONS, SWITCHES
from dynsys.programs.rewrite import tidy


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
    def at_zero(self) -> int:
        """The sign that a switching value of 0 stands for: it is not `a > b`."""
        return -1 if self.name in ("gt", "le") else 1

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
        powers: Broken powers above 1 whose base is negative beyond a switch only.
        guards: Equations that are needed in one case of a selection only, by their index,
            and the conditions for it.
        settled: Switching values, by their index among all, that never change sign, and
            that sign.
    """

    jaxpr: Any
    structure: Any
    switches: tuple[Switch, ...]
    passed: tuple[tuple[int, int], ...]
    nested: bool
    roots: tuple[int, ...]
    powers: Powers
    guards: Guards
    settled: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """Number of switching values."""
        return self.switches[-1].stop if self.switches else 0

    @property
    def at_zero(self) -> np.ndarray:
        """The signs that switching values of 0 stand for."""
        sizes = [switch.stop - switch.start for switch in self.switches]
        return np.repeat(np.array([s.at_zero for s in self.switches], int), sizes)

    def natural(self, z: Any, span: slice) -> Any:
        """The signs of the switching values of a slice of all."""
        return natural(z, self.at_zero[span])

    def switch_of(self, entry: int) -> Switch:
        """The switch that a switching value belongs to."""
        return next(s for s in self.switches if s.start <= entry < s.stop)

    def run(
        self,
        consts: Sequence[Any],
        x: Any,
        signs: Any = None,
        root: int = -1,
        given: Mapping[Any, Any] = MappingProxyType({}),
    ) -> tuple[Float[Array, ""], Float[Array, " entries"]]:
        """The value, and all switching values, with given signs or those of the values.

        Args:
            consts: What the loss closes over.
            x: The argument.
            signs: A function from switching values, and the slice they have among all,
                to signs.
            root: A square root that is taken with the other sign.
            given: Values of variables that are known already.
        """
        found = interpret(self, consts, x, signs or self.natural, root, given=given)
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
    closed = tidy(flatten(loss, x))
    closed = tidy(simplified(closed, Bounds(closed.jaxpr, closed.consts, RULES)))
    active, live = _active_and_live(closed.jaxpr)
    bounds = Bounds(closed.jaxpr, closed.consts, RULES)
    jaxpr, guards = guarded(closed.jaxpr, active, bounds)
    seen = [
        i
        for i, equation in enumerate(jaxpr.eqns)
        if any(is_in(v, active) for v in equation.invars)
        and any(v in live for v in equation.outvars)
    ]
    switching = {i for i in seen if _is_switch(jaxpr.eqns[i])}
    switched = _switched(jaxpr, switching)
    ends = Ends(jaxpr, closed.consts, jax.tree.leaves(x), bounds, active, switched)
    context = Context(jaxpr, active, live, switched, bounds)
    roots = []
    for i in seen:
        check(jaxpr.eqns[i], context)
        if ends.is_root(jaxpr.eqns[i]):
            roots.append(i)
    refuse_hidden_poles(jaxpr, seen, ends)
    operands = ((i, passes(jaxpr.eqns[i], bounds)) for i in sorted(switching))
    passed = tuple((i, operand) for i, operand in operands if operand is not None)
    switches = _switches(jaxpr, sorted(switching - dict(passed).keys()))
    program = Program(
        jaxpr=jaxpr,
        structure=jax.tree.structure(x),
        switches=switches,
        passed=passed,
        nested=_nested(jaxpr, switches),
        roots=tuple(roots),
        powers=powers_of(jaxpr, switching, active, dict(guards), bounds),
        guards=guards,
        settled=_settled(jaxpr, switches, bounds),
    )
    return program, list(closed.consts)


def _active_and_live(jaxpr: Any) -> tuple[set[Any], set[Any]]:
    """Variables that depend on the argument, and those that the value depends on.

    Ways through `stop_gradient` do not count.
    """
    passing = [e for e in jaxpr.eqns if e.primitive.name != "stop_gradient"]
    return dependents(passing, jaxpr.invars), dependencies(passing, jaxpr.outvars)


def _switched(jaxpr: Any, equations: Iterable[int]) -> set[Any]:
    """Variables that depend on the results of some equations."""
    return dependents(jaxpr.eqns, [v for i in equations for v in jaxpr.eqns[i].outvars])


def _is_switch(equation: Any) -> bool:
    name, operands = equation.primitive.name, equation.invars
    is_float = operands and jnp.issubdtype(operands[0].aval.dtype, jnp.floating)
    if name in COMPARISONS and operands[0] is operands[1]:
        return False
    return name in SWITCHES and bool(is_float)


def _switches(jaxpr: Any, indices: Sequence[int]) -> tuple[Switch, ...]:
    found: list[Switch] = []
    for i in indices:
        equation, start = jaxpr.eqns[i], found[-1].stop if found else 0
        shape, name = equation.outvars[0].aval.shape, equation.primitive.name
        found.append(Switch(i, name, shape, start, place(equation)))
    return tuple(found)


def _settled(
    jaxpr: Any, switches: Sequence[Switch], bounds: Bounds
) -> tuple[tuple[int, int], ...]:
    """Switching values that never change sign, and that sign."""
    found: list[tuple[int, int]] = []
    for switch in switches:
        sign = np.broadcast_to(sign_of(jaxpr.eqns[switch.equation], bounds), switch.shape)
        entries = np.flatnonzero(sign)
        signs = sign.reshape(-1)[entries]
        found += zip((switch.start + entries).tolist(), signs.tolist(), strict=True)
    return tuple(found)


def _nested(jaxpr: Any, switches: Sequence[Switch]) -> bool:
    """Whether the operands of a switch depend on the result of another one."""
    at = [switch.equation for switch in switches]
    switched = _switched(jaxpr, at)
    return any(is_in(v, switched) for i in at for v in jaxpr.eqns[i].invars)

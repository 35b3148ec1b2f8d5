"""The flat program of a loss, and the places where it switches."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal
from jaxtyping import Array, Float

from dynsys.nonsmooth.flat import (
    COMPARISONS,
    REFUSED,
    SWITCHES,
    NotPiecewiseSmooth,
    apply,
    flatten,
    is_in,
    place,
)
from dynsys.nonsmooth.known_signs import (
    nonnegative_variables,
    passes,
    positive_variables,
)


class Switch(NamedTuple):
    """One place in the program where it switches, for each entry of an array.

    Args:
        equation: Index of the equation.
        name: Its primitive.
        shape: Shape of the switching values.
        start: Index of its first entry among all entries.
        where: The primitive and its place in the code.
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
        choose = signs or (lambda z, _: natural(z))
        known: dict[Any, Any] = dict(zip(self.jaxpr.constvars, consts, strict=True))
        known |= dict(zip(self.jaxpr.invars, self.structure.flatten_up_to(x), strict=True))
        read = lambda v: v.val if isinstance(v, Literal) else known[v]
        sides: dict[Any, Any] = {}
        found: list[Any] = []
        at = {switch.equation: switch for switch in self.switches}
        passed = dict(self.passed)
        for i, equation in enumerate(self.jaxpr.eqns):
            values = [read(v) for v in equation.invars]
            out = equation.outvars[0]
            if i in at:
                switch = at[i]
                z = _difference(switch.name, values)
                found.append(z.reshape(-1))
                span = slice(switch.start, switch.stop)
                side = choose(found[-1], span).reshape(switch.shape)
                known[out] = _switched(switch.name, values, side)
                if switch.name in COMPARISONS:
                    sides[out] = side if switch.name in ("gt", "ge") else -side
            elif i in passed:
                shape = equation.outvars[0].aval.shape
                known[out] = jnp.broadcast_to(values[passed[i]], shape)
            elif equation.primitive.name == "select_n" and is_in(equation.invars[0], sides):
                known[out] = _blend(sides[equation.invars[0]], values[2], values[1])
            else:
                known |= dict(zip(equation.outvars, apply(equation, values), strict=True))
                if i == root:
                    known[out] = -known[out]
        (value,) = [read(v) for v in self.jaxpr.outvars]
        dtype = value.dtype
        empty = jnp.zeros(0, dtype)
        return value, jnp.concatenate([empty, *(z.astype(dtype) for z in found)])


def natural(z: Any) -> Any:
    """The sign of a switching value, 1 at 0, without a derivative."""
    return jax.lax.stop_gradient(jnp.where(z >= 0, 1, -1).astype(z.dtype))


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


def _difference(name: str, values: Sequence[Any]) -> Any:
    """The switching value of a switch."""
    if name in ("abs", "sign"):
        return values[0]
    return values[0] - values[1]


def _switched(name: str, values: Sequence[Any], side: Any) -> Any:
    """The result of a switch with given signs."""
    if name == "abs":
        return side * values[0]
    if name == "sign":
        return side
    if name == "max":
        return _blend(side, values[0], values[1])
    if name == "min":
        return _blend(side, values[1], values[0])
    return side > 0 if name in ("gt", "ge") else side < 0


def _blend(side: Any, upper: Any, lower: Any) -> Any:
    """The upper value at sign 1, the lower at -1, untouched by the other one."""
    shape = jnp.broadcast_shapes(jnp.shape(side), jnp.shape(upper), jnp.shape(lower))
    side, upper, lower = (jnp.broadcast_to(a, shape) for a in (side, upper, lower))
    side = side.astype(upper.dtype)
    mixed = 0.5 * (1 + side) * upper + 0.5 * (1 - side) * lower
    chosen = jnp.where(side >= 1, upper, jnp.where(side <= -1, lower, mixed))
    # At both ends the derivative by the sign is that of the blend, where that is finite.
    gap = upper - lower
    gap = jnp.where(jnp.isfinite(gap) & (jnp.abs(side) >= 1), gap, 0)
    return chosen + 0.5 * (side - jax.lax.stop_gradient(side)) * gap

r"""Broken powers of what is 0 on a kink, and of one sign on both sides of it.

The piece $(s x)^{3/2}$ of $|x|^{3/2}$ is NaN beyond its kink, so that no step could reach
past it. For an exponent $p > 1$ both sides meet with their slope, which is 0,
and the power is evaluated as it is, whatever the sign. Where the sign is used for nothing
else the kink is one of the Hessian alone, which is infinite there for $p < 2$: steps pass
it as they do any other point.
"""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.nonsmooth.flat_program.conditions import Condition
from dynsys.nonsmooth.flat_program.flatten import apply
from dynsys.nonsmooth.flat_program.source_lines import at_place
from dynsys.nonsmooth.intervals.bounds import Bounds
from dynsys.programs.dataflow import is_in
from dynsys.programs.primitives import MOVES

if TYPE_CHECKING:
    from dynsys.nonsmooth.pieces import Pieces

SCALES = MOVES | {"neg", "mul", "div", "convert_element_type", "copy"}
"""Operations that multiply what is 0 on a kink by what does not depend on the position."""


class Powers(NamedTuple):
    """Powers with exponents above 1 that are not whole, which are NaN beyond a kink.

    Args:
        taken: Their equations.
        bases: Variables that are 0 on the kink whose sign they depend on, and the equations
            that they come from.
        alone: Switches whose sign decides about the bases of such powers only.
    """

    taken: frozenset[int] = frozenset()
    bases: tuple[tuple[Any, int], ...] = ()
    alone: frozenset[int] = frozenset()

    def evaluate(self, jaxpr: Any, equation: Any, read: Callable[[Any], Any]) -> Any:
        """A power, under which switches have the signs of their values.

        Args:
            jaxpr: The program.
            equation: The equation of the power.
            read: Values of variables, in which switches have given signs.
        """
        made = dict(self.bases)

        def own(v: Any) -> Any:
            if not is_in(v, made):
                return read(v)
            source = jaxpr.eqns[made[v]]
            return apply(source, [own(operand) for operand in source.invars])[0]

        base, exponent = equation.invars
        with at_place(equation):
            return continued_power(own(base), read(exponent))


def powers_of(
    jaxpr: Any,
    switching: Collection[int],
    active: set[Any],
    guards: Mapping[int, tuple[Condition, ...]],
    bounds: Bounds,
) -> Powers:
    """The broken powers of a program.

    Args:
        jaxpr: A flat program.
        switching: The equations that switch.
        active: Variables that depend on its argument.
        guards: Equations that are needed in one case of a selection only.
        bounds: Between which bounds its variables stay.
    """
    is_above_one = lambda i: _is_broken(jaxpr.eqns[i], bounds)
    broken = {i for i in range(len(jaxpr.eqns)) if is_above_one(i)}
    if not broken:
        return Powers()
    bases: dict[Any, int] = {}
    for i, equation in enumerate(jaxpr.eqns):
        moving = [v for v in equation.invars if is_in(v, active)]
        is_alone = len(moving) == 1 and len(equation.outvars) == 1
        follows = is_alone and is_in(moving[0], bases) and equation.primitive.name in SCALES
        divides = equation.primitive.name == "div" and is_in(equation.invars[-1], active)
        starts = i in switching and _is_zero_on_kink(equation, active, bounds)
        if starts or (follows and not divides):
            bases[equation.outvars[0]] = i
    taken = {i for i in broken if is_in(jaxpr.eqns[i].invars[0], bases) or i in guards}
    # Variables whose sign is used otherwise, too.
    mixed = {v for v in jaxpr.outvars if is_in(v, bases)}
    for i in reversed(range(len(jaxpr.eqns))):
        equation = jaxpr.eqns[i]
        inside = any(v in bases and v not in mixed for v in equation.outvars)
        if i not in taken and not (inside and i not in switching):
            mixed |= {v for v in equation.invars if is_in(v, bases)}
    first = {i for i in switching if jaxpr.eqns[i].outvars[0] in bases.keys() - mixed}
    return Powers(frozenset(taken), tuple(bases.items()), frozenset(first))


def _is_broken(equation: Any, bounds: Bounds) -> bool:
    if equation.primitive.name != "pow":
        return False
    power = bounds.of(equation.invars[1])
    return power.is_point and bool(np.all((power.low > 1) & (power.low % 1 != 0)))


def _is_zero_on_kink(equation: Any, active: set[Any], bounds: Bounds) -> bool:
    """Whether a switch is an absolute value, or the larger or smaller one of 0."""
    if equation.primitive.name == "abs":
        return True
    fixed = [bounds.of(v) for v in equation.invars if not is_in(v, active)]
    is_zero = all(b.is_point and np.all(np.asarray(b.low) == 0) for b in fixed)
    return equation.primitive.name in ("max", "min") and len(fixed) == 1 and is_zero


def continued_power(base: Any, exponent: Any) -> Any:
    """A power of the size of its base, with all derivatives 0 where that is 0."""
    at_zero = base == 0
    power = jax.lax.pow(jnp.abs(jnp.where(at_zero, 1, base)), exponent)
    return jnp.where(at_zero, 0, power)


def under_powers(pieces: "Pieces") -> tuple[int, ...]:
    """The kinks whose signs decide about the bases of broken powers only."""
    alone = pieces.program.powers.alone
    left = set(range(pieces.number)) if alone else set()
    for switch in pieces.program.switches:
        if switch.equation not in alone:
            left -= set(pieces.member[switch.start : switch.stop])
    return tuple(i for i in sorted(left) if not pieces.mixed[i])

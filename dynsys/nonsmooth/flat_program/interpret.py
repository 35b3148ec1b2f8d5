"""A flat program run with given signs of its switches."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from dynsys.nonsmooth.flat_program.flatten import apply
from dynsys.nonsmooth.flat_program.guards import safely
from dynsys.nonsmooth.flat_program.predicate_weights import (
    Blend,
    Complement,
    Weight,
    blend,
    combined,
    complement,
    size_blend,
    unsigned_complement,
)
from dynsys.nonsmooth.flat_program.source_lines import at_place
from dynsys.programs.dataflow import is_in
from dynsys.programs.primitives import COMPARISONS

if TYPE_CHECKING:
    from dynsys.nonsmooth.flat_program.loss_program import Program, Switch


Replace = Callable[["Switch", Sequence[Any], Any], Any]


class Algebra(NamedTuple):
    """How weights are turned round, and how they choose."""

    negate: Complement
    mix: Blend


EXACT = Algebra(complement, blend)
OF_SIZES = Algebra(unsigned_complement, size_blend)
"""Derivatives with respect to signs add up sizes: see `size_blend`."""


class Run(NamedTuple):
    """What a run has found.

    Args:
        values: The values of all variables.
        switching: The switching values of each switch.
    """

    values: dict[Any, Any]
    switching: list[Any]

    def read(self, v: Any) -> Any:
        """The value of an operand."""
        return literal(v) if isinstance(v, Literal) else self.values[v]


def literal(v: Any) -> Any:
    """The value of a constant in a program, as an array of its type."""
    return jnp.asarray(v.val, v.aval.dtype)


def _kept(_: "Switch", values: Sequence[Any], result: Any) -> Any:
    """The result of a switch as it is."""
    del values
    return result


def interpret(
    program: "Program",
    consts: Sequence[Any],
    x: Any,
    choose: Callable[[Any, slice], Any],
    root: int = -1,
    algebra: Algebra = EXACT,
    given: Mapping[Any, Any] = MappingProxyType({}),
    replace: Replace = _kept,
) -> Run:
    """Run a program with signs in place of those of its switching values.

    Args:
        program: The program.
        consts: What the loss closes over.
        x: The argument.
        choose: From switching values, and the slice they have among all, to signs.
        root: A square root that is taken with the other sign.
        algebra: What to do with weights.
        given: Values of variables that are known already.
        replace: From a switch, its operands and its result to what is taken for that.
    """
    jaxpr = program.jaxpr
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    known |= dict(zip(jaxpr.invars, program.structure.flatten_up_to(x), strict=True))
    run = Run(known, [])
    weighted: set[Any] = set()
    at = {switch.equation: switch for switch in program.switches}
    passed, guards = dict(program.passed), dict(program.guards)
    for i, equation in enumerate(jaxpr.eqns):
        values = [run.read(v) for v in equation.invars]
        if i in guards:
            values = safely(equation, values, guards[i], run.read)
        out = equation.outvars[0]
        if i in at:
            z = difference(at[i].name, values)
            run.switching.append(z.reshape(-1))
            side = choose(run.switching[-1], slice(at[i].start, at[i].stop))
            result = _switched(at[i], values, side.reshape(at[i].shape), algebra)
            known[out] = replace(at[i], values, result)
            weighted |= {out} if at[i].name in COMPARISONS else set()
        elif i in passed:
            known[out] = jnp.broadcast_to(values[passed[i]], out.aval.shape)
        elif i in program.powers.taken:
            known[out] = program.powers.evaluate(jaxpr, equation, run.read)
        elif any(is_in(v, weighted) for v in equation.invars):
            with at_place(equation):
                results = combined(equation, values, *algebra)
            known |= dict(zip(equation.outvars, results, strict=True))
            is_real = lambda v: jnp.issubdtype(v.aval.dtype, jnp.floating)
            weighted |= {v for v in equation.outvars if not is_real(v)}
        else:
            results = apply(equation, values)
            known |= dict(zip(equation.outvars, results, strict=True))
        if i == root:
            known[out] = -known[out]
        known |= {v: given[v] for v in equation.outvars if v in given}
    return run


def difference(name: str, values: Sequence[Any]) -> Any:
    """The switching value of a switch."""
    if name in ("abs", "sign"):
        return values[0]
    return values[0] - values[1]


def _switched(switch: "Switch", values: Sequence[Any], side: Any, algebra: Algebra) -> Any:
    """The result of a switch with given signs; of a comparison its weight."""
    if switch.name == "abs":
        return side * values[0]
    if switch.name == "sign":
        return side
    weight: Weight = 0.5 * (1 + side)
    if switch.name == "max":
        return algebra.mix(weight, values[0], values[1])
    if switch.name == "min":
        return algebra.mix(weight, values[1], values[0])
    return weight if switch.name in ("gt", "ge") else algebra.negate(weight)


def natural(z: Any, at_zero: Any = 1) -> Any:
    """The sign of a switching value, without a derivative.

    Args:
        z: The value.
        at_zero: The sign at 0.
    """
    z = jax.lax.stop_gradient(z)
    full = lambda value: jnp.asarray(np.broadcast_to(value, z.shape), z.dtype)
    return jnp.where(z > 0, full(1), jnp.where(z == 0, full(at_zero), full(-1)))

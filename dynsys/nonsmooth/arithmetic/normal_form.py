"""A flat program in another arithmetic than that of floats, with given signs."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from dynsys.checks import is_concrete
from dynsys.nonsmooth.arithmetic import moves
from dynsys.nonsmooth.arithmetic.identities import EXPONENTIAL, LOGARITHMIC
from dynsys.nonsmooth.arithmetic.inner_programs import results_inside
from dynsys.nonsmooth.arithmetic.residues import Rows
from dynsys.nonsmooth.arithmetic.rules import RULES, SAME, moved
from dynsys.nonsmooth.arithmetic.scope import Call, Scope, fold, store
from dynsys.nonsmooth.intervals.bounds import Bounds
from dynsys.nonsmooth.intervals.rules import RULES as INTERVAL_RULES
from dynsys.programs.dataflow import dependents, downstream, is_in, upstream
from dynsys.programs.equations import has_any, has_program
from dynsys.programs.primitives import ENTRYWISE

FLIPPED = frozenset({"le", "lt"})
"""Comparisons whose weight grows against the sign of the difference of their operands."""

ENTRYWISE_ALL = (
    ENTRYWISE
    | SAME
    | frozenset({"digamma", "erf_inv", "igamma", "igammac", "lgamma", "polygamma"})
    | frozenset({"stop_gradient"})
)

Choose = Callable[[Any, Rows], Rows]
"""Signs of a switch, for its switching values."""


class NormalForm:
    """A flat program whose equations are evaluated in any arithmetic.

    Args:
        program: The program.
        consts: What it closes over; what is traced is unknown.
    """

    def __init__(self, program: Any, consts: Sequence[Any]) -> None:
        self.program, self._consts = program, consts
        self.jaxpr = jaxpr = program.jaxpr
        self.traced = {
            v: c for v, c in zip(jaxpr.constvars, consts, strict=True) if not is_concrete(c)
        }
        self.known = {
            v: np.asarray(c)
            for v, c in zip(jaxpr.constvars, consts, strict=True)
            if is_concrete(c)
        }
        self.switches = {switch.equation: switch for switch in program.switches}
        self.passed = dict(program.passed)
        self.sources: dict[int, Any] = {}
        counts = [switch.stop - switch.start for switch in program.switches]
        at = np.array([switch.equation for switch in program.switches], int)
        self.of_entry = np.repeat(at, counts)
        self._downstream: dict[Any, list[int]] = {}
        self.active = dependents(jaxpr.eqns, jaxpr.invars)
        self.open = [i for i, e in enumerate(jaxpr.eqns) if not fold(self.known, e)]
        # The equations that switching values depend on, and those of the switches.
        self.upstream = upstream({i: jaxpr.eqns[i] for i in self.open}, self.switches)
        self.levels = self.levels_of(self.open)

    @cached_property
    def bounds(self) -> Bounds:
        """Between which bounds its variables stay."""
        return Bounds(self.jaxpr, self._consts, INTERVAL_RULES)

    def levels_of(self, which: Iterable[int]) -> int:
        """How many primes of a chain the functions in some equations need."""
        equations = [self.jaxpr.eqns[i] for i in which]
        has = lambda names: any(has_any(equation, names) for equation in equations)
        return 1 + has(EXPONENTIAL) + has(LOGARITHMIC)

    def is_power_of(self, which: Iterable[int]) -> bool:
        """Whether some equations have the exponential of a logarithm in them.

        That of half a logarithm is a square root, and modulo a prime there are two.
        """
        logged: set[Any] = set()
        for i in which:
            equation = self.jaxpr.eqns[i]
            depends = any(is_in(v, logged) for v in equation.invars)
            if depends or has_any(equation, LOGARITHMIC):
                if has_any(equation, EXPONENTIAL):
                    return True
                logged |= set(equation.outvars)
        return False

    def scope(self, field: Any) -> Scope:
        """Unknowns, drawn anew."""
        unknown = (*self.jaxpr.invars, *self.traced)
        rows = {v: field.draw(v.aval.shape) for v in unknown}
        return Scope(self.known, rows, {})

    def run(
        self, field: Any, scope: Scope, choose: Choose, which: Iterable[int] | None = None
    ) -> Rows:
        """Evaluate equations, all of them if none are named; the value."""
        self.steps(field, scope, choose, self.open if which is None else which)
        return self.read(field, scope, self.jaxpr.outvars[0])

    def steps(self, field: Any, scope: Scope, choose: Choose, which: Iterable[int]) -> None:
        """Evaluate some equations."""
        for i in which:
            self.step(field, scope, choose, i)

    def step(self, field: Any, scope: Scope, choose: Choose, i: int) -> None:
        """Evaluate one equation."""
        equation = self.jaxpr.eqns[i]
        read = lambda v: self.read(field, scope, v)
        shape = equation.outvars[0].aval.shape
        if i in self.switches:
            values = [_ranked(read(v), len(shape)) for v in equation.invars]
            results = [switched(field, self.switches[i], values, choose)]
        elif i in self.passed:
            results = [_ranked(read(equation.invars[self.passed[i]]), len(shape))]
        else:
            results = self.equation(field, scope, equation)
        store(scope, equation, results)

    def downstream(
        self, start: frozenset[int], variables: frozenset[Any] = frozenset()
    ) -> list[int]:
        """Some equations and those whose results depend on theirs, or on variables."""
        if (start, variables) not in self._downstream:
            every = {i: self.jaxpr.eqns[i] for i in self.open}
            is_kept = lambda equation: not variables.intersection(equation.outvars)
            equations = {i: equation for i, equation in every.items() if is_kept(equation)}
            which = downstream(equations, start, variables)
            self._downstream[start, variables] = which
        return self._downstream[start, variables]

    def read(self, field: Any, scope: Scope, v: Any) -> Rows:
        """The value of a variable in an arithmetic."""
        if not isinstance(v, Literal) and v in scope.rows:
            return scope.rows[v]
        key = id(v) if isinstance(v, Literal) else v
        if key not in scope.exact:
            value = np.asarray(v.val if isinstance(v, Literal) else scope.known[v])
            whole = not jnp.issubdtype(value.dtype, jnp.inexact)
            scope.exact[key] = field.integers(value) if whole else field.exact(value)
        return scope.exact[key]

    def equation(self, field: Any, scope: Scope, equation: Any) -> list[Rows]:
        """The results of an equation that is no switch."""
        name = equation.primitive.name
        rank = len(equation.outvars[0].aval.shape)
        read = lambda i: self.read(field, scope, equation.invars[i])
        entry = lambda i: _ranked(read(i), rank)
        operand = entry if name in ENTRYWISE_ALL else read
        call = Call(self, field, scope, equation, operand)
        rule = RULES.get(name)
        found = rule(call) if rule else None
        if found is None:
            found = results_inside(call) if has_program(equation) else None
        if found is None and name in moves.INDEXED:
            found = moved(call)
        if found is None and name in ENTRYWISE_ALL:
            found = field.function(
                equation, [entry(i) for i in range(len(equation.invars))]
            )
        if found is None:
            found = field.opaque(equation, [read(i) for i in range(len(equation.invars))])
        return found if isinstance(found, list) else [found]


def switched(field: Any, switch: Any, values: list[Rows], choose: Choose) -> Rows:
    """The result of a switch."""
    name = switch.name
    z = values[0] if name in ("abs", "sign") else field.sub(values[0], values[1])
    z = np.broadcast_to(z, (*z.shape[: moves.LEAD], *switch.shape))
    sign = choose(switch, z)
    if name == "sign":
        return sign
    if name == "abs":
        return field.mul(sign, z)
    up = field.half(field.add(field.one(sign), sign))
    down = field.half(field.sub(field.one(sign), sign))
    if name in ("max", "min"):
        return field.blend(up if name == "max" else down, values[1], values[0])
    return down if name in FLIPPED else up


def _ranked(a: Rows, rank: int) -> Rows:
    """A scalar, with axes to go with arrays."""
    if a.ndim == moves.LEAD and rank:
        return a.reshape(*a.shape, *(1,) * rank)
    return a

"""A program of one member as a program of many, lane by lane."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr

from dynsys.lanes import rules
from dynsys.lanes.branches import choose_branch
from dynsys.lanes.loops import While, run_loop, run_scan
from dynsys.lanes.value import Value
from dynsys.programs.dataflow import need_of
from dynsys.programs.equations import called, has_any
from dynsys.programs.evaluate import bind, evaluate

Loop = Callable[["Interpreter", Any, list[Any], list[bool]], list[Value | None]]


class Interpreter:
    """Evaluates programs of a member on values of all lanes.

    Args:
        width: Number of lanes.
        name: Name of the program with the main loop in it.
        main: What to do with that loop.
        active: Which lanes are not done, in a pass of a loop.
    """

    def __init__(
        self,
        width: int,
        *,
        name: str | None = None,
        main: Loop | None = None,
        active: Any = None,
    ):
        self.width, self.active = width, active
        self.name, self.main = name, main

    def inside(self, active: Any = None) -> "Interpreter":
        """An interpreter for a part of the program.

        Args:
            active: Which lanes are not done in it.
        """
        return Interpreter(self.width, active=active)

    def run(
        self,
        closed: ClosedJaxpr,
        values: Sequence[Value | None],
        needed: Sequence[bool] | None = None,
        *,
        is_main: bool = False,
    ) -> list[Any]:
        """The outputs of a program.

        Args:
            closed: The program of one member.
            values: Its inputs.
            needed: Which outputs are needed; the others are `None`.
            is_main: Whether the main loop is in it: the last one.
        """
        jaxpr = closed.jaxpr
        needed = [True] * len(jaxpr.outvars) if needed is None else list(needed)
        wanted = iter(need_of(jaxpr, needed).results)
        loops = [e for e in jaxpr.eqns if is_main and has_any(e, {"while"})]

        def rule(equation: Any, operands: list[Any]) -> Sequence[Any]:
            results = next(wanted)
            if not any(results):
                return [None] * len(results)
            is_last = bool(loops) and equation is loops[-1]
            return self._equation(equation, operands, results, is_last)

        outputs = evaluate(closed, values, rule, _same_in_all_lanes)
        pairs = zip(outputs, needed, strict=True)
        return [value if is_needed else None for value, is_needed in pairs]

    def _equation(
        self, equation: Any, operands: list[Any], results: list[bool], is_main: bool
    ) -> Sequence[Any]:
        """The results of one equation."""
        name, inner = equation.primitive.name, called(equation)
        if inner is not None:
            enters = is_main or equation.params.get("name", "") == self.name
            return self.run(inner, operands, results, is_main=enters)
        if name in rules.IDENTITIES:
            return operands
        if name == "while" and not equation.params["cond_jaxpr"].out_avals[0].shape:
            if is_main and self.main is not None:
                return self.main(self, equation, operands, results)
            return run_loop(self, While(equation.params, operands, results))
        operands = _filled(equation, operands)
        if not any(value.varies for value in operands):
            arrays = bind(equation, [value.array for value in operands])
            return [None if array is None else Value(array, False) for array in arrays]
        if name == "cond":
            return choose_branch(self, equation, operands, results)
        if name == "scan":
            return run_scan(self, equation, operands)
        return rules.apply(self, equation, operands)


def _filled(equation: Any, operands: Sequence[Any]) -> list[Value]:
    """The operands, with zeros for those that nobody needs."""
    pairs = zip(equation.invars, operands, strict=True)
    zeros = lambda aval: Value(jnp.zeros(aval.shape, aval.dtype), False)
    return [zeros(v.aval) if value is None else value for v, value in pairs]


def _same_in_all_lanes(constant: Any, aval: Any) -> Value:
    return Value(jnp.asarray(constant, aval.dtype), False)

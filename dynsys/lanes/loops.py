"""Loops: each lane may take a different number of passes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from dynsys.lanes.value import Value, choose
from dynsys.programs.dataflow import (
    needed_carry,
    needed_consts,
    varying_carry,
    varying_rows,
)
from dynsys.programs.evaluate import scan_operands, while_operands

if TYPE_CHECKING:
    from dynsys.lanes.interpreter import Interpreter


class While:
    """A loop, with what it carries sorted by whether it varies and whether it is needed.

    Args:
        params: The parameters of the equation.
        operands: What it is given.
        results: Which of its results are needed.
    """

    def __init__(self, params: Any, operands: list[Any], results: list[bool]):
        self.params, self.results = params, results
        *consts, carry = while_operands(params, operands)
        self.needed = needed_carry(params, results)
        used = needed_consts(params, self.needed)
        pairs = zip([*consts[0], *consts[1]], used, strict=True)
        self.consts = [value if is_used else None for value, is_used in pairs]
        cut = params["cond_nconsts"]
        flags = [value is not None and value.varies for value in self.consts]
        first = [value is not None and value.varies for value in carry]
        self.varying, self.runs_vary = varying_carry(
            params, flags[:cut], flags[cut:], first
        )
        kept = [i for i, is_needed in enumerate(self.needed) if is_needed]
        self.lanes = [i for i in kept if self.varying[i]]
        self.same = [i for i in kept if not self.varying[i]]
        self.first = [carry[i] for i in self.lanes]
        self.first_same = [carry[i] for i in self.same]

    def values(self, lanes: Sequence[Any], rest: Sequence[Any]) -> list[Any]:
        """What is carried, put together."""
        carry: list[Any] = [None] * len(self.needed)
        for i, array in zip(self.lanes, lanes, strict=True):
            carry[i] = Value(array, True, place=i)
        for i, array in zip(self.same, rest, strict=True):
            carry[i] = Value(array, False)
        return carry

    def condition(
        self, inner: "Interpreter", consts: Sequence[Any], lanes: Any, rest: Any
    ) -> Value:
        """Whether it goes on."""
        cut = self.params["cond_nconsts"]
        operands = [*consts[:cut], *self.values(lanes, rest)]
        return inner.run(self.params["cond_jaxpr"], operands)[0]

    def advance(
        self, inner: "Interpreter", consts: Sequence[Any], lanes: Any, rest: Any
    ) -> tuple[list[Any], list[Any]]:
        """One pass, in the lanes that are active."""
        cut = self.params["cond_nconsts"]
        operands = [*consts[cut:], *self.values(lanes, rest)]
        after = inner.run(self.params["body_jaxpr"], operands, self.needed)
        wide = []
        for i, old in zip(self.lanes, lanes, strict=True):
            new = after[i].wide(inner.width)
            is_done = inner.active is None or after[i].place == i
            wide.append(new if is_done else choose(inner.active, new, old))
        return wide, [after[i].array for i in self.same]

    def collect(self, lanes: Sequence[Any], rest: Sequence[Any]) -> list[Value | None]:
        """The results of the loop, from what it carries at its end."""
        found: list[Value | None] = [None] * len(self.needed)
        for i, array in zip(self.lanes, lanes, strict=True):
            found[i] = Value(array, True)
        for i, array in zip(self.same, rest, strict=True):
            found[i] = Value(array, False)
        pairs = zip(found, self.results, strict=True)
        return [value if is_needed else None for value, is_needed in pairs]


def run_loop(outer: "Interpreter", loop: While) -> list[Value | None]:
    """The results of a loop that runs until the last lane is done."""
    width, consts = outer.width, loop.consts
    lanes = [value.wide(width) for value in loop.first]
    rest = [value.array for value in loop.first_same]

    def running(state: Any) -> Any:
        condition = loop.condition(outer.inside(), consts, *state)
        return condition.wide(width) if loop.runs_vary else condition.array

    def advance(state: Any, active: Any = None) -> Any:
        inner = outer.inside(active if active is not None else outer.active)
        return loop.advance(inner, consts, *state)

    if not loop.runs_vary:
        return loop.collect(*jax.lax.while_loop(running, advance, (lanes, rest)))

    def step(state: Any) -> Any:
        active, lanes = state
        lanes, _ = advance((lanes, rest), active)
        return running((lanes, rest)) & active, lanes

    # What a lane that is done would do here might never end.
    active = running((lanes, rest))
    active = active if outer.active is None else active & outer.active
    _, lanes = jax.lax.while_loop(lambda s: jnp.any(s[0]), step, (active, lanes))
    return loop.collect(lanes, rest)


def run_scan(outer: "Interpreter", equation: Any, operands: Sequence[Value]) -> list[Value]:
    """The results of a loop of known length."""
    params, width = equation.params, outer.width
    consts, carry, series = scan_operands(params, operands)
    varies, columns = varying_rows(params, [value.varies for value in operands])
    as_array = lambda value, v: value.wide(width) if v else value.array

    def step(state: list[Any], rows: list[Any]) -> tuple[list[Any], list[Any]]:
        now = [Value(a, v) for a, v in zip(state, varies, strict=True)]
        row = [Value(a, s.varies) for a, s in zip(rows, series, strict=True)]
        results = outer.inside(outer.active).run(params["jaxpr"], [*consts, *now, *row])
        pairs = zip(results, [*varies, *columns], strict=True)
        arrays = [as_array(value, v) for value, v in pairs]
        return arrays[: len(carry)], arrays[len(carry) :]

    begin = [as_array(value, v) for value, v in zip(carry, varies, strict=True)]
    last, stacks = jax.lax.scan(
        step,
        begin,
        [value.array for value in series],
        length=params["length"],
        reverse=params["reverse"],
        unroll=params["unroll"],
    )
    pairs = zip([*last, *stacks], [*varies, *columns], strict=True)
    return [Value(array, v) for array, v in pairs]

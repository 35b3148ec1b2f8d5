"""Loops, of which each lane may take another number of passes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.lanes.flow import length_of, needed_carry, needed_consts, varying_carry
from dynsys.lanes.graph import Operation, Ref, fill, known, one_of
from dynsys.lanes.value import SMALL, Value, count_of, gather, rebuild, take

if TYPE_CHECKING:
    from dynsys.lanes.interpreter import Interpreter

UNROLLED = 1024
"""Equations of a loop of known length, over all passes, up to which it is written out."""


class While:
    """A loop, with what it carries sorted by whether it varies and whether it is needed.

    Args:
        params: The parameters of the equation.
        operands: What it is given.
        results: Which of its results are needed.
    """

    def __init__(self, params: Any, operands: list[Value], results: list[bool]):
        self.params = params
        first_carry = params["cond_nconsts"] + params["body_nconsts"]
        self.consts: list[Any] = operands[:first_carry]
        carry = operands[first_carry:]
        self.needed = needed_carry(params, results)
        self.results = results
        used = needed_consts(params, self.needed)
        pairs = zip(self.consts, used, strict=True)
        self.consts = [value if is_used else None for value, is_used in pairs]
        varies = lambda value: value is not None and not value.is_same
        cut = params["cond_nconsts"]
        flags = [varies(value) for value in self.consts]
        self.varying, self.runs_vary = varying_carry(
            params, flags[:cut], flags[cut:], [varies(value) for value in carry]
        )
        kept = [i for i, is_needed in enumerate(self.needed) if is_needed]
        self.lanes = [i for i in kept if self.varying[i]]
        self.same = [i for i in kept if not self.varying[i]]
        self.first = [carry[i] for i in self.lanes]
        self.first_same = [carry[i] for i in self.same]
        self.avals = [v.aval for v in params["body_jaxpr"].jaxpr.outvars]

    def values(self, lanes: Sequence[Any], rest: Sequence[Any]) -> list[Any]:
        """What is carried, put together."""
        carry: list[Any] = [None] * len(self.needed)
        refs = iter([known(array, varies=True) for array in lanes])
        for i in self.lanes:
            carry[i] = take(refs, self.avals[i])
            carry[i].place = i
        for i, array in zip(self.same, rest, strict=True):
            carry[i] = Value.of_same(array)
        return carry

    def condition(
        self, inner: "Interpreter", consts: Sequence[Any], lanes: Any, rest: Any
    ) -> Value:
        """Whether it goes on."""
        cut = self.params["cond_nconsts"]
        operands = [*consts[:cut], *self.values(lanes, rest)]
        (result,) = inner.run(self.params["cond_jaxpr"], operands)
        assert result is not None
        return result

    def advance(
        self, inner: "Interpreter", consts: Sequence[Any], lanes: Any, rest: Any
    ) -> tuple[list[Any], list[Any]]:
        """One pass, in the lanes that are active."""
        cut = self.params["cond_nconsts"]
        operands = [*consts[cut:], *self.values(lanes, rest)]
        after: list[Any] = inner.run(self.params["body_jaxpr"], operands, self.needed)
        refs = [ref for i in self.lanes for ref in after[i].refs(inner.width)]
        is_done = [
            after[i].place == i
            for i in self.lanes
            for _ in range(count_of(self.avals[i].shape))
        ]
        same = [inner.same(after[i]) for i in self.same]
        arrays = inner.values_of([*refs, *same])
        wide = [fill(array, inner.width) for array in arrays[: len(refs)]]
        if inner.active is not None:
            wide = [
                new if done else keep(inner.active, new, old)
                for new, old, done in zip(wide, lanes, is_done, strict=True)
            ]
        return wide, [jnp.asarray(array) for array in arrays[len(refs) :]]

    def collect(self, operation: Operation, count: int, width: int) -> list[Value | None]:
        """The results of the loop, from those of an operation."""
        refs = iter([Ref(operation, place) for place in range(count)])
        found: list[Value | None] = [None] * len(self.needed)
        for i in self.lanes:
            found[i] = take(refs, self.avals[i])
        for k, i in enumerate(self.same):
            found[i] = _uniform(
                Ref(operation, count + k, varies=False), self.avals[i], width
            )
        pairs = zip(found, self.results, strict=True)
        return [value if is_needed else None for value, is_needed in pairs]


def run_loop(outer: "Interpreter", loop: While) -> list[Value | None]:
    """The results of a loop that runs until the last lane is done."""
    width = outer.width
    fixed = gather(loop.consts, width)
    first = [ref for value in loop.first for ref in value.refs(width)]
    same = [known(value.same, varies=False) for value in loop.first_same]
    counts = (len(fixed), len(first))

    def make(arrays: list[Any]) -> list[Any]:
        consts = rebuild(loop.consts, arrays[: counts[0]])
        lanes = [fill(a, width) for a in arrays[counts[0] : sum(counts)]]
        rest = [jnp.asarray(a) for a in arrays[sum(counts) :]]

        def running(state: Any) -> Any:
            inner = outer.inside()
            condition = loop.condition(inner, consts, *state)
            varies = loop.runs_vary
            ref = condition.block(width) if varies else inner.same(condition)
            return inner.values_of([ref])[0]

        def advance(state: Any, active: Any = None) -> Any:
            inner = outer.inside(active if active is not None else outer.active)
            return loop.advance(inner, consts, *state)

        if not loop.runs_vary:
            lanes, rest = jax.lax.while_loop(running, advance, (lanes, rest))
            return [*lanes, *rest]

        def step(state: Any) -> Any:
            active, lanes = state
            lanes, _ = advance((lanes, rest), active)
            return fill(running((lanes, rest)), width) & active, lanes

        # What a lane that is done would do here might never end.
        active = fill(running((lanes, rest)), width)
        active = active if outer.active is None else active & outer.active
        begin = (active, lanes)
        _, lanes = jax.lax.while_loop(lambda s: jnp.any(s[0]), step, begin)
        return [*lanes, *rest]

    operation = Operation(make, [*fixed, *first, *same], is_cheap=False)
    return loop.collect(operation, len(first), width)


def write_out(
    outer: "Interpreter", equation: Any, operands: Sequence[Value]
) -> Sequence[Value] | None:
    """A loop of known length, written out if it is short."""
    params = equation.params
    body: Any = params["jaxpr"]
    length = params["length"]
    if length * length_of(body.jaxpr) > UNROLLED:
        return None
    consts, carried = params["num_consts"], params["num_carry"]
    fixed, carry = operands[:consts], list(operands[consts : consts + carried])
    series = operands[consts + carried :]
    if not all(value.is_small for value in series):
        return None
    order = list(range(length))
    collected: dict[int, list[Any]] = {}
    for i in reversed(order) if params["reverse"] else order:
        rows = [Value.of_entries(_row(s.entries(), i), s.dtype) for s in series]
        results: list[Any] = outer.run(body, [*fixed, *carry, *rows])
        carry, collected[i] = results[:carried], results[carried:]
    columns = [
        _stacked(outer, [collected[i][k] for i in order], v.aval)
        for k, v in enumerate(equation.outvars[carried:])
    ]
    return [*carry, *columns]


def _stacked(outer: "Interpreter", rows: list[Value], aval: Any) -> Value:
    if int(np.prod(aval.shape, dtype=int)) <= SMALL:
        entries = np.empty(aval.shape, object)
        for i, row in enumerate(rows):
            entries[i, ...] = row.entries()
        return Value.of_entries(entries, aval.dtype)
    blocks = [row.block(outer.width) for row in rows]
    stack = lambda arrays: jnp.stack(arrays, 1)
    return Value.of_block(one_of(stack, blocks), aval.shape, aval.dtype)


def _row(entries: Any, i: int) -> Any:
    row = np.empty(entries.shape[1:], object)
    row[...] = entries[i]
    return row


def keep(active: Any, new: Any, old: Any) -> Any:
    """A new array in the lanes that are active, the old one in the others."""
    mask = active.reshape(-1, *(1,) * (new.ndim - 1))
    return jnp.where(jnp.broadcast_to(mask, new.shape), new, old)


def _uniform(ref: Ref, aval: Any, width: int) -> Value:
    """An array that is the same in all lanes, although it is computed with them."""
    if count_of(aval.shape) == 1 and aval.shape:
        wide = lambda values: jnp.broadcast_to(values[0], (width, *aval.shape))
        return Value.of_block(one_of(wide, [ref]), aval.shape, aval.dtype)
    entries = np.empty(aval.shape, object)
    for index in np.ndindex(aval.shape):
        entries[index] = one_of(lambda values, index=index: values[0][index], [ref])
    return Value.of_entries(entries, aval.dtype)

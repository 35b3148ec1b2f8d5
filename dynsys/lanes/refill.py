"""The main loop, with lanes that go on to the next member when they are done."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from dynsys.lanes.graph import Operation, fill
from dynsys.lanes.interpreter import Interpreter, While, keep
from dynsys.lanes.value import Value

IDLE = 4
"""One lane in this many may wait for the others before the waiting ones are given the next
members; to hand out and collect takes as long as a few steps."""


class Refill:
    """Runs the main loop of all members on fewer lanes.

    Args:
        lanes: Number of lanes.
        wrap: How to compile the loop: `wrap(function, arrays)` calls it.
    """

    def __init__(self, lanes: int, wrap: Any):
        self.lanes, self.wrap = lanes, wrap

    def __call__(
        self, outer: Interpreter, equation: Any, operands: list[Any], results: list[bool]
    ) -> list[Value | None]:
        """The results of the loop, member by member."""
        loop = While(equation.params, operands, results)
        members = outer.width
        fixed, with_fixed = outer._captured(loop.consts)
        first = [ref for value in loop.first for ref in value.refs(members)]
        assert not loop.first_same
        one = outer.one

        def make(arrays: list[Any]) -> list[Any]:
            wide = [fill(array, members) for array in arrays]
            run = lambda *wide: self._run(loop, with_fixed, len(fixed), one, wide)
            return self.wrap(run, wide)

        operation = Operation(make, [*fixed, *first], is_cheap=False)
        return loop.collect(operation, len(first))

    def _run(
        self, loop: While, with_fixed: Any, count: int, one: Any, store: Sequence[Any]
    ) -> list[Any]:
        """Arrays of all members after the loop, of those before it."""
        members, lanes = store[0].shape[0], self.lanes
        number = jnp.arange(lanes)

        def running(consts: Any, carried: Any) -> Any:
            inner = Interpreter(lanes, one)
            condition = loop.condition(inner, with_fixed(consts), carried, [])
            return fill(inner.values_of([condition.block(lanes)])[0], lanes)

        def advance(consts: Any, carried: Any) -> Any:
            inner = Interpreter(lanes, one)
            return loop.advance(inner, with_fixed(consts), carried, [])[0]

        def load(member: Any) -> tuple[list[Any], list[Any]]:
            at = jnp.minimum(member, members - 1)
            loaded = [array.at[at].get(mode="promise_in_bounds") for array in store]
            return loaded[:count], loaded[count:]

        def step(state: Any) -> Any:
            active, member, after, consts, carried = state
            carried = keep(active, advance(consts, carried), carried)
            return active & running(consts, carried), member, after, consts, carried

        def is_busy(state: Any) -> Any:
            active, _, after, _, _ = state
            working = jnp.sum(active)
            enough = working > lanes - lanes // IDLE
            return (working > 0) & (enough | (after >= members))

        def turn(state: Any) -> Any:
            active, member, after, consts, carried, out = state
            inner = jax.lax.while_loop(is_busy, step, (active, member, after, consts, carried))
            active, member, after, consts, carried = inner
            waits = ~active
            place = jnp.where(waits, member, members)
            out = [
                array.at[place].set(new, mode="drop")
                for array, new in zip(out, carried, strict=True)
            ]
            # The lanes before this one that wait, too, are given members first.
            before = jnp.sum((number[None, :] < number[:, None]) & waits[None, :], 1)
            new = jnp.where(waits, jnp.minimum(after + before, members), member)
            new_consts, new_carried = load(new)
            consts = keep(waits, new_consts, consts)
            carried = keep(waits, new_carried, carried)
            active = jnp.where(new < members, running(consts, carried), False)
            return active, new, after + jnp.sum(waits), consts, carried, out

        member = jnp.minimum(number, members)
        consts, carried = load(member)
        active = (member < members) & running(consts, carried)
        out = list(store[count:])
        state = (active, member, jnp.asarray(lanes), consts, carried, out)
        # A lane without a member has the number of members for one.
        is_running = lambda state: jnp.any(state[1] < members)
        return jax.lax.while_loop(is_running, turn, state)[-1]

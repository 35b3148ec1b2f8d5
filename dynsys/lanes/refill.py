"""The main loop, with lanes that go on to the next member when they are done."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from dynsys.lanes.interpreter import Interpreter
from dynsys.lanes.loops import While, run_loop
from dynsys.lanes.value import Value, choose

IDLE = 4
"""The next members are handed out when one lane in this many is waiting: handing out and
collecting takes as long as a few steps."""


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
        if not loop.runs_vary:
            return run_loop(outer, loop)
        members = outer.width
        fixed = [v.array for v in loop.consts if v is not None and v.varies]
        shared = [v.array for v in loop.consts if v is not None and not v.varies]
        first = [value.wide(members) for value in loop.first]

        def run(*arrays: Any) -> list[Any]:
            rest = iter(arrays[: len(shared)])
            same = [None if v is None or v.varies else next(rest) for v in loop.consts]
            return self._run(loop, same, len(fixed), arrays[len(shared) :])

        order, *out = self.wrap(run, [*shared, *fixed, *first])
        place = (
            jnp.zeros(members, order.dtype)
            .at[order[:members]]
            .set(jnp.arange(members, dtype=order.dtype), unique_indices=True)
        )
        return loop.collect([jnp.take(array, place, axis=-1) for array in out], [])

    def _run(
        self, loop: While, same: list[Any], count: int, store: Sequence[Any]
    ) -> list[Any]:
        """Arrays of all members after the loop, of those before it."""
        members, lanes = store[0].shape[-1], self.lanes
        number = jnp.arange(lanes)

        def constants(arrays: Sequence[Any]) -> list[Any]:
            rest = iter(arrays)
            pairs = zip(loop.consts, same, strict=True)
            return [
                None if v is None else Value(next(rest) if v.varies else s, v.varies)
                for v, s in pairs
            ]

        def running(consts: Any, carried: Any) -> Any:
            inner = Interpreter(lanes)
            return loop.condition(inner, constants(consts), carried, []).wide(lanes)

        def advance(active: Any, consts: Any, carried: Any) -> Any:
            inner = Interpreter(lanes, active=active)
            return loop.advance(inner, constants(consts), carried, [])[0]

        def load(member: Any) -> tuple[list[Any], list[Any]]:
            at = jnp.minimum(member, members - 1)
            loaded = [_columns(array, at) for array in store]
            return loaded[:count], loaded[count:]

        def step(state: Any) -> Any:
            active, member, after, consts, carried = state
            carried = advance(active, consts, carried)
            return active & running(consts, carried), member, after, consts, carried

        def is_busy(state: Any) -> Any:
            active, _, after, _, _ = state
            working = jnp.sum(active)
            enough = working > lanes - lanes // IDLE
            return (working > 0) & (enough | (after >= members))

        def turn(state: Any) -> Any:
            active, member, after, consts, carried, done, order, out = state
            inner = (active, member, after, consts, carried)
            inner = jax.lax.while_loop(is_busy, step, inner)
            active, member, after, consts, carried = inner
            waits = ~active & (member < members)
            # Of two lanes that wait the first is written first, and given a member first.
            before = jnp.sum((number[None, :] < number[:, None]) & waits[None, :], 1)
            is_there = waits[None, :] & (before[None, :] == number[:, None])
            lane = jnp.sum(jnp.where(is_there, number[None, :], 0), 1)
            put = lambda array, new: jax.lax.dynamic_update_slice_in_dim(
                array, _columns(new, lane), done, array.ndim - 1
            )
            out = [put(array, new) for array, new in zip(out, carried, strict=True)]
            order = put(order, member)
            new = jnp.where(waits, jnp.minimum(after + before, members), member)
            new_consts, new_carried = load(new)
            pick = lambda new, old: choose(waits, new, old)
            consts = list(map(pick, new_consts, consts))
            carried = list(map(pick, new_carried, carried))
            active = jnp.where(waits, (new < members) & running(consts, carried), active)
            count = jnp.sum(waits)
            return active, new, after + count, consts, carried, done + count, order, out

        member = jnp.minimum(number, members)
        consts, carried = load(member)
        active = (member < members) & running(consts, carried)
        room = lambda array: jnp.zeros((*array.shape[:-1], members + lanes), array.dtype)
        out = [room(array) for array in store[count:]]
        begin = (active, member, jnp.asarray(lanes), consts, carried)
        state = (*begin, jnp.asarray(0), jnp.zeros(members + lanes, member.dtype), out)
        # A lane without a member has the number of members for one.
        is_running = lambda state: jnp.any(state[1] < members)
        *_, order, out = jax.lax.while_loop(is_running, turn, state)
        return [order, *out]


def _columns(array: Any, at: Any) -> Any:
    """Some entries along the last axis."""
    return array.at[..., at].get(mode="promise_in_bounds")

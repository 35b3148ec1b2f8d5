"""A program of one member as a program of many, lane by lane."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, DropVar, Literal

from dynsys.equations import bind, called
from dynsys.lanes import arithmetic, indexing, movement
from dynsys.lanes.branches import choose_branch
from dynsys.lanes.flow import needed_inputs
from dynsys.lanes.graph import Operation, Ref, carry_out, fill, known, one_of
from dynsys.lanes.loops import While, run_loop, write_out
from dynsys.lanes.value import SMALL, Value

ACROSS_LANES: dict[str, Any] = {"unvmap_any": jnp.any, "unvmap_all": jnp.all}
"""Primitives of equinox that ask all members of a batch."""

Loop = Callable[["Interpreter", Any, list[Value], list[bool]], list[Value | None]]


class Interpreter:
    """Evaluates programs of a member on values of all lanes.

    Args:
        width: Number of lanes.
        one: The number 1 as a traced value, or `None` where the compiler need not be kept
            from computing results twice.
        name: Name of the program with the main loop in it.
        main: What to do with that loop.
        active: Which lanes are not done, in a pass of a loop.
    """

    def __init__(
        self,
        width: int,
        one: Any,
        *,
        name: str | None = None,
        main: Loop | None = None,
        active: Any = None,
    ):
        self.width, self.one, self.active = width, one, active
        self.name, self.main = name, main
        self.writer = arithmetic.Writer(width)

    def inside(self, active: Any = None) -> "Interpreter":
        """An interpreter for a part of the program.

        Args:
            active: Which lanes are not done, in a pass of a loop.
        """
        return Interpreter(self.width, self.one, active=active)

    def values_of(self, refs: Sequence[Ref]) -> list[Any]:
        """The arrays that values stand for."""
        return carry_out(refs, self.one)

    def same(self, value: Value) -> Ref:
        """All of a value that is the same in all lanes."""
        if value.is_same:
            return known(value.same, varies=False)
        stack = lambda parts: jnp.stack(parts).reshape(value.shape)
        return one_of(stack, list(value.entries().flat))

    def run(
        self,
        closed: ClosedJaxpr,
        values: Sequence[Value | None],
        needed: Sequence[bool] | None = None,
        *,
        is_main: bool = False,
    ) -> list[Value | None]:
        """The outputs of a program.

        Args:
            closed: The program of one member.
            values: Its inputs.
            needed: Which outputs are needed; the others are `None`.
            is_main: Whether the main loop is in it.
        """
        jaxpr = closed.jaxpr
        needed = [True] * len(jaxpr.outvars) if needed is None else list(needed)
        env: dict[Any, Any] = {}
        consts = [Value.of_same(_as_array(const)) for const in closed.consts]
        env |= dict(zip(jaxpr.constvars, consts, strict=True))
        env |= dict(zip(jaxpr.invars, values, strict=True))
        wanted = _wanted(jaxpr, needed)
        read = lambda v: _literal(v) if isinstance(v, Literal) else env.get(v)
        for equation, results in zip(jaxpr.eqns, wanted, strict=True):
            if not any(results):
                continue
            operands = [read(v) for v in equation.invars]
            outputs = self.equation(equation, operands, results, is_main)
            pairs = zip(equation.outvars, outputs, strict=True)
            env |= {v: value for v, value in pairs if not isinstance(v, DropVar)}
        pairs = zip(jaxpr.outvars, needed, strict=True)
        return [read(v) if is_needed else None for v, is_needed in pairs]

    def equation(
        self, equation: Any, operands: Sequence[Any], results: list[bool], is_main: bool
    ) -> Sequence[Value | None]:
        """The results of one equation."""
        inner = called(equation)
        if inner is not None:
            enters = is_main or equation.params.get("name", "") == self.name
            return self.run(inner, operands, results, is_main=enters)
        if equation.primitive.name in arithmetic.IDENTITIES:
            return list(operands)
        name = equation.primitive.name
        present = [value for value in operands if value is not None]
        if all(value.is_same for value in present):
            return self._same(equation, _filled(equation, operands))
        if name in ACROSS_LANES:
            return [self._across(ACROSS_LANES[name], equation, present[0])]
        if name == "while":
            return self._loop(equation, operands, results, is_main)
        if name == "cond":
            return choose_branch(self, equation, operands, results)
        found = self._by_entries(equation, operands, present)
        return self._large(equation, operands) if found is None else found

    def _loop(
        self, equation: Any, operands: Sequence[Any], results: list[bool], is_main: bool
    ) -> Sequence[Value | None]:
        """A loop of unknown length."""
        if equation.params["cond_jaxpr"].out_avals[0].shape:
            # Many loops in one, each with an end of its own.
            return self._block(equation, _filled(equation, operands))
        if is_main and self.main is not None:
            return self.main(self, equation, list(operands), results)
        return run_loop(self, While(equation.params, list(operands), results))

    def _by_entries(
        self, equation: Any, operands: Sequence[Value], present: Sequence[Value]
    ) -> Sequence[Value | None] | None:
        """What is computed entry by entry, if it can be."""
        if equation.primitive.name == "scan":
            return write_out(self, equation, operands)
        return self._small(equation, operands) if _all_small(present, equation) else None

    def _across(self, fold: Callable[..., Any], equation: Any, value: Value) -> Value:
        """What is asked of all lanes that are not done."""
        width, active = self.width, self.active

        def make(arrays: list[Any]) -> list[Any]:
            wide = fill(arrays[0], width).reshape(width, -1)
            where = True if active is None else active[:, None]
            return [fold(wide, where=jnp.broadcast_to(where, wide.shape))]

        operation = Operation(make, [value.block(width)], is_cheap=False)
        entries = np.empty((), object)
        entries[()] = Ref(operation, varies=False)
        return Value.of_entries(entries, equation.outvars[0].aval.dtype)

    def _large(self, equation: Any, operands: Sequence[Value]) -> Sequence[Value | None]:
        """What is not computed entry by entry."""
        name = equation.primitive.name
        if name == "dynamic_update_slice":
            return [self._written(equation, operands, _part)]
        if name == "scatter" and _is_plain_scatter(equation, operands):
            return [self._written(equation, operands, _points)]
        return self._block(equation, operands)

    def _written(
        self, equation: Any, operands: Sequence[Value], writes: Callable[..., Any]
    ) -> Value:
        """A large array with parts of it replaced, one lane after the other.

        What XLA makes of it for all lanes at once, a scatter, cannot be part of a kernel.
        """
        width, active = self.width, self.active
        refs = [value.block(width) for value in operands]

        def make(arrays: list[Any]) -> Any:
            array, *rest = arrays

            def put(lane: Any, array: Any) -> Any:
                mine = [jax.lax.dynamic_index_in_dim(a, lane, 0, False) for a in rest]
                allowed = True if active is None else active[lane]
                for place, part, is_inside in writes(array.shape[1:], *mine):
                    at = [lane.astype(place[0].dtype), *place]
                    old = jax.lax.dynamic_slice(array, at, (1, *part.shape))
                    new = jnp.where(allowed & is_inside, part[None], old)
                    array = jax.lax.dynamic_update_slice(array, new, at)
                return array

            return jax.lax.fori_loop(0, width, put, array)

        aval = equation.outvars[0].aval
        result = Value.of_block(one_of(make, refs), aval.shape, aval.dtype)
        result.place = None if active is None else operands[0].place
        return result

    def _small(self, equation: Any, operands: Any) -> Sequence[Value] | None:
        name = equation.primitive.name
        if name == "split":
            return movement.split(equation, operands)
        if name in arithmetic.ENTRYWISE:
            result = arithmetic.entrywise(self.writer, equation, operands)
        elif name in movement.MOVES:
            result = movement.move(equation, operands)
        elif name in RULES:
            result = RULES[name](self.writer, equation, operands)
        else:
            return None
        return None if result is None else [result]

    def _same(self, equation: Any, operands: Any) -> Sequence[Value | None]:
        """What is the same in all lanes."""
        if equation.primitive.name == "iota":
            return [Value.of_same(_iota(equation.params))]
        if _is_known(operands):
            outputs = self._small(equation, operands) if _fits(equation) else None
            if outputs is not None and all(v.constant is not None for v in outputs):
                return [Value.of_same(v.constant) for v in outputs]
        arrays = [None if value is None else value.same for value in operands]
        return [
            None if array is None else Value.of_same(array)
            for array in bind(equation, arrays)
        ]

    def _block(self, equation: Any, operands: Sequence[Value]) -> Sequence[Value | None]:
        """Any primitive, with the lanes as a first axis."""
        axes = [None if value.is_same else 0 for value in operands]
        refs = [
            known(value.same, varies=False) if value.is_same else value.block(self.width)
            for value in operands
        ]
        kept = [not isinstance(v, DropVar) for v in equation.outvars]

        def make(arrays: list[Any]) -> list[Any]:
            only = lambda *member: [
                out for out, keep in zip(bind(equation, member), kept, strict=True) if keep
            ]
            return jax.vmap(only, axes)(*arrays)

        operation = Operation(make, refs, is_cheap=False)
        places = iter(range(len(kept)))
        return [
            Value.of_block(Ref(operation, next(places)), v.aval.shape, v.aval.dtype)
            if keep
            else None
            for v, keep in zip(equation.outvars, kept, strict=True)
        ]


def _part(shape: tuple[int, ...], update: Any, *place: Any) -> list[Any]:
    """The one part that is replaced, moved into the array."""
    room = [n - size for n, size in zip(shape, update.shape, strict=True)]
    inside = [jnp.clip(at, 0, last) for at, last in zip(place, room, strict=True)]
    return [(inside, update, True)]


def _points(shape: tuple[int, ...], indices: Any, updates: Any) -> list[Any]:
    """Entries of a vector that are replaced one by one, unless they are outside."""
    (size,) = shape
    return [
        ([jnp.clip(at, 0, size - 1)], new[None], (at >= 0) & (at < size))
        for at, new in zip(indices[:, 0], updates, strict=True)
    ]


def _is_plain_scatter(equation: Any, operands: Sequence[Value]) -> bool:
    """Whether it replaces some entries of a vector."""
    array, indices, updates = operands
    is_plain = len(indices.shape) == 2 and len(updates.shape) == 1
    drops = equation.params["mode"] == jax.lax.GatherScatterMode.FILL_OR_DROP
    return len(array.shape) == 1 and is_plain and drops and updates.size <= SMALL


def _wanted(jaxpr: Any, needed: Sequence[bool]) -> list[list[bool]]:
    """Which results of each equation are needed."""
    live = {
        v
        for v, is_needed in zip(jaxpr.outvars, needed, strict=True)
        if is_needed and not isinstance(v, Literal)
    }
    wanted = []
    for equation in reversed(jaxpr.eqns):
        results = [v in live for v in equation.outvars]
        wanted.append(results)
        if not any(results):
            continue
        inner = called(equation)
        operands = [True] * len(equation.invars)
        if inner is not None:
            operands = needed_inputs(inner.jaxpr, results)
        pairs = zip(equation.invars, operands, strict=True)
        live |= {v for v, is_used in pairs if is_used and not isinstance(v, Literal)}
    return list(reversed(wanted))


def _filled(equation: Any, operands: Sequence[Any]) -> list[Value]:
    """The operands, with zeros for those that nobody needs."""
    pairs = zip(equation.invars, operands, strict=True)
    zeros = lambda aval: Value.of_same(np.zeros(aval.shape, aval.dtype))
    return [zeros(v.aval) if value is None else value for v, value in pairs]


def _literal(literal: Any) -> Value:
    return Value.of_same(np.asarray(literal.val, literal.aval.dtype))


def _as_array(const: Any) -> Any:
    return const if hasattr(const, "dtype") else np.asarray(const)


def _size(aval: Any) -> int:
    return int(np.prod(aval.shape, dtype=int))


def _all_small(values: Sequence[Value], equation: Any) -> bool:
    """Whether all it takes and gives is small; what is the same may be larger."""
    size = lambda value: value.size if value.is_same else 0
    small = all(value.is_small or value.is_same for value in values)
    small = small and all(
        Value(v.aval.shape, v.aval.dtype).is_small for v in equation.outvars
    )
    return small and max(map(size, values)) <= indexing.MOST_CASES


def _is_known(operands: Sequence[Any]) -> bool:
    return all(value is not None and value.constant is not None for value in operands)


def _fits(equation: Any) -> bool:
    return all(_size(v.aval) <= indexing.MOST_CASES for v in equation.outvars)


def _iota(params: Any) -> np.ndarray:
    shape, axis = params["shape"], params["dimension"]
    counts = np.arange(shape[axis]).astype(params["dtype"])
    wide = [1] * len(shape)
    wide[axis] = shape[axis]
    return np.broadcast_to(counts.reshape(wide), shape)


RULES: dict[str, Callable[..., Value | None]] = {
    **dict.fromkeys(arithmetic.FOLDS, arithmetic.fold),
    **dict.fromkeys(arithmetic.RUNS, arithmetic.run),
    "argmax": arithmetic.extremum,
    "argmin": arithmetic.extremum,
    "dot_general": arithmetic.product,
    "dynamic_slice": indexing.dynamic_slice,
    "dynamic_update_slice": indexing.dynamic_update_slice,
    "gather": indexing.gather,
    "scatter": indexing.scatter,
    "scatter-add": indexing.scatter,
}

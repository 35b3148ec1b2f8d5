"""A program of one member as a program of many, lane by lane."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, DropVar, Literal

from dynsys.equations import bind, called
from dynsys.lanes import arithmetic, movement
from dynsys.lanes.flow import needed_carry, needed_consts, needed_inputs, varying_carry
from dynsys.lanes.graph import Operation, Ref, carry_out, fill, known, one_of
from dynsys.lanes.value import SMALL, Value, from_refs

UNROLLED = 1024
"""Equations of a loop of known length, over all passes, up to which it is written out."""

SHORT = 24
"""Equations of a branch up to which it is always computed, for lanes that do not take it
too."""

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
        values: Sequence[Value],
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
        env: dict[Any, Value] = {}
        consts = [Value.of_same(_as_array(const)) for const in closed.consts]
        env |= dict(zip(jaxpr.constvars, consts, strict=True))
        env |= dict(zip(jaxpr.invars, values, strict=True))
        wanted = _wanted(jaxpr, needed)
        for equation, results in zip(jaxpr.eqns, wanted, strict=True):
            if not any(results):
                continue
            operands = [
                Value.of_same(np.asarray(v.val, v.aval.dtype))
                if isinstance(v, Literal)
                else env.get(v)
                for v in equation.invars
            ]
            outputs = self.equation(equation, operands, results, is_main)
            for v, value in zip(equation.outvars, outputs, strict=True):
                if value is not None and not isinstance(v, DropVar):
                    env[v] = value
        read = lambda v: (
            Value.of_same(np.asarray(v.val, v.aval.dtype))
            if isinstance(v, Literal)
            else env[v]
        )
        pairs = zip(jaxpr.outvars, needed, strict=True)
        return [read(v) if is_needed else None for v, is_needed in pairs]

    def equation(
        self, equation: Any, operands: Sequence[Any], results: list[bool], is_main: bool
    ) -> Sequence[Value | None]:
        """The results of one equation."""
        name, params = equation.primitive.name, equation.params
        inner = called(equation)
        if inner is not None:
            enters = is_main or (self.name is not None and params.get("name") == self.name)
            return self.run(inner, operands, results, is_main=enters)
        if name in arithmetic.IDENTITIES:
            return list(operands)
        present = [value for value in operands if value is not None]
        if all(value.is_same for value in present):
            return self._same(equation, operands)
        if name == "while" and is_main and self.main is not None:
            return self.main(self, equation, list(operands), results)
        if name == "while":
            return self.loop(While(params, list(operands), results))
        if name == "cond":
            return self._cond(equation, operands, results)
        sizes = [*(v.size for v in present), *(_size(v.aval) for v in equation.outvars)]
        if name == "scan":
            found = self._scan(equation, operands)
            if found is not None:
                return found
        elif max(sizes) <= movement.MOST_CASES and _all_small(present, equation):
            found = self._small(equation, operands)
            if found is not None:
                return found
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

    def _scan(self, equation: Any, operands: Sequence[Value]) -> Sequence[Value] | None:
        """A loop of known length, written out if it is short."""
        params = equation.params
        body: ClosedJaxpr = params["jaxpr"]
        length = params["length"]
        if length * len(body.jaxpr.eqns) > UNROLLED:
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
            results: list[Any] = self.run(body, [*fixed, *carry, *rows])
            carry, collected[i] = results[:carried], results[carried:]
        columns = [
            self._stacked([collected[i][k] for i in order], v.aval)
            for k, v in enumerate(equation.outvars[carried:])
        ]
        return [*carry, *columns]

    def _stacked(self, rows: list[Value], aval: Any) -> Value:
        if _size(aval) <= movement.MOST_CASES:
            entries = np.empty(aval.shape, object)
            for i, row in enumerate(rows):
                entries[i, ...] = row.entries()
            return Value.of_entries(entries, aval.dtype)
        blocks = [row.block(self.width) for row in rows]
        stack = lambda arrays: jnp.stack(arrays, 1)
        return Value.of_block(one_of(stack, blocks), aval.shape, aval.dtype)

    def _cond(
        self, equation: Any, operands: Sequence[Value], results: list[bool]
    ) -> Sequence[Value | None]:
        """A choice between branches."""
        index, *values = operands
        branches = equation.params["branches"]
        avals = [v.aval for v in equation.outvars]
        if index.is_same:
            run = self._region(branches, values, results, avals)
            return run(index.same)
        (where,) = index.entries().flat
        chosen: list[Any] = []
        for number, branch in enumerate(branches):
            if len(branch.jaxpr.eqns) <= SHORT:
                chosen.append(self.run(branch, values, results))
                continue
            taken = (
                self.writer.lax(
                    jax.lax.eq, where, known(np.asarray(number, index.dtype), varies=False)
                )
                if index.dtype != bool
                else where
                if number
                else self.writer.apply(jax.lax.not_p, {}, [where])
            )
            skipped = self._region([None, branch], values, results, avals)
            anywhere = one_of(lambda values: jnp.any(values[0]), [taken])
            chosen.append(skipped(anywhere))
        return [
            self._selected(where, index.dtype, [branch[k] for branch in chosen])
            if is_needed
            else None
            for k, is_needed in enumerate(results)
        ]

    def _selected(self, where: Ref, dtype: Any, cases: list[Value]) -> Value:
        """One of several values, lane by lane."""
        if cases[0].is_small:
            entries = np.empty(cases[0].shape, object)
            for index in np.ndindex(cases[0].shape):
                refs = [case.entries()[index] for case in cases]
                entries[index] = self._select(where, dtype, refs)
            return Value.of_entries(entries, cases[0].dtype)
        blocks = [case.block(self.width) for case in cases]
        width = self.width

        def pick(arrays: list[Any]) -> Any:
            index, *rest = arrays
            wide = jnp.broadcast_to(
                fill(index, width).reshape(width, *(1,) * (rest[0].ndim - 1)), rest[0].shape
            )
            return jax.lax.select_n(wide, *rest)

        shape = cases[0].shape
        return Value.of_block(one_of(pick, [where, *blocks]), shape, cases[0].dtype)

    def _select(self, where: Ref, dtype: Any, refs: list[Ref]) -> Ref:
        del dtype
        if all(ref is refs[0] for ref in refs):
            return refs[0]
        return self.writer.apply(jax.lax.select_n_p, {}, [where, *refs])

    def _region(
        self,
        branches: Sequence[ClosedJaxpr | None],
        values: Sequence[Any],
        results: list[bool],
        avals: Sequence[Any],
    ) -> Callable[[Any], list[Value | None]]:
        """Branches of which one is computed, for all lanes; `None` gives zeros."""
        width = self.width
        inputs, rebuild = self.captured(values)
        kept = [aval for aval, is_needed in zip(avals, results, strict=True) if is_needed]

        def branch_of(branch: ClosedJaxpr | None) -> Callable[..., list[Any]]:
            def compute(arrays: list[Any]) -> list[Any]:
                if branch is None:
                    return [jnp.zeros(_lane_shape(a, width), a.dtype) for a in _parts(kept)]
                inner = Interpreter(width, self.one)
                outputs = inner.run(branch, rebuild(arrays), results)
                refs = [ref for v in outputs if v is not None for ref in v.refs(width)]
                return [fill(array, width) for array in inner.values_of(refs)]

            return compute

        def run(index: Any) -> list[Value | None]:
            pick = index if isinstance(index, Ref) else known(index, varies=False)

            def make(arrays: list[Any]) -> list[Any]:
                which, *rest = arrays
                number = jnp.asarray(which).astype(jnp.int32)
                return jax.lax.switch(number, [branch_of(b) for b in branches], rest)

            operation = Operation(make, [pick, *inputs], is_cheap=False)
            return _results(operation, avals, results)

        return run

    def captured(
        self, values: Sequence[Value | None]
    ) -> tuple[list[Ref], Callable[[list[Any]], list[Value | None]]]:
        """What a part of the program uses, and how it is put together again inside."""
        refs: list[Ref] = []
        for value in values:
            if value is not None and not value.is_same:
                refs += value.refs(self.width)

        def rebuild(arrays: Sequence[Any]) -> list[Value | None]:
            remaining = iter(arrays)
            rebuilt: list[Value | None] = []
            for value in values:
                if value is None or value.is_same:
                    rebuilt.append(value)
                    continue
                count = value.size if value.is_small else 1
                parts = [_leaf(next(remaining)) for _ in range(count)]
                rebuilt.append(from_refs(parts, value.shape, value.dtype))
            return rebuilt

        return refs, rebuild

    def loop(self, loop: "While") -> list[Value | None]:
        """The results of a loop that runs until the last lane is done."""
        width = self.width
        fixed, with_fixed = self.captured(loop.consts)
        first = [ref for value in loop.first for ref in value.refs(width)]
        same = [known(value.same, varies=False) for value in loop.first_same]
        counts = (len(fixed), len(first))

        def make(arrays: list[Any]) -> list[Any]:
            consts = with_fixed(arrays[: counts[0]])
            lanes = [fill(a, width) for a in arrays[counts[0] : sum(counts)]]
            rest = [jnp.asarray(a) for a in arrays[sum(counts) :]]

            def running(state: Any) -> Any:
                inner = Interpreter(width, self.one)
                condition = loop.condition(inner, consts, *state)
                varies = loop.runs_vary
                ref = condition.block(width) if varies else inner.same(condition)
                return inner.values_of([ref])[0]

            def advance(state: Any, active: Any = None) -> Any:
                inner = Interpreter(width, self.one, active=active)
                return loop.advance(inner, consts, *state)

            if not loop.runs_vary:
                return [
                    *jax.tree.leaves(jax.lax.while_loop(running, advance, (lanes, rest)))
                ]

            def step(state: Any) -> Any:
                active, lanes = state
                lanes, _ = advance((lanes, rest), active)
                return fill(running((lanes, rest)), width) & active, lanes

            begin = (fill(running((lanes, rest)), width), lanes)
            _, lanes = jax.lax.while_loop(lambda s: jnp.any(s[0]), step, begin)
            return [*lanes, *rest]

        operation = Operation(make, [*fixed, *first, *same], is_cheap=False)
        return loop.collect(operation, len(first))


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
        remaining = iter(lanes)
        for i in self.lanes:
            aval = self.avals[i]
            count = _size(aval) if Value(aval.shape, aval.dtype).is_small else 1
            parts = [_leaf(next(remaining)) for _ in range(count)]
            carry[i] = from_refs(parts, aval.shape, aval.dtype)
            carry[i].place = i
        for i, array in zip(self.same, rest, strict=True):
            carry[i] = Value.of_same(array)
        return carry

    def condition(
        self, inner: Interpreter, consts: Sequence[Any], lanes: Any, rest: Any
    ) -> Value:
        """Whether it goes on."""
        cut = self.params["cond_nconsts"]
        operands = [*consts[:cut], *self.values(lanes, rest)]
        (result,) = inner.run(self.params["cond_jaxpr"], operands)
        assert result is not None
        return result

    def advance(
        self, inner: Interpreter, consts: Sequence[Any], lanes: Any, rest: Any
    ) -> tuple[list[Any], list[Any]]:
        """One pass, in the lanes that are active."""
        cut = self.params["cond_nconsts"]
        operands = [*consts[cut:], *self.values(lanes, rest)]
        after: list[Any] = inner.run(self.params["body_jaxpr"], operands, self.needed)
        refs = [ref for i in self.lanes for ref in after[i].refs(inner.width)]
        is_done = [after[i].place == i for i in self.lanes for _ in range(_count(after[i]))]
        same = [inner.same(after[i]) for i in self.same]
        arrays = inner.values_of([*refs, *same])
        wide = [fill(array, inner.width) for array in arrays[: len(refs)]]
        if inner.active is not None:
            wide = [
                new if done else keep(inner.active, new, old)
                for new, old, done in zip(wide, lanes, is_done, strict=True)
            ]
        return wide, [jnp.asarray(array) for array in arrays[len(refs) :]]

    def collect(self, operation: Operation, count: int) -> list[Value | None]:
        """The results of the loop, from those of an operation."""
        places = iter(range(count))
        found: list[Value | None] = [None] * len(self.needed)
        for i in self.lanes:
            aval = self.avals[i]
            number = _size(aval) if Value(aval.shape, aval.dtype).is_small else 1
            parts = [Ref(operation, next(places)) for _ in range(number)]
            found[i] = from_refs(parts, aval.shape, aval.dtype)
        for k, i in enumerate(self.same):
            ref = Ref(operation, count + k, varies=False)
            entries = np.empty((), object)
            aval = self.avals[i]
            if aval.shape == ():
                entries[()] = ref
                found[i] = Value.of_entries(entries, aval.dtype)
            else:
                found[i] = _uniform(ref, aval)
        pairs = zip(found, self.results, strict=True)
        return [value if is_needed else None for value, is_needed in pairs]


def _part(shape: tuple[int, ...], update: Any, *place: Any) -> list[Any]:
    """The one part that is replaced, moved into the array."""
    del shape
    return [(place, update, True)]


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


def keep(active: Any, new: Any, old: Any) -> Any:
    """A new array in the lanes that are active, the old one in the others."""
    mask = active.reshape(-1, *(1,) * (new.ndim - 1))
    return jnp.where(jnp.broadcast_to(mask, new.shape), new, old)


def _count(value: Value) -> int:
    """Number of arrays that hold a value."""
    return value.size if value.is_small else 1


def _uniform(ref: Ref, aval: Any) -> Value:
    """An array that is the same in all lanes, although it is computed with them."""
    entries = np.empty(aval.shape, object)
    for index in np.ndindex(aval.shape):
        entries[index] = one_of(lambda values, index=index: values[0][index], [ref])
    return Value.of_entries(entries, aval.dtype)


def _leaf(array: Any) -> Ref:
    return known(array, varies=True)


def _parts(avals: Sequence[Any]) -> list[Any]:
    """One array a small entry, or one for all of a value."""
    parts: list[Any] = []
    for aval in avals:
        small = Value(aval.shape, aval.dtype).is_small
        number = jax.ShapeDtypeStruct((), aval.dtype)
        parts += [number] * _size(aval) if small else [aval]
    return parts


def _lane_shape(aval: Any, width: int) -> tuple[int, ...]:
    return (width, *aval.shape)


def _results(
    operation: Operation, avals: Sequence[Any], results: Sequence[bool]
) -> list[Value | None]:
    place = 0
    found: list[Value | None] = []
    for aval, is_needed in zip(avals, results, strict=True):
        if not is_needed:
            found.append(None)
            continue
        count = _size(aval) if Value(aval.shape, aval.dtype).is_small else 1
        parts = [Ref(operation, place + k) for k in range(count)]
        found.append(from_refs(parts, aval.shape, aval.dtype))
        place += count
    return found


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


def _row(entries: np.ndarray, i: int) -> np.ndarray:
    row = np.empty(entries.shape[1:], object)
    row[...] = entries[i]
    return row


def _as_array(const: Any) -> Any:
    return const if hasattr(const, "dtype") else np.asarray(const)


def _size(aval: Any) -> int:
    return int(np.prod(aval.shape, dtype=int))


def _all_small(values: Sequence[Value], equation: Any) -> bool:
    small = all(value.is_small or value.is_same for value in values)
    return small and all(
        Value(v.aval.shape, v.aval.dtype).is_small for v in equation.outvars
    )


def _is_known(operands: Sequence[Any]) -> bool:
    return all(value is not None and value.constant is not None for value in operands)


def _fits(equation: Any) -> bool:
    return all(_size(v.aval) <= movement.MOST_CASES for v in equation.outvars)


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
    "dynamic_slice": movement.dynamic_slice,
    "dynamic_update_slice": movement.dynamic_update_slice,
    "gather": movement.gather,
    "scatter": movement.scatter,
    "scatter-add": movement.scatter,
}

"""A program of one member as a program of many, lane by lane."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, DropVar, Literal

from dynsys.equations import ENTRYWISE, bind, called
from dynsys.lanes import arithmetic, blocks, indexing, movement
from dynsys.lanes.branches import choose_branch
from dynsys.lanes.flow import need_of
from dynsys.lanes.graph import Ref, carry_out, known, one_of
from dynsys.lanes.loops import While, run_loop, write_out
from dynsys.lanes.value import Value

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
        wanted = need_of(jaxpr, needed).results
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
        if name in blocks.ACROSS_LANES:
            return [blocks.across(self, equation, present[0])]
        if name == "while":
            return self._loop(equation, operands, results, is_main)
        if name == "cond":
            return choose_branch(self, equation, operands, results)
        found = self._by_entries(equation, operands, present)
        return blocks.apply(self, equation, operands) if found is None else found

    def _loop(
        self, equation: Any, operands: Sequence[Any], results: list[bool], is_main: bool
    ) -> Sequence[Value | None]:
        """A loop of unknown length."""
        if equation.params["cond_jaxpr"].out_avals[0].shape:
            # Many loops in one, each with an end of its own.
            return blocks.side_by_side(self, equation, _filled(equation, operands))
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

    def _small(self, equation: Any, operands: Any) -> Sequence[Value] | None:
        name = equation.primitive.name
        if name == "split":
            return movement.split(equation, operands)
        if name in ENTRYWISE:
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

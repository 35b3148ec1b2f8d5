"""Branches, of which each lane may take another one."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from dynsys.equations import has_any
from dynsys.lanes.flow import length_of
from dynsys.lanes.graph import Operation, Ref, fill, known, one_of
from dynsys.lanes.value import Value, count_of, gather, rebuild, take

if TYPE_CHECKING:
    from dynsys.lanes.interpreter import Interpreter

SHORT = 24
"""Equations of a branch up to which it is always computed, for lanes that do not take it
too."""


def choose_branch(
    outer: "Interpreter", equation: Any, operands: Sequence[Value], results: list[bool]
) -> Sequence[Value | None]:
    """The results of a choice: of branches that no lane takes nothing is computed."""
    index, *values = operands
    region = Region(outer, values, results, [v.aval for v in equation.outvars])
    branches = equation.params["branches"]
    if index.is_same:
        everywhere = known(np.asarray(True), varies=False)
        return region.run(branches, known(index.same, varies=False), everywhere)
    (where,) = index.entries().flat
    chosen: list[Any] = []
    for number, branch in enumerate(branches):
        if length_of(branch.jaxpr) <= SHORT and not has_any(branch.jaxpr, {"while"}):
            chosen.append(outer.run(branch, values, results))
            continue
        this = known(np.asarray(number, index.dtype), varies=False)
        taken = outer.writer.lax(jax.lax.eq, where, this)
        anywhere = one_of(lambda values: jnp.any(values[0]), [taken])
        chosen.append(region.run([None, branch], anywhere, taken))
    return [
        _selected(outer, where, [branch[k] for branch in chosen]) if is_needed else None
        for k, is_needed in enumerate(results)
    ]


def _selected(outer: "Interpreter", where: Ref, cases: list[Value]) -> Value:
    """One of several values, lane by lane."""
    shape, dtype, width = cases[0].shape, cases[0].dtype, outer.width
    if cases[0].is_small:
        entries = np.empty(shape, object)
        for index in np.ndindex(shape):
            refs = [case.entries()[index] for case in cases]
            same = all(ref is refs[0] for ref in refs)
            select = jax.lax.select_n_p
            chosen = outer.writer.apply(select, {}, [where, *refs])
            entries[index] = refs[0] if same else chosen
        return Value.of_entries(entries, dtype)

    def pick(arrays: list[Any]) -> Any:
        index, *rest = arrays
        wide = fill(index, width).reshape(width, *(1,) * len(shape))
        return jax.lax.select_n(jnp.broadcast_to(wide, rest[0].shape), *rest)

    blocks = [case.block(width) for case in cases]
    return Value.of_block(one_of(pick, [where, *blocks]), shape, dtype)


class Region:
    """A part of the program that is computed for all lanes, or for none.

    Args:
        outer: Where it is a part.
        values: What it is given.
        results: Which of its results are needed.
        avals: Shapes and types of the results.
    """

    def __init__(
        self,
        outer: "Interpreter",
        values: Sequence[Any],
        results: list[bool],
        avals: Sequence[Any],
    ):
        self.outer, self.values, self.results, self.avals = outer, values, results, avals

    def run(
        self, branches: Sequence[ClosedJaxpr | None], which: Ref, taken: Ref
    ) -> list[Value | None]:
        """The results of one of some branches; `None` stands for zeros.

        Args:
            branches: The branches.
            which: The one that is computed.
            taken: The lanes that take it, so that the others hold up no loop in it.
        """

        def make(arrays: list[Any]) -> list[Any]:
            number, *rest = arrays
            number = jnp.asarray(number).astype(jnp.int32)
            return jax.lax.switch(number, [self._branch(b) for b in branches], rest)

        inputs = gather(self.values, self.outer.width)
        operation = Operation(make, [which, taken, *inputs], is_cheap=False)
        pairs = list(zip(self.avals, self.results, strict=True))
        count = sum(count_of(aval.shape) for aval, is_needed in pairs if is_needed)
        refs = iter([Ref(operation, place) for place in range(count)])
        return [take(refs, aval) if is_needed else None for aval, is_needed in pairs]

    def _branch(self, branch: ClosedJaxpr | None) -> Callable[[list[Any]], list[Any]]:
        width = self.outer.width

        def zeros(arrays: list[Any]) -> list[Any]:
            del arrays
            like = zip(self.avals, self.results, strict=True)
            kept = [
                Value.of_same(np.zeros(a.shape, a.dtype)) for a, needed in like if needed
            ]
            refs = [ref for value in kept for ref in value.refs(width)]
            return [fill(array, width) for array in self.outer.values_of(refs)]

        def compute(arrays: list[Any]) -> list[Any]:
            assert branch is not None
            taken, *rest = arrays
            active = fill(taken, width)
            active = active if self.outer.active is None else active & self.outer.active
            inner = self.outer.inside(active)
            outputs = inner.run(branch, rebuild(self.values, rest), self.results)
            refs = [ref for v in outputs if v is not None for ref in v.refs(width)]
            return [fill(array, width) for array in inner.values_of(refs)]

        return zeros if branch is None else compute

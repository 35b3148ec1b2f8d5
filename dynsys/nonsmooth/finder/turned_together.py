"""Many signs turned round at once, each entry of the program by at most one of them."""

from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jax.extend.core import Literal

from dynsys.nonsmooth.arithmetic import moves
from dynsys.nonsmooth.arithmetic.normal_form import ENTRYWISE_ALL
from dynsys.nonsmooth.arithmetic.residues import Rows
from dynsys.nonsmooth.finder.turned_signs import Base, equal_at_a_level
from dynsys.programs.dataflow import is_in

NONE = -1
"""The label of an entry that no sign changes."""

MANY = 64
"""Groups that meet in an entry up to which it is worth while to part them."""


class Labelled:
    """The program with many changes at once, as far as they do not meet.

    Each entry has the label of the only change that it depends on. Where several would
    meet in one entry, the equation and what follows are left out.

    Args:
        base: The program.
        signs: Signs of all groups, in several turns.
        own: Of each group the label of what switches with it.
        moved: Variables that have other values, with labels.
        start: Equations that are evaluated anew, with what depends on them.
        drop: Whether what comes out the same in all turns has no label any more.
        last: The last equation.
    """

    def __init__(
        self,
        base: Base,
        signs: Rows,
        own: np.ndarray,
        moved: Mapping[Any, tuple[Rows, np.ndarray]],
        start: frozenset[int],
        drop: bool = True,
        last: float = np.inf,
    ) -> None:
        self.base, self.signs, self.own, self.drop = base, signs, own, drop
        self.scope = base.scope._replace(rows=ChainMap({}, base.scope.rows))
        self.labels = {v: label for v, (_, label) in moved.items()}
        self.scope.rows.update({v: rows for v, (rows, _) in moved.items()})
        self.beyond: set[Any] = set()
        self.meet: set[tuple[int, int]] = set()
        self.reached: dict[Any, None] = {}
        self.left: list[int] = []
        for i in base.form.downstream(start, frozenset(moved)):
            if i > last:
                break
            base.steps += 1
            self._step(i)
        self._reach(base.form.jaxpr.outvars)

    def differing(self, parts: Callable[[Rows], Rows] = lambda a: a) -> set[int]:
        """The labels of what differs between the first two turns and is used further on."""
        found: set[int] = set()
        for v in self.reached:
            rows = parts(self.scope.rows[v])
            if rows.shape[0] > 1:
                same = equal_at_a_level(self.base.field, rows[:1], rows[1:2])[0]
                found |= set(np.unique(self.labels[v][~same]).tolist())
        return found - {NONE}

    def _step(self, i: int) -> None:
        form = self.base.form
        equation = form.jaxpr.eqns[i]
        if any(is_in(v, self.beyond) for v in equation.invars):
            self._leave(i, equation)
            return
        label = self._label(i, equation)
        if label is None:
            self._leave(i, equation)
            return
        form.step(self.base.field, self.scope, self._choose, i)
        self.labels.update(zip(equation.outvars, label, strict=True))
        for v in equation.outvars if self.drop else ():
            rows = self.scope.rows[v]
            if rows.shape[0] > 1:
                same = equal_at_a_level(self.base.field, rows[:1], rows[1:2])[0]
                self.labels[v] = np.where(same, NONE, self.labels[v])

    def _choose(self, switch: Any, _: Rows, /) -> Rows:
        return self.base.sign(switch, self.signs)

    def _leave(self, i: int, equation: Any) -> None:
        """What is used beyond the entries with one label."""
        self.left.append(i)
        self.beyond |= set(equation.outvars)
        self._reach(equation.invars)

    def _reach(self, variables: Any) -> None:
        self.reached |= {v: None for v in variables if is_in(v, self.labels)}

    def _label(self, i: int, equation: Any) -> list[np.ndarray] | None:
        """The labels of the results, if no groups meet."""
        form, name = self.base.form, equation.primitive.name
        labels = [
            self.labels.get(v) if not isinstance(v, Literal) else None
            for v in equation.invars
        ]
        shapes = [v.aval.shape for v in equation.outvars]
        if i in form.switches:
            switch = form.switches[i]
            own = self.own[self.base.groups[switch.start : switch.stop]]
            labels.append(own.reshape(switch.shape))
        if i in form.switches or i in form.passed or name in ENTRYWISE_ALL:
            return self._joined([a for a in labels if a is not None], shapes[0])
        if all(a is None or (a == NONE).all() for a in labels):
            return [np.full(shape, NONE) for shape in shapes]
        filled = [
            np.full(v.aval.shape, NONE) if a is None else a
            for v, a in zip(equation.invars, labels, strict=True)
        ]
        if name in moves.SIMPLE:
            call = lambda: moves.SIMPLE[name](equation, *(a[None, None] for a in filled))
            found = call()
            found = found if isinstance(found, list) else [found]
            return [f[0, 0] for f in found]
        if name in moves.INDEXED and form.sources.get(id(equation)) is not None:
            return self._taken(equation, filled)
        if name == "reduce_sum":
            return self._summed(filled[0], equation.params["axes"])
        return None

    def _taken(self, equation: Any, labels: list[np.ndarray]) -> list[np.ndarray]:
        known = lambda v: isinstance(v, Literal) or v in self.base.form.known
        rows = [
            a[None, None]
            for v, a in zip(equation.invars, labels, strict=True)
            if moves.is_data(v) or not known(v)
        ]
        sources = self.base.form.sources[id(equation)]
        return [moves.take(s, rows, np.array([NONE]))[0, 0] for s in sources]

    def _joined(
        self, labels: list[np.ndarray], shape: tuple[int, ...]
    ) -> list[np.ndarray] | None:
        out = np.full(shape, NONE)
        for label in labels:
            clash = (out >= 0) & (label >= 0) & (out != label)
            if clash.any():
                pairs = np.stack([out[clash], np.broadcast_to(label, shape)[clash]], axis=1)
                self.meet |= set(map(tuple, np.unique(pairs, axis=0).tolist()))
                return None
            out = np.maximum(out, label)
        return [out]

    def _summed(self, label: np.ndarray, axes: tuple[int, ...]) -> list[np.ndarray] | None:
        high = label.max(axis=axes, initial=NONE)
        low = np.where(label < 0, np.iinfo(label.dtype).max, label).min(axis=axes)
        if ((high >= 0) & (low != high)).any():
            self._meet_in_sums(label, axes)
            return None
        return [high]

    def _meet_in_sums(self, label: np.ndarray, axes: tuple[int, ...]) -> None:
        rest = [i for i in range(label.ndim) if i not in axes]
        rows = label.transpose(*rest, *axes).reshape(
            -1, np.prod([label.shape[i] for i in axes], dtype=int)
        )
        for row in rows:
            found = np.unique(row[row >= 0]).tolist()
            if len(found) <= MANY:
                self.meet |= {(a, b) for a in found for b in found if a < b}


def turn_all(base: Base, some: np.ndarray, drop: bool = True) -> Labelled:
    """The program with all of some groups at 1, and then at -1."""
    signs = np.repeat(base.signs, 2, axis=0)
    for turn, end in enumerate((1.0, -1.0)):
        signs[turn][:, some] = base.field.exact(end)[0][:, None]
    own = np.full(base.number + 1, NONE)
    own[some] = some
    return Labelled(base, signs, own, {}, base.switches_of(some), drop)


def differ(base: Base, some: np.ndarray) -> np.ndarray:
    """Of groups of the same switches, each turned round alone, whether the value differs.

    Up to where they meet, all are turned round at once.
    """
    run = turn_all(base, some, drop=False)
    found = [np.zeros(0, bool)]
    for part in base.in_parts(some, run.left):
        given = {v: _each(run, part, v) for v in run.reached}
        ends = base.turned(part, run.left, given)
        found.append(~equal_at_a_level(base.field, *ends))
    return np.concatenate(found)


def _each(run: Labelled, some: np.ndarray, v: Any) -> Rows:
    """A variable with each of some groups turned round alone, at 1 and then at -1."""
    mine = run.labels[v] == some.reshape(-1, *(1,) * run.labels[v].ndim)
    base, ends = run.base.scope.rows[v], run.scope.rows[v]
    turns = [np.where(mine[:, None], end, base) for end in (ends[:1], ends[-1:])]
    return np.concatenate(turns)

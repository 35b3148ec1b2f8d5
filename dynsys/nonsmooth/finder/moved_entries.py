"""A program with moved entries of a variable, at points that are not random."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dynsys.nonsmooth.arithmetic.duals import REGULAR
from dynsys.nonsmooth.arithmetic.identities import RULES as FUNCTIONS
from dynsys.nonsmooth.arithmetic.normal_form import ENTRYWISE_ALL
from dynsys.nonsmooth.arithmetic.residues import Rows
from dynsys.nonsmooth.arithmetic.rules import RULES
from dynsys.nonsmooth.finder.turned_signs import Base, equal_at_a_level
from dynsys.nonsmooth.finder.turned_together import NONE, Labelled
from dynsys.programs.dataflow import is_in

OTHERS = 1 << 40
"""Labels from which on they stand for what does not depend on what is moved."""


class Moved(Labelled):
    """The program with moved entries; it watches where 0 is divided by.

    Args:
        base: The program, in duals or in floats.
        moved: Variables with their values and the labels of the entries that are moved.
        signs: Signs of all groups, in two turns.
        own: Of each group the label of what switches with it.
        switch: The switch whose switching values are asked for.
        given: Signs of other switches, for all their entries.
        last: The last equation.
    """

    def __init__(
        self,
        base: Base,
        moved: Mapping[Any, tuple[Rows, np.ndarray]],
        signs: Rows,
        own: np.ndarray,
        switch: int,
        given: Mapping[int, float],
        last: float,
    ) -> None:
        self.switch, self.given = switch, given
        self.z: Rows | None = None
        self.entry: np.ndarray | None = None
        self.bad: set[int] = set()
        self.others: dict[int, tuple[Rows, np.ndarray]] = {}
        signs = signs.copy()
        for i, end in given.items():
            groups = self._groups(base, i)
            groups = groups[groups >= 0]
            signs[:, :, groups] = base.field.exact(end)[..., None]
        turned = base.switches_of(np.flatnonzero(own[:-1] >= 0))
        start = turned | frozenset(given)
        super().__init__(base, signs, own, moved, start, drop=False, last=last)

    @staticmethod
    def _groups(base: Base, i: int) -> np.ndarray:
        switch = base.form.switches[i]
        return base.groups[switch.start : switch.stop]

    def _is_own(self, i: int) -> bool:
        """Whether a switch is one that is turned round."""
        groups = self._groups(self.base, i)
        return bool((self.own[groups[groups >= 0]] >= 0).any())

    def differing_in(self, part: int) -> set[int]:
        """The labels of values, or of slopes, that differ."""
        field = self.base.field
        found: set[int] = set()
        for v in self.reached:
            rows = field.split(self.scope.rows[v])[part]
            if rows.shape[0] > 1:
                differs = ~equal_at_a_level(field.values, rows[:1], rows[1:])[0]
                found |= set(np.unique(self.labels[v][differs]).tolist())
        return found - {NONE}

    def _step(self, i: int) -> None:
        zeros = self.base.field.zeros
        zeros.clear()
        super()._step(i)
        equation = self.base.form.jaxpr.eqns[i]
        for v in equation.outvars:
            label = self.labels.get(v)
            if label is None or v in self.beyond:
                continue
            for zero in zeros:
                at = label[zero] if zero.shape == label.shape else label
                self.bad |= set(np.unique(at).tolist())
            if not _is_regular(equation):
                self.bad |= set(np.unique(label).tolist())
        if i in self.given:
            self._check(i)

    def _check(self, i: int) -> None:
        """A sign that is given for all entries is so for one kink of each label only."""
        label = self.labels.get(self.base.form.jaxpr.eqns[i].outvars[0])
        if label is None:
            return
        pairs = np.stack([label.reshape(-1), self._groups(self.base, i)])
        labels = np.unique(pairs[:, pairs[0] >= 0], axis=1)[0]
        several, counts = np.unique(labels, return_counts=True)
        self.bad |= set(several[counts > 1].tolist())

    def _label(self, i: int, equation: Any) -> list[np.ndarray] | None:
        label = super()._label(i, equation)
        if label is not None and i in self.given:
            # What does not depend on what is moved must not meet what does.
            other = OTHERS + self._groups(self.base, i).reshape(label[0].shape)
            label = [np.where(label[0] < 0, other, label[0])]
        return label

    def _choose(self, switch: Any, z: Rows, /) -> Rows:
        if switch.equation == self.switch:
            self.z = z.reshape(*z.shape[:2], -1)
            self.entry = self._operand_label(switch)
        label = self._operand_label(switch)
        if label is not None and (label >= 0).any() and not self._is_own(switch.equation):
            self.others[switch.equation] = z.reshape(*z.shape[:2], -1), label
        return super()._choose(switch, z)

    def _operand_label(self, switch: Any) -> np.ndarray | None:
        invars = self.base.form.jaxpr.eqns[switch.equation].invars
        labels = [self.labels[v] for v in invars if is_in(v, self.labels)]
        joined = self._joined(labels, switch.shape)
        if joined is None:
            return None
        label = joined[0].reshape(-1)
        return np.where(label >= OTHERS, NONE, label)


def _is_regular(equation: Any) -> bool:
    """Whether an operation is infinite only where 0 is divided by."""
    name = equation.primitive.name
    if name in FUNCTIONS:
        return name in REGULAR
    return (
        name in RULES or name in ("abs", "max", "min", "sign") or name not in ENTRYWISE_ALL
    )

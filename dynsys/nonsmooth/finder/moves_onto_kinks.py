"""Moving entries of one variable so that switching values are exactly 0."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dynsys.nonsmooth.arithmetic.duals import Duals
from dynsys.nonsmooth.arithmetic.residues import Rows
from dynsys.nonsmooth.finder.moved_entries import Moved
from dynsys.nonsmooth.finder.turned_signs import Base
from dynsys.nonsmooth.finder.turned_together import NONE

ALIKE = 1e-6
"""Relative difference up to which floats are one number."""


class Attempt:
    """Entries of one variable on the way to the switches of some groups.

    Args:
        base: The program in duals.
        some: The groups, which switch in the same equations.
        v: The variable.
        given: Switches on the way with their signs.
        mask: Which entries.
        alike: Whether all of them count as one.
    """

    def __init__(
        self,
        base: Base,
        some: np.ndarray,
        v: Any,
        given: Mapping[int, float],
        mask: np.ndarray,
        alike: bool = False,
    ) -> None:
        self.base, self.some, self.v, self.given, self.mask = base, some, v, given, mask
        self.switch = min(base.switches_of(some[:1]))
        self.first = {g: int(base.first[g]) for g in some.tolist()}
        self.others: dict[int, tuple[Rows, np.ndarray]] = {}
        self.at: np.ndarray | None = None
        field = base.field
        rows = base.form.read(field, base.scope, v)
        self.flat = rows.reshape(1, rows.shape[1], -1)
        self.same = base.same_as(v)
        size = self.flat.shape[2]
        shift = np.where(mask, field.draw((size,)), 0).astype(rows.dtype)
        shifted = np.concatenate([self.flat, field.add(self.flat, shift)])
        names = np.where(mask, 0 if alike else np.arange(size), NONE)
        run = self._run(shifted, names, base.signs, np.full(base.number + 1, NONE))
        self.at, self.z = run.entry, run.z
        if self.at is not None and self.z is not None:
            self.root = self._affine_root(self.z, shift, np.maximum(self.at, 0))

    def _affine_root(self, z: Rows, shift: Rows, k: np.ndarray) -> Rows:
        """Where an entry makes a switching value 0, if it is affine in it.

        Args:
            z: The switching values before and after a shift.
            shift: The shift of all entries.
            k: Of each switching value the entry that it depends on.
        """
        values = self.base.field.values
        value, _ = self.base.field.split(z)
        moved, _ = self.base.field.split(shift)
        start, _ = self.base.field.split(self.flat)
        if len(value) == 1:
            # Values that depend on no entry of the variable are not shifted.
            return start[..., k]
        slope = values.sub(value[1:], value[:1])
        step = values.mul(value[:1], values.inv(slope))
        return values.sub(start[..., k], values.mul(step, moved[..., k]))

    def is_apart(self, g: int) -> bool:
        """Whether the switching value of a group is a number other than 0 here."""
        return self.z is not None and is_constant(
            self.base.field, self.z[..., self._local(g)]
        )

    def depends(self, g: int) -> bool:
        """Whether the switching value of a group depends on the entries."""
        if self.z is None:
            return False
        z = self.z[..., self._local(g)]
        return bool((z[:1] != z[1:]).any())

    def signs_of(self, i: int, point: "Attempt", part: np.ndarray) -> np.ndarray:
        """Of groups the sign that another switch has at their root, if it is a constant.

        Args:
            i: The switch.
            point: The same in floats, where the signs of constants are read.
            part: The groups.
        """
        found = np.zeros(len(part))
        if i not in self.others or i not in point.others:
            return found
        (z, label), (real, _) = self.others[i], point.others[i]
        order = np.argsort(label, kind="stable")
        at = order[np.minimum(np.searchsorted(label[order], part), len(order) - 1)]
        for j in np.flatnonzero(label[at] == part):
            if is_constant(self.base.field, z[..., at[j]]):
                found[j] = sign_of(real[..., at[j]])
        return found

    def _run(self, flat: Rows, names: np.ndarray, signs: Rows, own: np.ndarray) -> Moved:
        shape = self.v.aval.shape
        entries = flat.reshape(*flat.shape[:2], *shape), names.reshape(shape)
        moved = dict.fromkeys(self.same, entries)
        signs = np.repeat(signs, 2 // len(signs), axis=0)
        last = self.switch if self.at is None else np.inf
        return Moved(self.base, moved, signs, own, self.switch, self.given, last)

    def parts(self) -> Iterator[np.ndarray]:
        """Groups with different entries."""
        if self.at is None:
            return
        waiting = [g for g in self.first if self._entry(g) >= 0]
        while waiting:
            taken = {self._entry(g): g for g in reversed(waiting)}
            yield np.array(list(taken.values()))
            waiting = [g for g in waiting if g not in taken.values()]

    def _local(self, g: int) -> int:
        start = self.base.form.switches[self.switch].start
        return self.first[g] - start

    def _entry(self, g: int) -> int:
        assert self.at is not None
        return int(self.at[self._local(g)])

    def compare(self, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of groups whether both sides have one value at the root, and one slope."""
        nothing = np.zeros(len(part), bool)
        run = self.at_roots(part)
        if run is None:
            return nothing, nothing.copy()
        free = lambda labels: np.array([g not in labels for g in part.tolist()])
        # Were these no roots, nothing would be equal there.
        values = free(run.bad) & free(run.differing_in(0))
        return values, values & free(run.differing_in(1))

    def at_roots(self, part: np.ndarray) -> Moved | None:
        """The program where the switching values of some groups are 0."""
        if self.at is None or any(self._entry(g) < 0 for g in part.tolist()):
            return None
        field, number = self.base.field, self.base.number
        k = [self._entry(g) for g in part.tolist()]
        root = self.root[..., [self._local(g) for g in part.tolist()]]
        flat = np.repeat(self.flat, 2, axis=0)
        flat[..., k] = field.join(root, np.ones_like(root))
        names = np.full(flat.shape[2], NONE)
        names[k] = part
        own = np.full(number + 1, NONE)
        own[part] = part
        signs = np.repeat(self.base.signs, 2, axis=0)
        for turn, end in enumerate((1.0, -1.0)):
            signs[turn][:, part] = field.exact(end)[0][:, None]
        run = self._run(flat, names, signs, own)
        self.others = run.others
        return run


def is_constant(field: Duals, z: Rows) -> bool:
    """Whether a value is a number other than 0: the same at all points."""
    value, _ = field.split(z[:1])
    value = value.reshape(-1, field.points)
    return bool((value == value[:, :1]).all() and (value != 0).all())


def sign_of(z: np.ndarray) -> float:
    """The sign of a number in floats, 0 where they do not agree about it."""
    low, high = z.min(), z.max()
    agree = np.isfinite(low) and high - low <= ALIKE * max(abs(low), abs(high))
    return float(np.sign(low)) if agree and low * high > 0 else 0.0

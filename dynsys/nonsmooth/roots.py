r"""Proofs that a loss, or its gradient, is continuous across a kink.

Modulo primes, one entry of a variable is moved so that the switching value is exactly 0,
where both sides are compared with all else random: $f_+ - f_-$ vanishes on $z = 0$. So it is
$z q$, and if its derivative along that entry vanishes there, too, $q$ does, and the
gradients meet: only the Hessian jumps.

The entry is one of the position or of any variable on the way to the switch, taken for an
unknown of its own. The switching value must be affine in it. A proof counts only if nothing
was divided by 0 on the way.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jax.extend.core import Literal

from dynsys.nonsmooth.duals import REGULAR, Duals
from dynsys.nonsmooth.functions import RULES as FUNCTIONS
from dynsys.nonsmooth.labels import NONE, Labelled
from dynsys.nonsmooth.normal_form import ENTRYWISE_ALL
from dynsys.nonsmooth.normal_form import RULES as KNOWN
from dynsys.nonsmooth.residues import Rows
from dynsys.nonsmooth.turns import Base, equal_at_a_level

CANDIDATES = 6
"""Variables of which an entry is moved, at most."""

SIGNS = 3
"""Switches on the way that are given both signs, at most."""

CLASSES = 64
"""Groups of switches that are looked at."""


class Proved(NamedTuple):
    """Of each group whether the values, and the gradients, are proved to meet."""

    values: np.ndarray
    gradients: np.ndarray


def meeting(base: Base, kinked: np.ndarray) -> Proved:
    """What is proved of some groups, for a program in duals."""
    proved = Proved(*np.zeros((2, base.number), bool))
    for some in _classes(base, kinked)[:CLASSES]:
        for v in _candidates(base, some):
            left = some[~proved.gradients[some]]
            if not len(left):
                break
            for part, values, gradients in _prove(base, left, v):
                proved.values[part] |= values
                proved.gradients[part] |= gradients
    return proved


def _classes(base: Base, kinked: np.ndarray) -> list[np.ndarray]:
    classes = defaultdict(list)
    for g in kinked.tolist():
        classes[base.switches_of([g])].append(g)
    return [np.array(c) for c in sorted(classes.values(), key=len, reverse=True)]


def _candidates(base: Base, some: np.ndarray) -> list[Any]:
    """The position, and variables on the way to a switch, the first ones first."""
    form = base.form
    switch = min(base.switches_of(some[:1]))
    wanted = {v for v in form.jaxpr.eqns[switch].invars if not isinstance(v, Literal)}
    found = []
    for i in reversed(range(switch)):
        equation = form.jaxpr.eqns[i]
        if wanted.intersection(v for v in equation.outvars):
            found += [v for v in equation.outvars if v in wanted and v in form.active]
            wanted |= {v for v in equation.invars if not isinstance(v, Literal)}
    nearest = [v for v in form.jaxpr.eqns[switch].invars if not isinstance(v, Literal)]
    inputs = [v for v in form.jaxpr.invars if v in wanted]
    enough = lambda v: v.aval.size >= len(some)
    order = [*inputs, *reversed([v for v in found if enough(v)][: CANDIDATES])]
    return list(dict.fromkeys([*order, *(v for v in nearest if v in form.active)]))


def _prove(
    base: Base, some: np.ndarray, v: Any
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Move entries of one variable onto groups, in parts with an entry of their own."""
    plain = _Attempt(base, some, v, {})
    if plain.at is None:
        return
    for part in plain.parts():
        values, gradients = plain.compare(part)
        between = plain.between
        if not gradients.all() and 0 < len(between) <= SIGNS:
            both = [
                _Attempt(base, some, v, dict(zip(between, ends, strict=True))).compare(part)
                for ends in product((1.0, -1.0), repeat=len(between))
            ]
            values |= np.all([b[0] for b in both], axis=0)
            gradients |= np.all([b[1] for b in both], axis=0)
        yield part, values, gradients


class _Attempt:
    """Entries of one variable on the way to the switches of some groups.

    Args:
        base: The program in duals.
        some: The groups, which switch in the same equations.
        v: The variable.
        given: Switches on the way with their signs.
    """

    def __init__(self, base: Base, some: np.ndarray, v: Any, given: dict[int, float]) -> None:
        self.base, self.v, self.given = base, v, given
        self.switch = min(base.switches_of(some[:1]))
        self.first = {g: int(base.entries[g][0]) for g in some.tolist()}
        self.between: tuple[int, ...] = ()
        field = base.field
        rows = base.form.read(field, base.scope, v)
        self.flat = rows.reshape(1, rows.shape[1], -1)
        shift = field.draw((self.flat.shape[2],))
        shifted = np.concatenate([self.flat, field.add(self.flat, shift)])
        names = np.arange(self.flat.shape[2])
        run = self._run(shifted, names, base.signs, np.full(base.number + 1, NONE))
        self.at = run.entry
        if self.at is None:
            return
        z, _ = field.split(run.z)
        slope = field.values.sub(z[1:], z[:1])
        k = np.maximum(self.at, 0)
        step = field.values.mul(z[:1], field.values.inv(slope))
        moved = field.values.mul(step, field.split(shift)[0][..., k])
        self.root = field.values.sub(field.split(self.flat)[0][..., k], moved)

    def _run(self, flat: Rows, names: np.ndarray, signs: Rows, own: np.ndarray) -> "_Moved":
        shape = self.v.aval.shape
        moved = flat.reshape(*flat.shape[:2], *shape)
        signs = np.repeat(signs, 2 // len(signs), axis=0)
        return _Moved(self, moved, names.reshape(shape), signs, own)

    def parts(self) -> Iterator[np.ndarray]:
        """Groups with different entries."""
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
        nothing = np.zeros((2, len(part)), bool)
        if self.at is None or any(self._entry(g) < 0 for g in part.tolist()):
            return nothing[0], nothing[1]
        field, base = self.base.field, self.base
        k = np.array([self._entry(g) for g in part.tolist()])
        local = np.array([self._local(g) for g in part.tolist()])
        flat = np.repeat(self.flat, 2, axis=0)
        root = self.root[..., local]
        flat[..., k] = field.join(root, np.ones_like(root))
        names = np.full(flat.shape[2], NONE)
        names[k] = part
        own = np.full(base.number + 1, NONE)
        own[part] = part
        signs = np.repeat(base.signs, 2, axis=0)
        for turn, end in enumerate((1.0, -1.0)):
            signs[turn][:, part] = field.exact(end)[0][:, None]
        run = self._run(flat, names, signs, own)
        if run.z is None:
            return nothing[0], nothing[1]
        self.between = run.between
        bad = run.bad
        zero = (field.split(run.z)[0][..., local] == 0).all(axis=(0, 1))
        fine = zero & np.array([g not in bad for g in part.tolist()])
        differ = run.differing_in(0), run.differing_in(1)
        same = [np.array([g not in d for g in part.tolist()]) for d in differ]
        return fine & same[0], fine & same[0] & same[1]


class _Moved(Labelled):
    """The program with moved entries; it watches where 0 is divided by."""

    def __init__(
        self, attempt: _Attempt, rows: Rows, names: np.ndarray, signs: Rows, own: np.ndarray
    ) -> None:
        self.attempt, self.z, self.entry = attempt, None, None
        self.bad: set[int] = set()
        self.met: dict[int, None] = {}
        base = attempt.base
        switches = {i for i in base.form.switches if (own[self._groups(base, i)] >= 0).any()}
        signs = signs.copy()
        for i, end in attempt.given.items():
            groups = self._groups(base, i)
            groups = groups[groups >= 0]
            signs[:, :, groups] = base.field.exact(end)[..., None]
        start = frozenset(switches | set(attempt.given))
        super().__init__(base, signs, own, {attempt.v: (rows, names)}, start, drop=False)

    @staticmethod
    def _groups(base: Base, i: int) -> np.ndarray:
        switch = base.form.switches[i]
        return base.groups[switch.start : switch.stop]

    @property
    def between(self) -> tuple[int, ...]:
        """Other switches that depend on what is moved."""
        return tuple(self.met)

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
        if i in self.base.form.switches and not is_own(self, i):
            self._between(i)

    def _between(self, i: int) -> None:
        """Another switch: its sign is given for all entries, one for each label."""
        label = self.labels.get(self.base.form.jaxpr.eqns[i].outvars[0])
        if label is None:
            return
        flat, groups = label.reshape(-1), self._groups(self.base, i)
        if not (flat >= 0).any():
            return
        self.met[i] = None
        pairs = np.unique(np.stack([flat, groups])[:, flat >= 0], axis=1)[0]
        several, counts = np.unique(pairs, return_counts=True)
        if i in self.attempt.given:
            self.bad |= set(several[counts > 1].tolist())

    def _label(self, i: int, equation: Any) -> list[np.ndarray] | None:
        label = super()._label(i, equation)
        if label is not None and i in self.attempt.given:
            # What does not depend on what is moved must not meet what does.
            other = self.base.number + 1 + self._groups(self.base, i).reshape(label[0].shape)
            label = [np.where(label[0] < 0, other, label[0])]
        return label

    def _choose(self, switch: Any, z: Rows) -> Rows:
        if switch.equation == self.attempt.switch:
            self.z = z.reshape(*z.shape[:2], -1)
            self.entry = self._operand_label(switch)
        return super()._choose(switch, z)

    def _operand_label(self, switch: Any) -> np.ndarray | None:
        invars = self.base.form.jaxpr.eqns[switch.equation].invars
        labels = [self.labels[v] for v in invars if not isinstance(v, Literal) and v in self.labels]
        joined = self._joined(labels, switch.shape)
        return None if joined is None else joined[0].reshape(-1)


def is_own(run: _Moved, i: int) -> bool:
    """Whether a switch is one that is turned round."""
    groups = run._groups(run.base, i)
    return bool((run.own[groups[groups >= 0]] >= 0).any())


def _is_regular(equation: Any) -> bool:
    """Whether an operation is infinite only where 0 is divided by."""
    name = equation.primitive.name
    if name in FUNCTIONS:
        return name in REGULAR
    return name in KNOWN or name in ("abs", "max", "min", "sign") or name not in ENTRYWISE_ALL

r"""Proofs that a loss, or its gradient, is continuous across a kink.

Modulo primes, one entry of a variable is moved so that the switching value is exactly 0,
where both sides are compared with all else random: $f_+ - f_-$ vanishes on $z = 0$. So it is
$z q$, and if its derivative along that entry vanishes there, too, $q$ does, and the
gradients meet: only the Hessian jumps.

The entry is one of the position or of any variable on the way to the switch, taken for an
unknown of its own. The switching value must be affine in it. A proof counts only if nothing
was divided by 0 on the way.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from dynsys.nonsmooth.duals import REGULAR, Duals
from dynsys.nonsmooth.flat import is_in
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

FEW = 4
"""Groups up to which each gets an entry of its own."""

LONGEST = 3000
"""Equations after which no more variables are tried."""


OTHERS = 1 << 40
"""Labels from which on they stand for what does not depend on what is moved."""

ALIKE = 1e-6
"""Relative difference up to which floats are one number."""


class Proved(NamedTuple):
    """Of each group whether the values, and the gradients, are proved to meet."""

    values: np.ndarray
    gradients: np.ndarray


def meeting(base: Base, floats: Base, kinked: np.ndarray) -> Proved:
    """What is proved of some groups.

    Args:
        base: The program in duals.
        floats: The program in floats.
        kinked: The groups.
    """
    proved = Proved(*np.zeros((2, base.number), bool))
    for some in _classes(base, kinked):
        if base.steps > LONGEST:
            break
        for v in _candidates(base, some):
            # With values that meet, gradients that do not are seen not to.
            left = some[~proved.values[some]]
            if not len(left) or base.steps > LONGEST:
                break
            for part, values, gradients in _prove(base, floats, left, v):
                proved.values[part] |= values
                proved.gradients[part] |= gradients
    return proved


def _classes(base: Base, kinked: np.ndarray) -> list[np.ndarray]:
    """Groups that switch in the same equations, those that may jump first."""
    keys = base.keys[kinked]
    classes = [kinked[keys == key] for key in np.unique(keys)]
    jumps = lambda c: may_jump(base, base.switches_of(c[:1]))
    return sorted(classes, key=lambda c: (not jumps(c), -len(c)))


def may_jump(base: Base, equations: Iterable[int]) -> bool:
    """Whether some of the switches are no absolute values, maxima and minima."""
    names = {base.form.switches[i].name for i in equations}
    return bool(names - {"abs", "max", "min"})


def _candidates(base: Base, some: np.ndarray) -> list[Any]:
    """The position, and variables on the way to a switch, the first ones first."""
    form = base.form
    switch = min(base.switches_of(some[:1]))
    nearest = [v for v in form.jaxpr.eqns[switch].invars if is_in(v, form.active)]
    wanted = set(nearest)
    found = []
    for i in reversed(range(switch)):
        equation = form.jaxpr.eqns[i]
        if wanted.intersection(equation.outvars):
            found += [
                v for v in equation.outvars if v in wanted and v.aval.size >= len(some)
            ]
            wanted |= {v for v in equation.invars if is_in(v, form.active)}
    inputs = [v for v in form.jaxpr.invars if v in wanted]
    return list(dict.fromkeys([*inputs, *reversed(found[:CANDIDATES]), *nearest]))


def _prove(
    base: Base, floats: Base, some: np.ndarray, v: Any
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Move entries of one variable onto groups, in parts with an entry of their own."""
    left = set(some.tolist())
    for mask in _masks(base, some, v):
        plain = _Attempt(base, some, v, {}, mask)
        for part in plain.parts():
            part = np.array([g for g in part.tolist() if g in left], int)
            if not len(part):
                continue
            values, gradients = plain.compare(part)
            if not gradients.all() and plain.others:
                more = _with_signs(base, floats, plain, part)
                values, gradients = values | more[0], gradients | more[1]
            left -= set(part[values].tolist())
            yield part, values, gradients
        if not left:
            return


def _with_signs(
    base: Base, floats: Base, plain: "_Attempt", part: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What holds for all signs of the switches on the way that there can be."""
    values, gradients = np.ones((2, len(part)), bool)
    possible = np.zeros(len(part), bool)
    attempt = lambda at, given: _Attempt(at, plain.some, plain.v, given, plain.mask)
    point = attempt(floats, {})
    point.at_roots(part)
    signs = {i: plain.signs_of(i, point, part) for i in plain.others}
    choices = [
        {s[0]} if (s == s[0]).all() and s[0] else {1.0, -1.0} for s in signs.values()
    ]
    if sum(len(c) > 1 for c in choices) > SIGNS:
        return np.zeros(len(part), bool), np.zeros(len(part), bool)
    for ends in product(*choices):
        given = dict(zip(signs, ends, strict=True))
        there, point = attempt(base, given), attempt(floats, given)
        value, gradient = there.compare(part)
        point.at_roots(part)
        impossible = np.zeros(len(part), bool)
        for i, end in given.items():
            impossible |= there.signs_of(i, point, part) == -end
        if base.steps > LONGEST or not (values | gradients).any():
            return possible & False, possible & False
        values &= value | impossible
        gradients &= gradient | impossible
        possible |= ~impossible
    return values & possible, gradients & possible


def _masks(base: Base, some: np.ndarray, v: Any) -> Iterator[np.ndarray]:
    """Entries that are moved at once: all, every other one, or a single one."""
    size = int(v.aval.size)
    yield np.ones(size, bool)
    if size == 1 or v not in base.form.jaxpr.invars:
        return
    if len(some) > FEW:
        yield from (np.arange(size) % 2 == i for i in (0, 1))
        return
    for k in {_entry_of(base, g, v) for g in some.tolist()} - {NONE}:
        yield np.arange(size) == k


def _entry_of(base: Base, g: int, v: Any) -> int:
    """An entry that the switching value of a group depends on, by halving."""
    low, high = 0, int(v.aval.size)
    names = np.arange(high)
    depends = lambda mask: _Attempt(base, np.array([g]), v, {}, mask, True).depends(g)
    while high - low > 1:
        middle = (low + high) // 2
        if depends((names >= low) & (names < middle)):
            high = middle
        else:
            low = middle
    return low if depends(names == low) else NONE


class _Attempt:
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
        given: dict[int, float],
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
        shift = np.where(mask, field.draw((self.flat.shape[2],)), 0)
        shifted = np.concatenate(
            [self.flat, field.add(self.flat, shift.astype(rows.dtype))]
        )
        names = np.where(mask, 0 if alike else np.arange(self.flat.shape[2]), NONE)
        run = self._run(shifted, names, base.signs, np.full(base.number + 1, NONE))
        self.at, self.z = run.entry, run.z
        if self.at is None:
            return
        z, _ = field.split(run.z)
        slope = field.values.sub(z[1:], z[:1])
        k = np.maximum(self.at, 0)
        step = field.values.mul(z[:1], field.values.inv(slope))
        moved = field.values.mul(step, field.split(shift.astype(rows.dtype))[0][..., k])
        self.root = field.values.sub(field.split(self.flat)[0][..., k], moved)

    def depends(self, g: int) -> bool:
        """Whether the switching value of a group depends on the entries."""
        if self.z is None:
            return False
        z = self.z[..., self._local(g)]
        return bool((z[:1] != z[1:]).any())

    def signs_of(self, i: int, point: "_Attempt", part: np.ndarray) -> np.ndarray:
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

    def _run(self, flat: Rows, names: np.ndarray, signs: Rows, own: np.ndarray) -> "_Moved":
        shape = self.v.aval.shape
        moved = flat.reshape(*flat.shape[:2], *shape)
        signs = np.repeat(signs, 2 // len(signs), axis=0)
        last = self.switch if self.at is None else np.inf
        return _Moved(self, moved, names.reshape(shape), signs, own, last)

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
        if run is None or run.z is None:
            return nothing, nothing.copy()
        local = [self._local(g) for g in part.tolist()]
        value, _ = self.base.field.split(run.z)
        zero = (value[..., local] == 0).all(axis=(0, 1))
        free = lambda labels: np.array([g not in labels for g in part.tolist()])
        values = zero & free(run.bad) & free(run.differing_in(0))
        return values, values & free(run.differing_in(1))

    def at_roots(self, part: np.ndarray) -> "_Moved | None":
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


class _Moved(Labelled):
    """The program with moved entries; it watches where 0 is divided by."""

    def __init__(
        self,
        attempt: _Attempt,
        rows: Rows,
        names: np.ndarray,
        signs: Rows,
        own: np.ndarray,
        last: float,
    ) -> None:
        self.attempt, self.z, self.entry = attempt, None, None
        self.bad: set[int] = set()
        self.others: dict[int, tuple[Rows, np.ndarray]] = {}
        base = attempt.base
        switches = {
            i for i in base.form.switches if (own[self._groups(base, i)] >= 0).any()
        }
        signs = signs.copy()
        for i, end in attempt.given.items():
            groups = self._groups(base, i)
            groups = groups[groups >= 0]
            signs[:, :, groups] = base.field.exact(end)[..., None]
        start = frozenset(switches | set(attempt.given))
        moved = dict.fromkeys(attempt.same, (rows, names))
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
        if i in self.attempt.given:
            self._check(i)

    def _check(self, i: int) -> None:
        """A sign that is given for all entries may be so for one kink of each label only."""
        label = self.labels.get(self.base.form.jaxpr.eqns[i].outvars[0])
        if label is None:
            return
        pairs = np.stack([label.reshape(-1), self._groups(self.base, i)])
        labels = np.unique(pairs[:, pairs[0] >= 0], axis=1)[0]
        several, counts = np.unique(labels, return_counts=True)
        self.bad |= set(several[counts > 1].tolist())

    def _label(self, i: int, equation: Any) -> list[np.ndarray] | None:
        label = super()._label(i, equation)
        if label is not None and i in self.attempt.given:
            # What does not depend on what is moved must not meet what does.
            other = OTHERS + self._groups(self.base, i).reshape(label[0].shape)
            label = [np.where(label[0] < 0, other, label[0])]
        return label

    def _choose(self, switch: Any, z: Rows) -> Rows:
        if switch.equation == self.attempt.switch:
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
        name in KNOWN or name in ("abs", "max", "min", "sign") or name not in ENTRYWISE_ALL
    )


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

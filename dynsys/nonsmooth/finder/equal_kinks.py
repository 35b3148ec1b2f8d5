r"""Which switching values are the same kink: those in a constant ratio.

Two are one if $z_i(x_1) / z_i(x_0) = z_j(x_1) / z_j(x_0)$ modulo four primes, at random
points, with random signs of all switches and random numbers for data that are traced. Then
$z_i = c z_j$, but for a probability of at most $(D / 2^{29})^4$, where $D$ is the degree of
$z_i z_j$ (`residues`). What is not seen to be the same stays apart.
"""

from typing import Any

import jax
import numpy as np

from dynsys.checks import is_concrete
from dynsys.nonsmooth.arithmetic.floats import Floats
from dynsys.nonsmooth.arithmetic.identities import Field
from dynsys.nonsmooth.arithmetic.normal_form import NormalForm
from dynsys.nonsmooth.arithmetic.residues import Rows
from dynsys.nonsmooth.arithmetic.scope import Scope

SCALES = np.repeat(10.0 ** np.arange(-9, 10, 3), 2)
"""Sizes of positions at which the sign of a ratio is read."""

COLUMNS = 4096
"""Columns whose ratios are read at once."""

ALIKE = 1e-6
"""Relative difference up to which the ratios at two points are the same."""


class Kinds:
    """The groups of switching values of one program, and of others with the same unknowns.

    Args:
        levels: How many primes of a chain the functions of the programs need.
        x: A point like those that they take.
        points: How many points modulo each prime.
    """

    def __init__(self, levels: int, x: Any, points: int = 2) -> None:
        self.field, self.x = Field(range(4), levels, points), x
        self.floats = Floats(len(SCALES))
        self.residues, self.numbers = Unknowns(self.field), Unknowns(self.floats)
        self.sizes = np.zeros((len(SCALES), 0))
        self.seen: dict[Any, int] = {}
        self.signs = self.field.draw((0,))

    @property
    def number(self) -> int:
        """Number of groups."""
        return self.sizes.shape[1]

    def of(self, form: NormalForm) -> tuple[np.ndarray, np.ndarray]:
        """Groups of the switching values of a program, and their sides.

        The group is -1 for those that never change sign, and the side is that sign.
        """
        size = form.program.size
        groups, side = np.full(size, -1), form.program.at_zero.astype(float)
        if not size:
            return groups, side
        numbers = self._switching(form)
        # Beside padding with infinity, the sign is that of infinity.
        free = ~(np.isinf(numbers) & (numbers == numbers[:1])).all(axis=0)
        side[~free] = np.sign(numbers[0, ~free])
        for entry, sign in form.program.settled:
            free[entry], side[entry] = False, sign

        def choose(switch: Any, z: Rows) -> Rows:
            span = slice(switch.start, switch.stop)
            flat = z.reshape(*z.shape[:2], -1)
            fixed = free[span] & is_number(self.field, flat)
            sign = np.sign(numbers[:, span])
            fixed &= (sign == sign[:1]).all(axis=0) & (sign[0] != 0)
            side[span][fixed] = sign[0, fixed]
            some = free[span] & ~fixed & (flat != 0).any(axis=(0, 1))
            at = switch.start + np.flatnonzero(some)
            groups[at], side[at] = self._place(flat[..., some], numbers[:, at])
            return self._sign(groups[span], side[span]).reshape(1, -1, *switch.shape)

        scope = self.residues.scope(form)
        form.steps(self.field, scope, choose, form.upstream)
        return groups, side

    def _place(self, z: Rows, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The groups and sides of some switching values."""
        levels = keys_of(self.field, z)
        new: list[int] = []
        groups = np.empty(z.shape[2], int)
        next_group = self.number
        for i, keys in enumerate(zip(*levels, strict=True)):
            group = min([self.seen.setdefault(key, next_group) for key in keys])
            if group == next_group:
                new.append(i)
                next_group += 1
            elif len(keys) > 1:
                # Seen modulo the primes of one level: so are the others from now on.
                self.seen.update(dict.fromkeys(keys, group))
            groups[i] = group
        self._add(numbers[:, new])
        side = np.ones(len(groups))
        old = np.ones(len(groups), bool)
        old[new] = False
        side[old] = same_sign(numbers[:, old], self.sizes[:, groups[old]])
        doubtful = np.flatnonzero(side == 0)
        side[doubtful], groups[doubtful] = 1.0, self.number + np.arange(len(doubtful))
        self._add(numbers[:, doubtful])
        return groups, side

    def _add(self, numbers: np.ndarray) -> None:
        """New groups."""
        self.sizes = np.concatenate([self.sizes, numbers], axis=1)
        drawn = self.field.draw(numbers.shape[1:])
        self.signs = np.concatenate([self.signs, drawn], axis=2)

    def _sign(self, groups: np.ndarray, side: np.ndarray) -> Rows:
        one = np.broadcast_to(
            self.field.exact(1.0)[..., None], (1, len(self.field.rows), 1)
        )
        sign = np.concatenate([self.signs, one], axis=2)[..., groups]
        return np.where(side < 0, self.field.neg(sign), sign)

    def _switching(self, form: NormalForm) -> np.ndarray:
        """Switching values in floats at points of many sizes, of each in a column."""
        found: list[np.ndarray] = []

        def choose(_: Any, z: Rows) -> Rows:
            found.append(z.reshape(len(SCALES), -1))
            return np.where(z >= 0, 1.0, -1.0)

        scope = around(form, self.numbers.scope(form), self.x)
        with np.errstate(all="ignore"):
            form.steps(self.floats, scope, choose, form.upstream)
        return np.concatenate(found, axis=1)


class Unknowns:
    """What stands for the position and for data that are traced, in several programs."""

    def __init__(self, field: Any) -> None:
        self.field = field
        self.of_data: dict[int, Rows] = {}
        self.of_position: list[Rows] = []

    def scope(self, form: NormalForm) -> Scope:
        rows: dict[Any, Rows] = {}
        draw = lambda v: self.field.draw(v.aval.shape)
        if not self.of_position:
            self.of_position = [draw(v) for v in form.jaxpr.invars]
        rows.update(zip(form.jaxpr.invars, self.of_position, strict=True))
        for v, c in form.traced.items():
            rows[v] = self.of_data.setdefault(id(c), draw(v))
        return Scope(form.known, rows, {})


def is_number(field: Field, values: Rows) -> np.ndarray:
    """For each column, whether it is the same number at all points, and not 0."""
    points = values[0].reshape(-1, field.points, values.shape[2])
    return ((points == points[:, :1]) & (points != 0)).all(axis=(0, 1))


def keys_of(field: Field, values: Rows) -> list[list[bytes]]:
    """For each level of primes the ratios of values at all points to those at the first."""
    shape = (len(field.chains), field.levels, field.points, values.shape[2])
    parts = values[0].reshape(shape)
    below = np.repeat(parts[:, :, :1], field.points, axis=2).reshape(values.shape)
    ratios = field.div(values, below)[0].reshape(parts.shape)[:, :, 1:]
    many = len(field.chains) * (field.points - 1)
    ratios = ratios.swapaxes(1, 2).reshape(many, field.levels, values.shape[2])
    levels = np.broadcast_to(np.arange(field.levels)[:, None], ratios.shape[1:])
    keys = np.ascontiguousarray([*ratios, levels.astype(np.uint64)]).transpose(1, 2, 0)
    kind = f"V{8 * keys.shape[2]}"
    return [np.ascontiguousarray(key).view(kind)[:, 0].tolist() for key in keys]


def same_sign(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sign of the constant ratio of columns, 0 where it cannot be read.

    It is read where two points agree about the ratio; rounding does not make them do so.
    """
    starts = range(0, a.shape[1], COLUMNS)
    parts = [_same_sign(*(c[:, i : i + COLUMNS] for c in (a, b))) for i in starts]
    return np.concatenate([np.zeros(0), *parts])


def _same_sign(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        ratio = np.where(np.isfinite(a) & np.isfinite(b) & (b != 0), a / b, np.nan)
        ratio = np.where(ratio == 0, np.nan, ratio)
        near = np.abs(ratio[:, None] / ratio[None] - 1) <= ALIKE
        votes = near.sum(axis=1)
    best = np.argmax(votes, axis=0)
    at = np.arange(a.shape[1])
    sign = np.sign(np.nan_to_num(ratio[best, at]))
    return np.where(votes[best, at] >= 2, sign, 0.0)


def around(form: NormalForm, scope: Scope, x: Any) -> Scope:
    """Floats as positions of many sizes, the small ones around that which is given."""
    rows = dict(scope.rows)
    wide = lambda a, v: a.reshape(1, -1, *(1,) * len(v.aval.shape))
    for v in form.traced:
        # Data are positive more often than not.
        positive = np.arange(len(SCALES)) % 4 < 3
        rows[v] = np.where(wide(positive, v), np.abs(rows[v]), rows[v])
    for v, leaf in zip(form.jaxpr.invars, jax.tree.leaves(x), strict=True):
        middle = np.asarray(leaf, float) if is_concrete(leaf) else np.zeros(v.aval.shape)
        scale = wide(SCALES, v)
        rows[v] = np.where(scale < 1, middle, 0.0) + scale * rows[v]
    return scope._replace(rows=rows)

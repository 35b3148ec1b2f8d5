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
from dynsys.nonsmooth.floats import Floats
from dynsys.nonsmooth.functions import Field
from dynsys.nonsmooth.normal_form import NormalForm, Scope
from dynsys.nonsmooth.residues import Rows

SCALES = 10.0 ** np.arange(-9, 10, 3)
"""Sizes of positions at which the sign of a ratio is read."""

ALIKE = 1e-6
"""Relative difference up to which the ratios at two points are the same."""


def groups_of(form: NormalForm, x: Any) -> tuple[np.ndarray, np.ndarray]:
    """Groups of switching values, -1 for those that are always 0, and their sides.

    Args:
        form: A program.
        x: A point like those that it takes.
    """
    if not form.program.size:
        return np.zeros(0, int), np.zeros(0)
    field = Field(range(4), form.levels, points=2)
    grouping = _Grouping(form, field, sizes(form, x))
    form.run(field, form.scope(field), grouping.choose)
    return grouping.groups, grouping.side


class _Grouping:
    """Groups, found switch by switch so that those of one have one sign further on."""

    def __init__(self, form: NormalForm, field: Field, sizes: np.ndarray) -> None:
        size = form.program.size
        self.field, self.sizes = field, sizes
        self.groups, self.side = np.full(size, -1), np.ones(size)
        self.leaders: list[int] = []
        self.seen: dict[Any, int] = {}
        self.signs = field.draw((size,))

    def choose(self, switch: Any, z: Rows) -> Rows:
        flat = z.reshape(*z.shape[:2], -1)
        zero = (flat == 0).all(axis=(0, 1))
        entries = np.arange(switch.start, switch.stop)
        keys = self._keys(flat)
        found = np.array([self._known(k) for k in keys], int)
        leaders = [self.leaders[g] if g >= 0 else -1 for g in found]
        side = same_sign(self.sizes[:, entries], self.sizes[:, leaders])
        for i, entry in enumerate(entries):
            if zero[i]:
                continue
            group = self._known(keys[i])
            if found[i] < 0 and group >= 0:
                # Its leader is in this array.
                leader = self.leaders[group]
                side[i] = same_sign(self.sizes[:, [entry]], self.sizes[:, [leader]])[0]
            if group < 0 or side[i] == 0:
                group = len(self.leaders)
                self.leaders.append(entry)
                side[i] = 1.0
                for key in keys[i]:
                    self.seen.setdefault(key, group)
            self.groups[entry], self.side[entry] = group, side[i]
        return self._signs(entries).reshape(1, -1, *switch.shape)

    def _known(self, keys: Any) -> int:
        return next((self.seen[k] for k in keys if k in self.seen), -1)

    def _signs(self, entries: np.ndarray) -> Rows:
        group, side = self.groups[entries], self.side[entries]
        sign = self.signs[:, :, group]
        return np.where(side < 0, self.field.neg(sign), sign)

    def _keys(self, z: Rows) -> list[tuple[Any, ...]]:
        """Of each value its ratios at both points, for each level."""
        field = self.field
        parts = z[0].reshape(len(field.chains), field.levels, 2, -1)
        turned = np.repeat(parts[:, :, :1], 2, axis=2).reshape(z.shape)
        ratios = field.div(z, turned)[0].reshape(parts.shape)[:, :, 1]
        columns = np.ascontiguousarray(ratios.transpose(2, 1, 0))
        return [tuple((i, c.tobytes()) for i, c in enumerate(row)) for row in columns]


def same_sign(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sign of the constant ratio of columns, 0 where it cannot be read.

    It is read where two points agree about the ratio; rounding does not make them do so.
    """
    with np.errstate(all="ignore"):
        ratio = np.where(np.isfinite(a) & np.isfinite(b) & (b != 0), a / b, np.nan)
        ratio = np.where(ratio == 0, np.nan, ratio)
        near = np.abs(ratio[:, None] / ratio[None] - 1) <= ALIKE
        votes = near.sum(axis=1)
    best = np.argmax(votes, axis=0)
    at = np.arange(a.shape[1])
    sign = np.sign(np.nan_to_num(ratio[best, at]))
    return np.where(votes[best, at] >= 2, sign, 0.0)


def sizes(form: NormalForm, x: Any) -> np.ndarray:
    """Switching values in floats at points of many sizes, of each in a column."""
    field = Floats(2 * len(SCALES))
    found: list[np.ndarray] = []

    def choose(_: Any, z: Rows) -> Rows:
        found.append(z.reshape(len(field.rows), -1))
        return np.where(z >= 0, 1.0, -1.0)

    with np.errstate(all="ignore"):
        form.run(field, float_scope(form, field, x, np.repeat(SCALES, 2)), choose)
    return np.concatenate(found, axis=1)


def float_scope(form: NormalForm, field: Floats, x: Any, scales: np.ndarray) -> Scope:
    """Positions of some sizes, around the given one if it is known."""
    scope = form.scope(field)
    for v in form.traced:
        # Data are positive more often than not.
        scope.rows[v] = np.where(np.arange(len(scales)) % 4 < 3, 1, -1).reshape(
            1, -1, *(1,) * len(v.aval.shape)
        ) * np.abs(scope.rows[v])
    for v, leaf in zip(form.jaxpr.invars, jax.tree.leaves(x), strict=True):
        middle = np.asarray(leaf, float) if is_concrete(leaf) else np.zeros(v.aval.shape)
        scale = scales.reshape(1, -1, *(1,) * middle.ndim)
        scope.rows[v] = np.where(scale < 1, middle, 0.0) + scale * scope.rows[v]
    return scope

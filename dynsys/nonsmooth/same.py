r"""Which switching values are the same kink: those in a constant ratio.

Two are one if $z_i(x_1) / z_i(x_0) = z_j(x_1) / z_j(x_0)$ modulo four primes, at random
points, with random signs of all switches and random numbers for data that are traced. Then
$z_i = c z_j$, but for a probability of at most $(D / 2^{29})^4$, where $D$ is the degree of
$z_i z_j$ (`residues`). What is not seen to be the same stays apart.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from dynsys.checks import is_concrete
from dynsys.nonsmooth.floats import Floats
from dynsys.nonsmooth.functions import Field
from dynsys.nonsmooth.normal_form import NormalForm, Scope
from dynsys.nonsmooth.residues import Rows

SCALES = np.repeat(10.0 ** np.arange(-9, 10, 3), 2)
"""Sizes of positions at which the sign of a ratio is read."""

ALIKE = 1e-6
"""Relative difference up to which the ratios at two points are the same."""


class Kinds:
    """The groups of switching values of one program, and of others with the same unknowns.

    Args:
        levels: How many primes of a chain the functions of the programs need.
        x: A point like those that they take.
    """

    def __init__(self, levels: int, x: Any) -> None:
        self.field, self.x = Field(range(4), levels, points=2), x
        self.floats = Floats(len(SCALES))
        self.residues, self.numbers = Unknowns(self.field), Unknowns(self.floats)
        self.sizes: list[np.ndarray] = []
        self.seen: dict[Any, int] = {}
        self._signs: list[Rows] = []

    @property
    def number(self) -> int:
        """Number of groups."""
        return len(self.sizes)

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
            some = free[span] & (flat != 0).any(axis=(0, 1))
            at = switch.start + np.flatnonzero(some)
            groups[at], side[at] = self._place(flat[..., some], numbers[:, at])
            signs = self._sign(groups[span], side[span])
            return signs.reshape(1, -1, *switch.shape)

        form.run(self.field, self.residues.scope(form), choose)
        return groups, side

    def _place(self, z: Rows, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The groups and sides of the switching values of one switch."""
        keys = keys_of(self.field, z)
        found = np.array([self._known(k) for k in keys], int)
        old = np.flatnonzero(found >= 0)
        groups, side = np.full(len(keys), -1), np.ones(len(keys))
        leaders = (
            np.stack([self.sizes[g] for g in found[old]], axis=1) if len(old) else None
        )
        if leaders is not None:
            groups[old], side[old] = found[old], same_sign(numbers[:, old], leaders)
        for i in np.flatnonzero((groups < 0) | (side == 0)).tolist():
            groups[i], side[i] = self._join(keys[i], numbers[:, i])
        return groups, side

    def _join(self, keys: Sequence[Any], numbers: np.ndarray) -> tuple[int, float]:
        """The group of one value, a new one if it is in none."""
        group = self._known(keys)
        if group >= 0:
            side = float(same_sign(numbers[:, None], self.sizes[group][:, None])[0])
            if side:
                return group, side
        self.sizes.append(numbers)
        self._signs.append(self.field.draw(()))
        for key in keys:
            self.seen.setdefault(key, self.number - 1)
        return self.number - 1, 1.0

    def _known(self, keys: Sequence[Any]) -> int:
        return next((self.seen[k] for k in keys if k in self.seen), -1)

    def _sign(self, groups: np.ndarray, side: np.ndarray) -> Rows:
        one = self.field.exact(1.0)
        signs = [self._signs[g] if g >= 0 else one for g in groups.tolist()]
        sign = np.stack(signs, axis=2) if signs else np.zeros((*one.shape, 0), one.dtype)
        return np.where(side < 0, self.field.neg(sign), sign)

    def _switching(self, form: NormalForm) -> np.ndarray:
        """Switching values in floats at points of many sizes, of each in a column."""
        found: list[np.ndarray] = []

        def choose(_: Any, z: Rows) -> Rows:
            found.append(z.reshape(len(SCALES), -1))
            return np.where(z >= 0, 1.0, -1.0)

        scope = around(form, self.numbers.scope(form), self.x)
        with np.errstate(all="ignore"):
            form.run(self.floats, scope, choose)
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


def keys_of(field: Field, values: Rows) -> list[tuple[Any, ...]]:
    """Of each value its ratios at two points, for each level of primes."""
    parts = values[0].reshape(len(field.chains), field.levels, 2, -1)
    below = np.repeat(parts[:, :, :1], 2, axis=2).reshape(values.shape)
    ratios = field.div(values, below)[0].reshape(parts.shape)[:, :, 1]
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

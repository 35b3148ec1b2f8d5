"""A program with some of its signs turned round, from where they are on."""

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from dynsys.nonsmooth.arithmetic.normal_form import NormalForm
from dynsys.nonsmooth.arithmetic.residues import Rows
from dynsys.nonsmooth.arithmetic.scope import Scope

AT_ONCE = 1 << 22
"""Residues in the largest array of one evaluation."""


class Base:
    """A program at random points with random signs.

    Args:
        form: The program.
        field: The arithmetic.
        groups: Of each switching value its group, -1 for none.
        side: Its side in it.
        scope: Unknowns; drawn if not given.
        signs: Signs of the groups, and of what has none; drawn if not given.
    """

    def __init__(
        self,
        form: NormalForm,
        field: Any,
        groups: np.ndarray,
        side: np.ndarray,
        scope: Scope | None = None,
        signs: Rows | None = None,
    ) -> None:
        self.form, self.field, self.groups, self.side = form, field, groups, side
        self.steps = 0
        self.number = (
            int(groups.max(initial=-1)) + 1 if signs is None else signs.shape[2] - 1
        )
        self.unknowns = scope or form.scope(field)
        self.signs = field.draw((self.number + 1,)) if signs is None else signs.copy()
        # What has no group does not switch.
        self.signs[..., -1] = field.exact(1.0)
        self.first = first_of(groups, self.number)
        self.refresh()

    @cached_property
    def keys(self) -> np.ndarray:
        """Of each group a number that tells in which equations it switches."""
        many = len(self.form.jaxpr.eqns)
        mine = self.groups >= 0
        pairs = np.unique(self.groups[mine] * many + self.form.of_entry[mine])
        numbers = np.random.default_rng(0).integers(0, 2**63, many, np.uint64)
        keys = np.zeros(self.number, np.uint64)
        np.add.at(keys, pairs // many, numbers[pairs % many])
        return keys

    def refresh(self) -> None:
        """Evaluate the program anew, after signs have been given."""
        self.scope = self.unknowns._replace(rows=dict(self.unknowns.rows))
        self.value = self.form.run(self.field, self.scope, self.choose)

    def give(self, groups: np.ndarray) -> None:
        """Fix the signs of groups across which nothing changes, for sharper tests."""
        if len(groups):
            self.signs[..., groups] = self.field.exact(1.0)[..., None]
            self.refresh()

    def sign(self, switch: Any, signs: Rows) -> Rows:
        """Signs of a switch from those of the groups."""
        span = slice(switch.start, switch.stop)
        sign = signs[:, :, self.groups[span]]
        sign = np.where(self.side[span] < 0, self.field.neg(sign), sign)
        return sign.reshape(*sign.shape[:2], *switch.shape)

    def choose(self, switch: Any, _: Rows) -> Rows:
        return self.sign(switch, self.signs)

    def same_as(self, v: Any) -> list[Any]:
        """Variables that are the same function as one is, which are not upstream of it."""
        rows = self.form.read(self.field, self.scope, v)
        alike = lambda u: u.aval.shape == v.aval.shape and u.aval.dtype == v.aval.dtype
        others = (u for u in self.scope.rows if alike(u))
        return [
            v,
            *(u for u in others if u is not v and (self.scope.rows[u] == rows).all()),
        ]

    def parts(self, groups: np.ndarray) -> list[np.ndarray]:
        """Groups in parts that can be turned round in one evaluation."""
        return self.in_parts(groups, self.downstream(groups))

    def in_parts(self, groups: np.ndarray, which: Iterable[int]) -> list[np.ndarray]:
        """Groups in parts for which some equations can be evaluated at once."""
        step = max(1, AT_ONCE // (2 * len(self.field.rows) * self._size(which)))
        return [groups[i : i + step] for i in range(0, len(groups), step)]

    def differ(self, groups: np.ndarray) -> np.ndarray:
        """Of some groups, each turned round alone, whether the value differs."""
        found = [~equal_at_a_level(self.field, *self.ends(g)) for g in self.parts(groups)]
        return np.concatenate([np.zeros(0, bool), *found])

    def ends(self, some: np.ndarray) -> tuple[Rows, Rows]:
        """The values with each of some groups at 1, and at -1."""
        return self.turned(some, self.downstream(some), {})

    def turned(
        self,
        some: np.ndarray,
        which: Iterable[int],
        given: Mapping[Any, Rows],
        ends: tuple[float, float] = (1.0, -1.0),
    ) -> tuple[Rows, Rows]:
        """The values with each of some groups at 1, and at -1, the others as they are.

        Args:
            some: The groups.
            which: The equations that are evaluated anew.
            given: Values of variables for all turns.
            ends: The signs of each group that is turned.
        """
        number = len(some)
        scope = self.scope._replace(rows=ChainMap(dict(given), self.scope.rows))
        signs = np.repeat(self.signs, 2 * number, axis=0)
        at = np.arange(number)
        signs[at, :, some] = self.field.exact(ends[0])
        signs[number + at, :, some] = self.field.exact(ends[1])
        touched = self.switches_of(some)

        def choose(switch: Any, _: Rows) -> Rows:
            return self.sign(switch, signs if switch.equation in touched else self.signs)

        value = self.form.run(self.field, scope, choose, which)
        value = np.broadcast_to(value, (2 * number, *value.shape[1:]))
        return value[:number], value[number:]

    def downstream(self, groups: Sequence[int] | np.ndarray) -> list[int]:
        """Equations whose results depend on the signs of some groups."""
        return self.form.downstream(self.switches_of(groups))

    def switches_of(self, groups: Sequence[int] | np.ndarray) -> frozenset[int]:
        """The equations where some groups switch."""
        chosen = np.zeros(self.number + 1, bool)
        chosen[np.asarray(groups, int)] = True
        return frozenset(np.unique(self.form.of_entry[chosen[self.groups]]).tolist())

    def _size(self, which: Iterable[int]) -> int:
        """The entries of the largest result."""
        sizes = (
            np.prod(v.aval.shape, dtype=int)
            for i in which
            for v in self.form.jaxpr.eqns[i].outvars
        )
        return int(max(sizes, default=1))


def first_of(groups: np.ndarray, number: int) -> np.ndarray:
    """Of each group its first switching value."""
    found = np.full(number + 1, len(groups))
    np.minimum.at(found, groups, np.arange(len(groups)))
    return found[:number]


def equal_at_a_level(field: Any, a: Rows, b: Rows) -> np.ndarray:
    """Whether rows are equal at all points modulo the primes of one level of all chains."""
    same = (a == b).reshape(
        a.shape[0], len(field.chains), field.levels, field.points, *a.shape[2:]
    )
    return same.all(axis=(1, 3)).any(axis=1)

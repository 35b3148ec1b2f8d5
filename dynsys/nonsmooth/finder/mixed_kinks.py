r"""Kinks at which some terms of a loss bend up and others down.

There the talk's operator D is larger than the subdifferential of the sum. A term bends with
$q$ where its two sides differ by $q z$. Terms of which the $q$ are in a constant ratio, and
that a positive one, bend alike; in doubt they do not.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dynsys.nonsmooth.arithmetic.floats import Floats
from dynsys.nonsmooth.arithmetic.identities import Field
from dynsys.nonsmooth.arithmetic.normal_form import NormalForm
from dynsys.nonsmooth.finder.equal_kinks import (
    SCALES,
    Kinds,
    Unknowns,
    around,
    keys_of,
    same_sign,
)
from dynsys.nonsmooth.finder.turned_signs import Base, equal_at_a_level
from dynsys.nonsmooth.flat_program.loss_program import program_of


def mixed_kinks(
    kinds: Kinds, number: int, terms: Sequence[Callable[[Any], Any]], x: Any
) -> np.ndarray:
    """Of the groups of a loss whether some terms bend up and others down there.

    Args:
        kinds: The groups of the switching values of the loss.
        number: How many these are.
        terms: The terms of the loss.
        x: A point like those that they take.
    """
    forms = [NormalForm(*program_of(term, x)) for term in terms]
    placed = [(form, *kinds.of(form)) for form in forms]
    counts = np.zeros(kinds.number, int)
    for _, groups, _ in placed:
        counts[np.unique(groups[groups >= 0])] += 1
    shared = np.flatnonzero(counts > 1)
    bends: dict[int, list[Any]] = defaultdict(list)
    tools = _Tools(kinds, x)
    for form, groups, side in placed:
        some = np.intersect1d(shared, groups)
        for g, bend in zip(
            some.tolist(), tools.bends(form, groups, side, some), strict=True
        ):
            if bend is not None:
                bends[g].append(bend)
    mixed = np.array([not _alike(bends[g]) for g in range(number)], bool)
    # A kink of a term that is not among those of the loss was not recognised.
    return mixed | any(counts[number:] > 0)


def _alike(bends: list[tuple[Any, np.ndarray]]) -> bool:
    """Whether all bends are positive multiples of the first one."""
    if len(bends) < 2:
        return True
    key, numbers = bends[0]
    return all(
        any(a == b for a, b in zip(key, other, strict=True))
        and same_sign(there[:, None], numbers[:, None])[0] > 0
        for other, there in bends[1:]
    )


class _Tools:
    """Terms with the same unknowns and the same signs."""

    def __init__(self, kinds: Kinds, x: Any) -> None:
        self.x = x
        self.field = Field(range(2), kinds.field.levels, points=2, seed=7)
        self.floats = Floats(len(SCALES), seed=7)
        self.residues, self.numbers = Unknowns(self.field), Unknowns(self.floats)
        shape = (kinds.number + 1,)
        self.signs = self.field.draw(shape), self.floats.draw(shape)

    def bends(
        self, form: NormalForm, groups: np.ndarray, side: np.ndarray, some: np.ndarray
    ) -> list[Any]:
        """Of some groups how the two sides of a term differ, `None` where they do not."""
        if not len(some):
            return []
        scope = self.residues.scope(form)
        base = Base(form, self.field, groups, side, scope, self.signs[0])
        scope = around(form, self.numbers.scope(form), self.x)
        with np.errstate(all="ignore"):
            floats = Base(form, self.floats, groups, side, scope, self.signs[1])
        found: list[Any] = []
        for part in base.parts(some):
            ends = base.ends(part)
            gap = self.field.sub(*ends)[..., None]
            with np.errstate(all="ignore"):
                numbers = np.subtract(*floats.ends(part))
            same = equal_at_a_level(self.field, *ends)
            for i in range(len(part)):
                key = [k[0] for k in keys_of(self.field, gap[i : i + 1])]
                found.append(None if same[i] else (key, numbers[i]))
        return found

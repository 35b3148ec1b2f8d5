"""Which kinks have a sign that meets itself, so that a loss is not affine in it."""

from collections.abc import Sequence

import numpy as np

from dynsys.nonsmooth.turns import Base, equal_at_a_level


def repeated(bases: Sequence[Base], kinked: np.ndarray) -> tuple[int, ...]:
    """The kinks in whose sign the loss is not affine, whatever the other signs.

    Kinks of one switching value are left out: their sign seldom meets itself.

    Args:
        bases: The program at random points.
        kinked: The groups that are kinks.
    """
    base = bases[0]
    counts = np.bincount(base.groups[base.groups >= 0], minlength=base.number)
    which = np.flatnonzero(counts[kinked] > 1)
    bent = np.zeros(len(which), bool)
    for base in bases:
        bent |= _bent(base, kinked[which])
    return tuple(which[bent].tolist())


def _bent(base: Base, some: np.ndarray) -> np.ndarray:
    """Of some groups whether the value is not affine in the sign of each alone."""
    field, found = base.field, [np.zeros(0, bool)]
    for part in base.parts(some):
        which = base.downstream(part)
        one, minus = base.turned(part, which, {})
        two, zero = base.turned(part, which, {}, (2.0, 0.0))
        wide = field.sub(two, zero), field.sub(one, minus)
        near = field.sub(one, zero), field.sub(zero, minus)
        is_affine = equal_at_a_level(field, *wide) & equal_at_a_level(field, *near)
        found.append(~is_affine)
    return np.concatenate(found)

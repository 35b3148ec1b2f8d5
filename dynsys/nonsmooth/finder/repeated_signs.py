"""Which kinks have a sign that meets itself, so that a loss is not affine in it."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.extend.core import Literal

from dynsys.nonsmooth.between_signs import Repeated
from dynsys.nonsmooth.finder.turned_signs import Base, equal_at_a_level
from dynsys.nonsmooth.finder.turned_together import NONE, turn_all


def repeated(bases: Sequence[Base], kinked: np.ndarray) -> Repeated:
    """The kinks in whose sign the loss is not affine, whatever the other signs.

    Those whose sign is used once are left out: it does not meet itself.

    Args:
        bases: The program at random points.
        kinked: The groups that are kinks.
    """
    which = np.flatnonzero(_are_used_twice(bases[0])[kinked])
    bent = np.zeros(len(which), bool)
    for base in bases:
        bent |= _bent(base, kinked[which])
    found = Repeated(tuple(which[bent].tolist()))
    return (
        found._replace(cut=_cut(bases[0], kinked, which[bent])) if found.is_many else found
    )


def _cut(
    base: Base, kinked: np.ndarray, which: np.ndarray
) -> tuple[tuple[Any, tuple[int, ...]], ...]:
    """The last variables that depend on one of some signs in each entry, and on which."""
    run = turn_all(base, kinked[which], drop=False)
    names = np.full(base.number + 1, NONE)
    names[kinked[which]] = which
    return tuple((v, tuple(names[run.labels[v].reshape(-1)].tolist())) for v in run.reached)


def _are_used_twice(base: Base) -> np.ndarray:
    """Of each group whether it has several switching values, or one that is used often.

    An absolute value, a maximum or a minimum counts as a use of its sign.
    """
    jaxpr = base.form.jaxpr
    uses: Counter[Any] = Counter()
    for equation in jaxpr.eqns:
        is_power = equation.primitive.name in ("integer_pow", "square")
        for v in equation.invars:
            if not isinstance(v, Literal):
                uses[v] += 1 + is_power
    counts = np.zeros(base.number + 1, int)
    for i, switch in base.form.switches.items():
        is_once = switch.name in ("abs", "max", "min")
        times = 1 if is_once else uses[jaxpr.eqns[i].outvars[0]]
        np.add.at(counts, base.groups[switch.start : switch.stop], times)
    return counts[:-1] > 1


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

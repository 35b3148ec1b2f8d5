"""Of each kink whether the gradients meet there, and whether the values are proved to."""

from typing import Any

import numpy as np

from dynsys.nonsmooth.arithmetic.duals import Duals
from dynsys.nonsmooth.arithmetic.floats import Floats
from dynsys.nonsmooth.arithmetic.normal_form import NormalForm
from dynsys.nonsmooth.finder.continuity_proofs import may_jump, meeting
from dynsys.nonsmooth.finder.gaps import Gaps, refuse_jump
from dynsys.nonsmooth.finder.jumps_at_poles import gap_across, meets_a_pole
from dynsys.nonsmooth.finder.turned_signs import Base

LOOKED_AT = 32
"""Kinks of the same switches that are looked at in floats; for the others they stand."""


def joints(
    form: NormalForm, groups: np.ndarray, side: np.ndarray, kinked: np.ndarray, x: Any
) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """Of each kink whether it is one of the Hessian alone, and whether it may jump.

    Args:
        form: The program.
        groups: Of each switching value its group.
        side: Its side in it.
        kinked: The groups that are kinks.
        x: The position.

    Raises:
        NotPiecewiseSmooth: The loss jumps.
    """
    if not len(kinked):
        return (), ()
    base = Base(form, Duals([0, 1], form.levels, 2, seed=3), groups, side)
    with np.errstate(all="ignore"):
        floats = Base(form, Floats(4), groups, side)
        proved = meeting(base, floats, kinked)
    jumps: dict[Any, bool] = {}
    for key in {base.switches_of([g]) for g in kinked.tolist()}:
        jumps[key] = may_jump(base, key)
    jumping = np.array([jumps[base.switches_of([g])] for g in kinked.tolist()])
    unproved = jumping & ~proved.values[kinked]
    joint = proved.gradients[kinked].copy()
    if not form.traced:
        alike = _alike(base, kinked, unproved)
        which = np.array([i for some in alike for i in some[:LOOKED_AT]], int)
        gaps = Gaps(form, groups, side, x)
        seen = gaps.see(kinked[which])
        for g, selected in zip(kinked[which].tolist(), seen.gap.tolist(), strict=True):
            poled = not selected and meets_a_pole(form, base.switches_of([g]))
            if gap := gap_across(gaps, g) if poled else selected:
                entry = int(base.first[g])
                place = form.program.switch_of(entry).place(entry)
                refuse_jump(place, gap)
        for some in alike:
            among = np.isin(which, some)
            joint[some] |= seen.joint[among].all()
        joint[which] |= seen.joint
    return tuple(map(bool, joint)), tuple(map(bool, unproved))


def _alike(base: Base, kinked: np.ndarray, unproved: np.ndarray) -> list[list[int]]:
    """Unproved kinks in classes of the same switches."""
    classes: dict[Any, list[int]] = {}
    for i in np.flatnonzero(unproved).tolist():
        classes.setdefault(base.switches_of([int(kinked[i])]), []).append(i)
    return list(classes.values())

"""Whether absolute values, maxima and minima make a loss jump that divides by them.

They are continuous themselves, and so is what is made of them as long as there is no pole:
`x / abs(x)` jumps. Then the loss is compared on both sides of points on the kink, nearer
and nearer to it.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from dynsys.nonsmooth.arithmetic.normal_form import NormalForm
from dynsys.nonsmooth.finder.gaps import ABOVE_NOISE, ACCEPTED, EPS, NOISY, Gaps
from dynsys.programs.dataflow import is_in

STEPS = (1e-4, 1e-7)
"""Relative distances from a kink; the gap of what is continuous is much smaller at the
second one."""

KEPT = 0.5
"""Fraction of the gap that is left where a loss jumps."""

ROUNDING = 1e-10
"""Relative gap that may be one of rounding."""

CONTINUOUS = frozenset({"abs", "max", "min"})

POSITIVE = frozenset({"log", "pow", "rsqrt"})
NOT_ZERO = frozenset({"div", "integer_pow"})
ANYWHERE = frozenset({"atanh", "digamma", "erf_inv", "lgamma", "polygamma", "tan", "zeta"})


def meets_a_pole(form: NormalForm, equations: Iterable[int]) -> bool:
    """Whether the results of switches go into what may be infinite at a finite point.

    Args:
        form: The program.
        equations: The switches, by their equations.
    """
    jaxpr = form.jaxpr
    reached: set[Any] = set()
    for i in form.downstream(frozenset(equations)):
        equation = jaxpr.eqns[i]
        operand = equation.invars[1 if equation.primitive.name == "div" else 0]
        if is_in(operand, reached) and _may_be_infinite(form, equation, operand):
            return True
        reached |= set(equation.outvars)
    return False


def _may_be_infinite(form: NormalForm, equation: Any, operand: Any) -> bool:
    name = equation.primitive.name
    if name in ANYWHERE:
        return True
    if name == "log1p":
        return not np.all(form.bounds.of(operand).low > -1)
    if name == "integer_pow" and equation.params["y"] >= 0:
        return False
    if name == "pow" and np.all(form.bounds.of(equation.invars[1]).low >= 0):
        return False
    if name not in POSITIVE | NOT_ZERO:
        return False
    low, high = form.bounds.of(operand)
    return not np.all((low > 0) | ((high < 0) & (name in NOT_ZERO)))


def gap_across(gaps: Gaps, g: int) -> float:
    """How far the loss jumps across a kink, 0 if it is not seen to.

    Args:
        gaps: The program in floats on lines.
        g: The kink.
    """
    names = {gaps.form.switches[i].name for i in gaps.form.of_entry[gaps.groups == g]}
    # Formulas that a comparison selects may be approximations.
    accepted = ROUNDING if names <= CONTINUOUS else ACCEPTED
    with np.errstate(all="ignore"):
        line, t, width = gaps.roots(g)
        if not len(line):
            return 0.0
        found, sides, ends = [], (), []
        for step in STEPS:
            beside = step * np.maximum(np.abs(t), width)
            sides = (t + beside, t - beside)
            ends = [gaps.value(line, at) for at in sides]
            found.append((np.abs(ends[0] - ends[1]), np.abs(ends[0]) + np.abs(ends[1])))
        (far, usual), (gap, size) = found
        jumps = (gap > KEPT * far) & (gap > accepted * size) & np.isfinite(gap)
        errors = [
            np.abs(gaps.value(line, at, 4 * EPS) - end)
            for at, end in zip(sides, ends, strict=True)
            for _ in range(NOISY)
        ]
        jumps &= gap > ABOVE_NOISE * np.max(errors, axis=0)
        # Where the loss is infinite it grows: this is a barrier.
        jumps &= size <= 2 * usual
    return float(gap[jumps].max(initial=0.0))

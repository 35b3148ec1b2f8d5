r"""Proofs that a loss, or its gradient, is continuous across a kink.

Modulo primes, one entry of a variable is moved so that the switching value is exactly 0,
where both sides are compared with all else random: $f_+ - f_-$ vanishes on $z = 0$. So it
is $z q$, and if its derivative along that entry vanishes there, too, $q$ does, and the
gradients meet: only the Hessian jumps. Both are seen at two points modulo two primes.

The entry is one of the position or of any variable on the way to the switch, taken for an
unknown of its own. The switching value must be affine in it. A proof counts only if nothing
was divided by 0 on the way.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from dynsys.nonsmooth.finder.jumps_at_poles import CONTINUOUS, meets_a_pole
from dynsys.nonsmooth.finder.moves_onto_kinks import Attempt
from dynsys.nonsmooth.finder.turned_signs import Base
from dynsys.nonsmooth.finder.turned_together import NONE
from dynsys.programs.dataflow import is_in

CANDIDATES = 6
"""Variables of which an entry is moved, at most."""

SIGNS = 3
"""Switches on the way that are given both signs, at most."""

FEW = 4
"""Groups up to which each gets an entry of its own."""

LONGEST = 3000
"""Equations after which no more variables are tried."""


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
    settled = np.zeros(base.number, bool)
    for some in _classes(base, kinked):
        if base.steps > LONGEST:
            break
        for v in _candidates(base, some):
            left = some[~settled[some]]
            if not len(left) or base.steps > LONGEST:
                break
            for part, values, gradients, is_exact in _prove(base, floats, left, v):
                proved.values[part] |= values
                proved.gradients[part] |= gradients
                # With values that meet, gradients that do not are seen not to.
                settled[part] |= values & (gradients | is_exact)
    return proved


def _classes(base: Base, kinked: np.ndarray) -> list[np.ndarray]:
    """Groups that switch in the same equations, those that may jump first."""
    keys = base.keys[kinked]
    classes = [kinked[keys == key] for key in np.unique(keys)]
    jumps = lambda c: may_jump(base, base.switches_of(c[:1]))
    return sorted(classes, key=lambda c: (not jumps(c), -len(c)))


def may_jump(base: Base, equations: frozenset[int]) -> bool:
    """Whether some of the switches are no absolute values, maxima and minima.

    What these go into must have no pole.
    """
    names = {base.form.switches[i].name for i in equations}
    return bool(names - CONTINUOUS) or meets_a_pole(base.form, equations)


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
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, bool]]:
    """Move entries of one variable onto groups, in parts with an entry of their own.

    Yields:
        A part, of each group whether its values and its gradients meet, and whether no
        other switch was on the way, so that what was not seen to meet does not.
    """
    left = set(some.tolist())
    for mask in _masks(base, some, v):
        plain = Attempt(base, some, v, {}, mask)
        for every in plain.parts():
            part = np.array([g for g in every.tolist() if g in left], int)
            if not len(part):
                continue
            values, gradients = plain.compare(part)
            if not gradients.all() and plain.others:
                more = _with_signs(base, floats, plain, part)
                values, gradients = values | more[0], gradients | more[1]
            left -= set(part[values].tolist())
            yield part, values, gradients, not plain.others
        if not left:
            return


def _with_signs(
    base: Base, floats: Base, plain: Attempt, part: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What holds for all signs of the switches on the way that there can be."""
    values, gradients = np.ones((2, len(part)), bool)
    possible = np.zeros(len(part), bool)
    attempt = lambda at, given: Attempt(at, plain.some, plain.v, given, plain.mask)
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
        # With these signs the kink may be nowhere: its switching value is a number.
        impossible |= [there.is_apart(g) for g in part.tolist()]
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
    depends = lambda mask: Attempt(base, np.array([g]), v, {}, mask, True).depends(g)
    while high - low > 1:
        middle = (low + high) // 2
        if depends((names >= low) & (names < middle)):
            high = middle
        else:
            low = middle
    return low if depends(names == low) else NONE

"""Across which switches a loss changes: for the others both sides are the same function.

A switch is turned round while all others have random numbers for signs. What is equal then
is equal for all signs (Schwartz and Zippel, at one point modulo each of two primes: false
with a probability of at most $(D / 2^{29})^2$ for each switch), also where others hide it.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from dynsys.nonsmooth.finder.turned_signs import Base
from dynsys.nonsmooth.finder.turned_together import differ, turn_all

FEW = 4
"""Groups up to which each is turned round alone."""

LONGEST = 64
"""Evaluations after which a loss counts as not smooth."""

ROUNDS = 4
"""How often groups that meet in an entry are parted."""


def differing(bases: Sequence[Base]) -> np.ndarray:
    """Of each group whether the loss differs on both sides, whatever the other signs."""
    found = np.zeros(bases[0].number, bool)
    for base in bases:
        settled = together(base)
        base.give(np.flatnonzero(settled & ~found))
        large, rest = classes_of(base, np.flatnonzero(~settled & ~found))
        found[rest] = base.differ(rest)
        for some in large:
            found[some] = differ(base, some)
    return found


def is_smooth(bases: Sequence[Base]) -> bool:
    """Whether no group makes a difference; no, too, where that takes too long to see."""
    for base in bases:
        parts = base.parts(np.flatnonzero(~together(base)))
        if len(parts) > LONGEST or any(base.differ(part).any() for part in parts):
            return False
    return True


def together(base: Base) -> np.ndarray:
    """Of each group whether it was seen to change nothing, many being turned at once."""
    settled = np.zeros(base.number, bool)
    large, _ = classes_of(base, np.arange(base.number))
    for some in large:
        parts = [some]
        for _ in range(ROUNDS):
            meet: set[tuple[int, int]] = set()
            for part in parts:
                turned = turn_all(base, part)
                differing = turned.differing()
                settled[part] = ~np.isin(part, list(differing))
                meet |= turned.meet
            left = some[~settled[some]]
            parts = _parted(left, meet)
            if not parts:
                break
    return settled


def classes_of(base: Base, some: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Groups that switch in the same equations, and those of small classes together."""
    keys = base.keys[some]
    order = np.argsort(keys, kind="stable")
    ends = np.flatnonzero(np.diff(keys[order])) + 1
    classes = np.split(some[order], ends)
    small = [c for c in classes if len(c) <= FEW]
    return [c for c in classes if len(c) > FEW], np.concatenate([some[:0], *small])


def _parted(some: np.ndarray, meet: set[tuple[int, int]]) -> list[np.ndarray]:
    """Groups in parts within which none meet, if these are much fewer than the groups."""
    beside = defaultdict(set)
    for a, b in meet:
        beside[a].add(b)
        beside[b].add(a)
    colours: dict[int, int] = {}
    for g in some.tolist():
        taken = {colours[h] for h in beside[g] if h in colours}
        colours[g] = next(c for c in range(len(taken) + 1) if c not in taken)
    number = max(colours.values(), default=0) + 1
    if number == 1 or FEW * number > len(some):
        return []
    return [np.array([g for g in some.tolist() if colours[g] == c]) for c in range(number)]

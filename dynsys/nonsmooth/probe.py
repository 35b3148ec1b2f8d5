"""A loss at random points, where identities of functions are seen.

Switching values of the same sign everywhere are one kink, and a kink across which both
pieces are the same function is none (`logaddexp` has a maximum and an absolute value whose
kinks cancel).
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.checks import is_concrete
from dynsys.nonsmooth.flat import NotPiecewiseSmooth, place
from dynsys.nonsmooth.program import Program, natural
from dynsys.trees import as_vector

PROBES = 4
"""Random points at which identities are tested."""

BATCH = 64
"""Points that are evaluated at once."""

LINES = 8
"""Random lines along which points on each kink are looked for."""

NEARBY = 1e-4
"""Distance from a kink at which a bend is looked for."""

SAME = 1e-7
"""Relative difference up to which two numbers at a random point are equal."""

SCALES = (1.0, 1e-2, 1e-4)
"""Sizes of the points at which a loss is tested as a whole."""

FLIPS = 4
"""Random choices of signs with which it is."""


class Values(NamedTuple):
    """Value, gradient and switching values at several points."""

    value: np.ndarray
    gradient: np.ndarray
    z: np.ndarray


class Probe:
    """Random points, and a program at them."""

    def __init__(self, program: Program, consts: list[Any], x: Any) -> None:
        self.random = np.random.default_rng(0)
        self.program = program
        draw = lambda leaf: np.asarray(
            self.random.normal(size=(PROBES, *leaf.shape)), leaf.dtype
        )
        self.points = jax.tree.map(draw, x)
        consts = [_surrogate(c, self.random) for c in consts]
        self.consts = consts

        def run(x: Any, signs: Any, is_given: Any) -> Any:
            def choose(z: Any, span: slice) -> Any:
                return jnp.where(is_given, signs[span].astype(z.dtype), natural(z))

            return program.run(consts, x, choose)

        def one(x: Any, signs: Any, is_given: Any) -> Any:
            (value, z), gradient = jax.value_and_grad(run, has_aux=True)(x, signs, is_given)
            return Values(value, as_vector(gradient), z)  # pyright: ignore

        self.run = jax.jit(jax.vmap(one, in_axes=(0, 0, None)))
        self.value = jax.jit(jax.vmap(run, in_axes=(0, 0, None)))

    def at(self, points: Any, signs: np.ndarray | None = None) -> Values:
        """Values with given signs or those of the switching values, in batches."""
        number = len(jax.tree.leaves(points)[0])
        given = np.ones((number, self.program.size)) if signs is None else signs
        starts = range(0, number, BATCH)
        batches = [self._batch(points, given, signs is not None, i) for i in starts]
        joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), *batches)
        return jax.tree.map(lambda leaf: leaf[:number], joined)

    def _batch(self, points: Any, signs: np.ndarray, is_given: bool, start: int) -> Values:
        """Values at `BATCH` points; the last batch is filled up."""

        def fill(leaf: np.ndarray) -> np.ndarray:
            part = leaf[start : start + BATCH]
            return np.resize(part, (BATCH, *leaf.shape[1:]))

        return self.run(jax.tree.map(fill, points), fill(signs), is_given)

    def is_smooth(self) -> bool:
        """Whether no switch is a kink, in a few evaluations however many there are.

        The loss must not change where the signs of its switches do, those of one group
        together. Says no where the other sides are infinite near the origin, too.
        """
        for scale in SCALES:
            points = jax.tree.map(
                lambda leaf, s=scale: leaf * leaf.dtype.type(s), self.points
            )
            unused = np.ones((PROBES, self.program.size))
            base, z = map(np.asarray, self.value(points, unused, False))
            same = max(SAME, 64 * float(np.finfo(base.dtype).eps)) * np.abs(base)
            for signs in self._flips(z):
                other = np.asarray(self.value(points, signs, True)[0])
                if not np.isfinite(other - base).all():
                    break
                if np.any(np.abs(other - base) > same):
                    return False
            else:
                return True
        return False

    def _flips(self, z: np.ndarray) -> Iterator[np.ndarray]:
        """All signs turned round, and then those of random groups."""
        yield np.where(z >= 0, -1.0, 1.0)
        groups, side = _merge(z)
        for _ in range(FLIPS):
            yield (
                side
                * self.random.choice([-1.0, 1.0], (PROBES, groups.max() + 1))[:, groups]
            )

    def refuse_cones(self) -> None:
        """Refuse a square root that reaches 0, unless the loss is the same with -sqrt."""
        run, consts = self.program.run, self.consts
        value = lambda root: np.asarray(
            jax.jit(jax.vmap(lambda x: run(consts, x, root=root)[0]))(self.points)
        )
        for root in self.program.roots:
            base, other = value(-1), value(root)
            if not np.any(np.abs(base - other) > SAME * (np.abs(base) + np.abs(other))):
                continue
            raise NotPiecewiseSmooth(
                f"The loss has a cone: {place(self.program.jaxpr.eqns[root])} is not "
                f"differentiable where its argument is 0, as the Euclidean norm at the "
                f"origin, and a cone is not a kink between two pieces. Use the 1-norm or "
                f"the largest entry, or round it off, as in `jnp.sqrt(s + 1e-6)`; "
                f"`inclusion='autodiff'` integrates as long as the tip is not reached."
            )

    def kinks(self, terms: Sequence["Probe"] = ()) -> tuple[Any, Any, Any, Any]:
        """Of each switching value its kink, -1 for none, and its side; of each kink one.

        And of each kink whether some terms are convex there and others concave.
        """
        z = self.at(self.points).z
        groups, side = _merge(z)
        number = groups.max() + 1
        here = np.where(z >= 0, 1.0, -1.0)
        # A switch may be hidden behind others: not if these are blended, which infinite
        # sides do not allow.
        blends = self.random.uniform(-1.0, 1.0, (PROBES, number))[:, groups]
        differs = np.zeros(number, bool)
        for signs in (here, side * np.sign(blends), side * blends):
            differs |= self._differs(signs, groups, side, number)
        sound = np.asarray(np.isfinite(z).all(0))
        differs &= np.array([sound[groups == g].all() for g in range(number)])
        entries = np.array([int(np.argmax(groups == g)) for g in range(number)])
        mixed = self._bends_both_ways(entries, terms)
        kinked = np.flatnonzero(differs | mixed)
        names = np.full(number, -1)
        names[kinked] = np.arange(len(kinked))
        first = tuple(map(int, entries[kinked]))
        both = tuple(map(bool, mixed[kinked]))
        return tuple(map(int, names[groups])), tuple(map(int, side)), first, both

    def _bends_both_ways(self, entries: np.ndarray, terms: Sequence["Probe"]) -> np.ndarray:
        """Of each switching value whether, where it is 0, terms bend up and others down."""
        up, down = np.zeros((2, len(entries)), bool)
        for _ in range(LINES if terms else 0):
            *points, found = self._roots(entries)
            for term in terms:
                middle, before, after = (term.at(p).value for p in points)
                bend = before - 2 * middle + after
                size = 1e-2 * NEARBY * (1 + np.abs(middle))
                up |= found & (bend > size)
                down |= found & (bend < -size)
        return up & down

    def _differs(
        self, signs: np.ndarray, groups: np.ndarray, side: np.ndarray, number: int
    ) -> np.ndarray:
        """Of each group whether the pieces on both sides of it differ as functions."""
        mine = (groups == np.arange(number)[:, None])[:, None, :]
        repeat = lambda leaf: np.tile(leaf, (number,) + (1,) * (leaf.ndim - 1))
        points = jax.tree.map(repeat, self.points)
        base, other = (
            self.at(
                points, np.where(mine, end * side, signs).reshape(-1, len(groups))
            ).value.reshape(number, PROBES)
            for end in (1.0, -1.0)
        )
        sound = np.isfinite(base) & np.isfinite(other)
        with np.errstate(invalid="ignore"):
            gap = np.where(sound, np.abs(base - other), 0.0)
        size = np.abs(base) + np.abs(np.where(sound, other, 0.0))
        return np.any(gap > SAME * size, axis=1)

    def joints(self, member: Any, side: Any, first: Any) -> tuple[bool, ...]:
        """Of each kink whether the gradients meet there; refuse it if the values do not."""
        entries = np.asarray(first, int)
        meets, seen = np.ones(len(entries), bool), np.zeros(len(entries), bool)
        mine = np.asarray(member) == np.arange(len(entries))[:, None]
        norm = lambda g: np.linalg.norm(g, axis=1)
        for _ in range(LINES if len(entries) else 0):
            points, _, _, found = self._roots(entries)
            here = np.where(self.at(points).z >= 0, 1.0, -1.0)
            up, down = (
                self.at(points, np.where(mine, sign * np.asarray(side), here))
                for sign in (1.0, -1.0)
            )
            gap = np.abs(up.value - down.value)
            jumps = found & (gap > 1e-6 * (np.abs(up.value) + np.abs(down.value) + 1))
            if jumps.any():
                self._refuse(entries[np.argmax(jumps)], gap[np.argmax(jumps)])
            size = norm(up.gradient) + norm(down.gradient) + 1
            meets &= ~found | (norm(up.gradient - down.gradient) <= 1e-6 * size)
            seen |= found
        return tuple(map(bool, meets & seen))

    def _refuse(self, entry: int, gap: float) -> None:
        switch = next(s for s in self.program.switches if s.start <= entry < s.stop)
        raise NotPiecewiseSmooth(
            f"The loss jumps: {switch.where} switches between values that differ by "
            f"{gap:.3g} where it does. A discontinuous loss has no subgradient there: make "
            f"the pieces meet, or pass `inclusion='autodiff'`."
        )

    def _roots(self, entries: np.ndarray) -> tuple[Any, Any, Any, np.ndarray]:
        """A point for each switching value where it is 0, and whether there is one.

        With points next to it on both sides of the kink. Found by bisection along a
        random line.
        """
        draw = lambda leaf: self.random.normal(size=(2, *leaf.shape[1:])).astype(leaf.dtype)
        base = jax.tree.map(draw, self.points)

        def on_line(along: np.ndarray) -> Any:
            place = lambda leaf: along.reshape((-1,) + (1,) * (leaf.ndim - 1))
            return jax.tree.map(
                lambda leaf: (leaf[:1] + place(leaf) * leaf[1:]).astype(leaf.dtype), base
            )

        along = np.linspace(-3.0, 3.0, BATCH)
        z = self.at(on_line(along)).z[:, entries]
        changes = np.sign(z[:-1]) * np.sign(z[1:]) < 0
        found = changes.any(0)
        # Of several roots along the line any one will do.
        at = np.argmax(changes * self.random.random(changes.shape), axis=0)
        low, high = along[at], along[at + 1]
        pick = lambda s: self.at(on_line(s)).z[np.arange(len(s)), entries]
        sign = np.sign(pick(low))
        for _ in range(55):
            middle = 0.5 * (low + high)
            same = np.sign(pick(middle)) == sign
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        beside = on_line(low - NEARBY), on_line(low + NEARBY)
        return on_line(low), *beside, np.asarray(found)


def _surrogate(value: Any, random: np.random.Generator) -> Any:
    """What stands for data that is being traced: random numbers."""
    if is_concrete(value) or not jnp.issubdtype(value.dtype, jnp.floating):
        return value
    return np.asarray(random.normal(size=value.shape), value.dtype)


def _merge(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Groups of switching values that are multiples of each other, and their signs."""
    pivot = np.where((z[0] == 0) | ~np.isfinite(z[0]), 1.0, z[0])
    ratios = z / pivot
    groups = np.full(z.shape[1], -1)
    side = np.ones(z.shape[1])
    leaders: dict[Any, int] = {}
    lead: list[int] = []
    for i in range(z.shape[1]):
        column = ratios[:, i]
        keys = {tuple(np.round(column, 6)), tuple(np.round(column + 5e-7, 6))}
        known = next((leaders[k] for k in keys if k in leaders), None)
        if known is None or not np.isfinite(column).all():
            known = len(lead)
            lead.append(i)
        for key in keys:
            leaders.setdefault(key, known)
        groups[i] = known
        side[i] = np.sign(z[0, i]) * np.sign(z[0, lead[known]]) or 1.0
    return groups, side

r"""Whether a loss jumps across a kink, and whether its gradient does, in floats.

For what is not proved. Points on a kink are found by bisection along lines through the
position and the origin, at all lengths from 1e-15 to 1e12. The gap there is compared with
the size of what the switch selects, not with the whole loss: an offset hides nothing.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from dynsys.checks import is_concrete
from dynsys.nonsmooth.arithmetic.floats import Floats
from dynsys.nonsmooth.arithmetic.normal_form import NormalForm
from dynsys.nonsmooth.arithmetic.scope import Scope
from dynsys.nonsmooth.arithmetic.tangents import Tangents
from dynsys.nonsmooth.finder.differences import Difference, Selected, SignedRun
from dynsys.nonsmooth.finder.turned_signs import first_of
from dynsys.nonsmooth.flat_program.flatten import NotPiecewiseSmooth

LENGTHS = 10.0 ** np.arange(-15, 12.5, 0.5)
LINES = 6
"""Random lines; every other one goes through the origin."""

BRACKETS = 4
"""Places that are looked at for each kink."""

HALVINGS = 70

EPS = 2.0**-52

NOISY = 3
"""Evaluations with random errors, by which rounding is told from a jump."""

ABOVE_NOISE = 16
"""How many times larger than the effect of errors a jump must be."""

ACCEPTED = 1e-7
"""Relative jump that is taken for one of an approximation: `norm.logcdf` has 4e-9."""

ACCEPTED_SLOPE = 1e-6
"""Relative jump of a slope that is taken for one of an approximation."""

NEARBY = 1e-4
"""Relative distance from a kink at which a gap is compared with that on it."""

SMALLER = 1e-3
"""A gap on the kink counts only if it is larger than this fraction of the gap nearby."""


class Seen(NamedTuple):
    """What floats show of some kinks.

    Args:
        found: Whether a point on it was found.
        gap: The jump of the loss, 0 if there is none.
        joint: Whether the gradients meet.
    """

    found: np.ndarray
    gap: np.ndarray
    joint: np.ndarray


class Gaps:
    """The program in floats on lines.

    Args:
        form: The program; its data are known.
        groups: Of each switching value its group.
        side: Its side in it.
        x: The position, which may be traced.
    """

    def __init__(
        self, form: NormalForm, groups: np.ndarray, side: np.ndarray, x: Any
    ) -> None:
        self.form, self.groups, self.side = form, groups, side
        self.first = first_of(groups, int(groups.max(initial=-1)) + 1)
        random = np.random.default_rng(0)
        self.lines: list[tuple[np.ndarray, np.ndarray]] = []
        for v, leaf in zip(form.jaxpr.invars, jax.tree.leaves(x), strict=True):
            shape = (LINES, *v.aval.shape)
            middle = np.zeros(shape)
            if is_concrete(leaf):
                middle[::2] = np.asarray(leaf, float)
            self.lines.append((middle, random.normal(size=shape)))
        self.along = np.concatenate([-LENGTHS[::-1], LENGTHS])

    def see(self, some: np.ndarray) -> Seen:
        """Look at points on some kinks."""
        with np.errstate(all="ignore"):
            found = [self._see(int(g), *self.roots(int(g))) for g in some]
        columns = zip(*found, strict=True) if found else ((), (), ())
        return Seen(
            *(np.array(c, t) for c, t in zip(columns, (bool, float, bool), strict=True))
        )

    def _see(self, g: int, line: np.ndarray, t: np.ndarray, width: np.ndarray) -> Any:
        if not len(line):
            return False, 0.0, False
        step = NEARBY * np.maximum(np.abs(t), width)
        here = self._difference(g, line, t)
        near = self._difference(g, line, t + step)
        noisy = [self._difference(g, line, t, 4 * EPS) for _ in range(NOISY)]
        noise = lambda a, others: (
            ABOVE_NOISE * np.max([np.abs(b - a) for b in others], axis=0)
        )
        local = here.local > np.maximum.reduce(
            [
                ACCEPTED * here.size,
                SMALLER * near.local,
                noise(here.local, [n.local for n in noisy]),
            ]
        )
        change = lambda d: (d.whole.upper - d.whole.lower)[:, 0]
        whole = np.abs(change(here)) > np.maximum(
            SMALLER * np.abs(change(near)), noise(change(here), list(map(change, noisy)))
        )
        jumps = (local & whole) | here.infinite
        gap = np.where(here.infinite, np.inf, here.local)[jumps]
        if len(gap):
            return True, float(gap.max()), False
        points = [self._sides(g, line, at) for at in (t, t + step)]
        seen = [
            bends(*pair) for pair in zip(*(selected for selected, _ in points), strict=True)
        ]
        # A guard selects a number that is used nowhere; then the loss itself is looked at.
        loss = bends(*(whole for _, whole in points))
        meets = np.where(local, loss.meets, np.all([b.meets for b in seen], axis=0))
        usable = np.where(local, loss.usable, np.all([b.usable for b in seen], axis=0))
        usable &= self._is_alone(g, line, t, step)
        # Where a selection is not reached, nothing is seen of it.
        reached = all((b.reached & usable & ~local).any() for b in seen)
        reached |= bool((loss.reached & usable & local).any())
        return bool(usable.any()), 0.0, reached and bool(meets[usable].all())

    def _sides(
        self, g: int, line: np.ndarray, t: np.ndarray
    ) -> tuple[list[Selected], Selected]:
        """What a group selects at places on lines, with slopes along them."""
        rows = {}
        for v, (middle, direction) in zip(self.form.jaxpr.invars, self.lines, strict=True):
            along = t.reshape(-1, *(1,) * len(v.aval.shape))
            at = middle[line] + along * direction[line]
            rows[v] = np.concatenate([at, direction[line]])[None]
        scope, field = Scope(self.form.known, rows, {}), Tangents(len(t))
        run = SignedRun(self.form, self.groups, self.side, scope, field)
        run.all()
        return run.sides(g)

    def _is_alone(
        self, g: int, line: np.ndarray, t: np.ndarray, step: np.ndarray
    ) -> np.ndarray:
        """Of places on a kink whether no other one passes through them, on either side."""
        others = (self.groups >= 0) & (self.groups != g)
        alone = np.ones(len(t), bool)
        for end in (1.0, -1.0):
            before, after = (
                self._run(line, at).held(g, end)
                for at in (t - 1e-3 * step, t + 1e-3 * step)
            )
            alone &= ~((before != after) & others).any(axis=1)
        return alone

    def value(self, line: np.ndarray, t: np.ndarray, noise: float = 0.0) -> np.ndarray:
        """The loss at places on lines, with random errors if wanted."""
        run = self._run(line, t, noise)
        run.all()
        return np.broadcast_to(run.value[0], t.shape)

    def roots(self, g: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lines, and where on them the switching value of a group is 0."""
        z = self._grid()[:, :, self.first[g]]
        changes = np.isfinite(z[:, 1:]) & np.isfinite(z[:, :-1])
        changes &= (z[:, 1:] >= 0) != (z[:, :-1] >= 0)
        line, at = np.nonzero(changes)
        chosen = self._different(line, at)
        line, at = line[chosen], at[chosen]
        low, high = self.along[at], self.along[at + 1]
        width = high - low
        up = z[line, at + 1] >= 0
        for _ in range(HALVINGS if len(line) else 0):
            middle = 0.5 * (low + high)
            above = self._switching(g, line, middle) >= 0
            low, high = (
                np.where(above == up, low, middle),
                np.where(above == up, middle, high),
            )
        # Where a side is not finite at 0 itself, it may be so beside it.
        above, below = np.where(up, high, low), np.where(up, low, high)
        fine = np.isfinite(self._difference(g, line, above).local) if len(line) else above
        return line, np.where(fine, above, below), width

    def _grid(self) -> np.ndarray:
        """Switching values on all lines."""
        if not hasattr(self, "_known"):
            line = np.repeat(np.arange(LINES), len(self.along))
            run = self._run(line, np.tile(self.along, LINES))
            run.all()
            self._known = np.concatenate(run.z, axis=1).reshape(LINES, len(self.along), -1)
        return self._known

    def _different(self, line: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Some places, with as many different signs of all switches as possible."""
        signs = np.packbits(self._grid()[line, at] >= 0, axis=1)
        _, first = np.unique(signs, axis=0, return_index=True)
        spread = np.linspace(0, len(line) - 1, BRACKETS).astype(int) if len(line) else first
        return np.unique([*spread, *np.sort(first)[:BRACKETS]]).astype(int)

    def _switching(self, g: int, line: np.ndarray, t: np.ndarray) -> np.ndarray:
        entry = self.first[g]
        run = self._run(line, t)
        switch = next(s for s in self.form.program.switches if s.start <= entry < s.stop)
        run.until(switch.equation)
        return run.z[-1][:, entry - switch.start]

    def _run(self, line: np.ndarray, t: np.ndarray, noise: float = 0.0) -> SignedRun:
        """The program at places on lines."""
        rows = {}
        for v, (middle, direction) in zip(self.form.jaxpr.invars, self.lines, strict=True):
            along = t.reshape(-1, *(1,) * len(v.aval.shape))
            rows[v] = (middle[line] + along * direction[line])[None]
        scope = Scope(self.form.known, rows, {})
        field = Floats(len(t), noise=noise)
        return SignedRun(self.form, self.groups, self.side, scope, field)

    def _difference(
        self, g: int, line: np.ndarray, t: np.ndarray, noise: float = 0.0
    ) -> Difference:
        run = self._run(line, t, noise)
        run.all()
        return run.difference(g)


class Bends(NamedTuple):
    """What is seen of a selection at some points.

    Args:
        meets: Whether the slopes are equal.
        usable: Whether all numbers are finite.
        reached: Whether the selection changes there.
    """

    meets: Any
    usable: Any
    reached: Any


def bends(here: Selected, near: Selected) -> Bends:
    """Compare the slopes of both sides of a selection, on a kink and near it."""
    number = len(here.reached) // 2
    upper, lower = here.upper[number:], here.lower[number:]
    gap, beside = np.abs(upper - lower), np.abs(near.upper - near.lower)[number:]
    meets = gap <= ACCEPTED_SLOPE * np.maximum(np.abs(upper), np.abs(lower))
    meets |= gap <= SMALLER * beside
    reached = here.reached[:number]
    # Other entries of the same array may be infinite far away.
    other = ~reached & ~(gap > 0)
    usable = (other | np.isfinite(gap + beside)).all(axis=1)
    return Bends((other | meets).all(axis=1), usable, reached.any(axis=1))


def refuse_jump(where: str, gap: float) -> None:
    """Refuse a loss that jumps.

    Args:
        where: The switch and its place.
        gap: The size of the jump.

    Raises:
        NotPiecewiseSmooth: Always.
    """
    values = "a finite value and an infinite one" if np.isinf(gap) else "values"
    remedy = (
        "put the constraint g(x) <= 0 into an exact penalty, `rho * sum(relu(g))`"
        if np.isinf(gap)
        else "make the pieces meet, or pass `inclusion='autodiff'`, with gradients that "
        "see no jump"
    )
    differ = "" if np.isinf(gap) else f" that differ by {gap:.3g} where it does"
    raise NotPiecewiseSmooth(
        f"The loss jumps: {where} switches between {values}{differ}. A discontinuous loss "
        f"has no subgradient there: {remedy}."
    )

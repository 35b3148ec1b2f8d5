r"""Whether a loss jumps across a kink, and whether its gradient does, in floats.

For what is not proved. Points on a kink are found by bisection along lines through the
position and the origin, at all lengths from 1e-12 to 1e12. The gap there is compared with
the size of what the switch selects, not with the whole loss: an offset hides nothing.
"""

from collections import ChainMap
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import Literal

from dynsys.checks import is_concrete
from dynsys.nonsmooth.flat import NotPiecewiseSmooth
from dynsys.nonsmooth.floats import Floats
from dynsys.nonsmooth.normal_form import NormalForm, Scope
from dynsys.nonsmooth.turns import first_of

LENGTHS = 10.0 ** np.arange(-12, 12.5, 0.5)
LINES = 6
"""Random lines; every other one goes through the origin."""

BRACKETS = 4
"""Places that are looked at for each kink."""

HALVINGS = 70

EPS = 2.0**-52

NOISY = 3
"""Evaluations with random errors, by which rounding is told from a jump."""

ABOVE_NOISE = 16
"""How much larger than what errors change a jump is."""

ACCEPTED = 1e-7
"""Relative jump that is taken for one of an approximation: `norm.logcdf` has 4e-9."""

NEARBY = 1e-4
"""Relative distance from a kink at which a gap is compared with that on it."""

SMALLER = 1e-3
"""Fraction of the gap nearby below which one on the kink is none."""


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
        """Look at points on some kinks.

        Raises:
            NotPiecewiseSmooth: The loss jumps there.
        """
        with np.errstate(all="ignore"):
            found = [self._see(int(g), *self._roots(int(g))) for g in some]
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
        closer = self._difference(g, line, t + 0.1 * step)
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
        whole = np.abs(here.whole) > np.maximum(
            SMALLER * np.abs(near.whole), noise(here.whole, [n.whole for n in noisy])
        )
        jumps = (local & whole) | here.infinite
        # A guard selects a number that is used nowhere; then the loss itself is looked at.
        bends = [np.where(local, np.abs(d.whole), d.local) for d in (here, closer, near)]
        usable = np.isfinite(bends).all(axis=0)
        gap = np.where(here.infinite, np.inf, here.local)[jumps]
        if len(gap):
            return True, float(gap.max()), False
        flat = bends[2] <= 64 * EPS * np.where(local, near.value, near.size)
        vanishes = bends[0] + bends[1] <= bends[2] / 50
        joint = usable.any() and bool((flat | vanishes)[usable].all())
        return bool(usable.any()), 0.0, joint

    def _roots(self, g: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lines, and where on them the switching value of a group is 0."""
        z = self._grid()[:, :, self.first[g]]
        changes = np.isfinite(z[:, 1:]) & np.isfinite(z[:, :-1])
        changes &= (z[:, 1:] >= 0) != (z[:, :-1] >= 0)
        line, at = np.nonzero(changes)
        chosen = np.unique(np.linspace(0, len(line) - 1, BRACKETS).astype(int))
        line, at = line[chosen[: len(line)]], at[chosen[: len(line)]]
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
            run = _Run(self, self._scope(line, np.tile(self.along, LINES)))
            run.all()
            self._known = np.concatenate(run.z, axis=1).reshape(LINES, len(self.along), -1)
        return self._known

    def _switching(self, g: int, line: np.ndarray, t: np.ndarray) -> np.ndarray:
        entry = self.first[g]
        run = _Run(self, self._scope(line, t))
        switch = next(s for s in self.form.program.switches if s.start <= entry < s.stop)
        run.until(switch.equation)
        return run.z[-1][:, entry - switch.start]

    def _scope(self, line: np.ndarray, t: np.ndarray) -> Scope:
        rows = {}
        for v, (middle, direction) in zip(self.form.jaxpr.invars, self.lines, strict=True):
            along = t.reshape(-1, *(1,) * len(v.aval.shape))
            rows[v] = (middle[line] + along * direction[line])[None]
        return Scope(self.form.known, rows, {})

    def _difference(
        self, g: int, line: np.ndarray, t: np.ndarray, noise: float = 0.0
    ) -> "_Difference":
        run = _Run(self, self._scope(line, t), noise)
        run.all()
        return run.difference(g)


class _Difference(NamedTuple):
    """What changes with the sign of a kink at some points.

    Args:
        local: The largest change of what is selected.
        size: The size of it.
        whole: The change of the loss.
        value: The size of the loss.
        infinite: Whether one side is infinite.
    """

    local: np.ndarray
    size: np.ndarray
    whole: np.ndarray
    value: np.ndarray
    infinite: np.ndarray


class _Run:
    """The program at some points, with the signs of its switching values."""

    def __init__(self, gaps: Gaps, scope: Scope, noise: float = 0.0) -> None:
        self.gaps, self.form, self.scope = gaps, gaps.form, scope
        self.field = Floats(next(iter(scope.rows.values())).shape[1], noise=noise)
        self.z: list[np.ndarray] = []
        self.signs: dict[int, np.ndarray] = {}

    def _choose(self, switch: Any, z: np.ndarray) -> np.ndarray:
        self.z.append(z.reshape(z.shape[1], -1))
        sign = np.where(z >= 0, 1.0, -1.0)
        self.signs[switch.equation] = sign
        return sign

    def all(self) -> None:
        self.value = self.form.run(self.field, self.scope, self._choose)

    def until(self, last: int) -> None:
        for i in self.form.open:
            if i <= last:
                self.form.step(self.field, self.scope, self._choose, i)

    def difference(self, g: int) -> _Difference:
        """Turn the sign of one group round."""
        entries = np.flatnonzero(self.gaps.groups == g)
        equations = frozenset(self.form.of_entry[entries].tolist())
        ends = [self._turned(g, end, equations) for end in (1.0, -1.0)]
        rows = len(self.field.rows)
        local, size = np.zeros((2, rows))
        infinite, broken = np.zeros((2, rows), bool)
        for v in self._selected(equations):
            a, b = (end.rows[v].reshape(rows, -1) for end in ends)
            infinite |= (np.isinf(a) != np.isinf(b)).any(axis=1)
            broken |= (np.isnan(a) | np.isnan(b)).any(axis=1)
            differs = ~((a == b) | np.isnan(a) | np.isnan(b))
            gap = np.where(differs, np.abs(a - b), 0).max(axis=1, initial=0)
            here = np.where(differs, np.abs(a) + np.abs(b), 0).max(axis=1, initial=0)
            # The selection with the largest relative change counts.
            more = gap * np.maximum(size, 1e-300) >= local * np.maximum(here, 1e-300)
            local, size = np.where(more, gap, local), np.where(more, here, size)
        out = self.form.jaxpr.outvars[0]
        a, b = (self.form.read(self.field, end, out).reshape(-1) for end in ends)
        infinite &= np.isinf(a) != np.isinf(b)
        whole = np.broadcast_to(a - b, (rows,))
        local = np.where(broken, np.nan, local)
        return _Difference(local, size, whole, np.abs(a) + np.abs(b), infinite)

    def _turned(self, g: int, end: float, equations: frozenset[int]) -> Scope:
        scope = self.scope._replace(rows=ChainMap({}, self.scope.rows))

        def choose(switch: Any, z: np.ndarray) -> np.ndarray:
            span = slice(switch.start, switch.stop)
            sign = self.signs[switch.equation]
            if switch.equation not in equations:
                return sign
            mine = (self.gaps.groups[span] == g).reshape(switch.shape)
            return np.where(mine, end * self.gaps.side[span].reshape(switch.shape), sign)

        self.form.run(self.field, scope, choose, self.form.downstream(equations))
        return scope

    def _selected(self, equations: frozenset[int]) -> Iterator[Any]:
        """Variables in which the weights of switches first meet what they select."""
        weights: set[Any] = set()
        changed: set[Any] = set()
        for i in self.form.downstream(equations):
            equation = self.form.jaxpr.eqns[i]
            operands = [v for v in equation.invars if not isinstance(v, Literal)]
            changing = [v for v in operands if v in changed]
            is_switch = i in equations and not changing
            name = equation.primitive.name
            kinked = is_switch and self.form.switches[i].name in ("abs", "max", "min")
            others = [v for v in operands if v not in weights]
            is_weight = not kinked and name != "select_n" and (is_switch or not others)
            if all(v in weights for v in changing) and not is_weight:
                yield equation.outvars[0]
            if is_weight:
                weights |= set(equation.outvars)
            changed |= set(equation.outvars)
        out = self.form.jaxpr.outvars[0]
        if out in weights:
            yield out


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
        else "make the pieces meet"
    )
    differ = "" if np.isinf(gap) else f" that differ by {gap:.3g} where it does"
    raise NotPiecewiseSmooth(
        f"The loss jumps: {where} switches between {values}{differ}. A discontinuous loss "
        f"has no subgradient there: {remedy}, or pass `inclusion='autodiff'`."
    )

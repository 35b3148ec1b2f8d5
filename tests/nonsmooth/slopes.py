"""Where the slope of a function jumps, by brute force: lines, a grid and bisection.

Nothing here knows how a function is written. Along a line, a jump of the slope keeps its
size when the interval around it is halved again and again; all else shrinks.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

LINES = 6
"""Lines: the first go in random directions, the last along axes."""

INTERVALS = 160
"""Intervals of each line before bisection."""

HALVINGS = 30
"""Halvings of each interval, unless rounding ends them before."""

BACK = 8
"""Halvings over which a jump has to keep its size, and all else loses most of it."""

KEPT = 0.25
"""Share of its size that a jump keeps at least; 2^-8 is left of a Lipschitz slope."""


class Spelling(NamedTuple):
    """A loss, written in one way.

    Args:
        loss: The loss.
        x: A point like those that it takes.
        number: Number of its kinks, if that is beyond dispute.
        reach: Size of the region around `x` in which the loss is looked at.
        once: Whether a line crosses each kink once, and sees all of them.
    """

    loss: Callable[[Any], Any]
    x: Any = (0.3, -1.2, 2.0)
    number: int | None = None
    reach: float = 1.0
    once: bool = True

    @property
    def position(self) -> Any:
        """The point, as arrays."""
        is_leaf = lambda v: not isinstance(v, dict)
        return jax.tree.map(np.asarray, self.x, is_leaf=is_leaf)


class Jump(NamedTuple):
    """A place on a line where the value or the slope jumps, between two points."""

    of: str
    line: int
    size: float
    before: Any
    after: Any


class Lines(NamedTuple):
    """Lines through the region of a spelling."""

    base: Any
    direction: Any

    def at(self, line: np.ndarray, t: np.ndarray) -> tuple[Any, Any]:
        """Points, and the directions of their lines."""

        def point(base: np.ndarray, direction: np.ndarray) -> np.ndarray:
            along = t.reshape((-1,) + (1,) * (base.ndim - 1))
            return (base[line] + along * direction[line]).astype(base.dtype)

        points = jax.tree.map(point, self.base, self.direction)
        tangents = jax.tree.map(
            lambda d, b: d[line].astype(b.dtype), self.direction, self.base
        )
        return points, tangents


def lines_of(spelling: Spelling) -> Lines:
    """Seeded lines at the scale of a spelling."""
    random = np.random.default_rng(7)
    leaves, structure = jax.tree.flatten(spelling.position)
    sizes = [leaf.size for leaf in leaves]
    total = sum(sizes)
    base = 0.5 * spelling.reach * random.normal(size=(LINES, total))
    direction = random.normal(size=(LINES, total))
    axes = min(total, LINES // 2)
    direction[LINES - axes :] = np.eye(total)[random.permutation(total)[:axes]]
    cut = lambda rows: np.split(rows, np.cumsum(sizes)[:-1], axis=1)
    bases = [
        (leaf[None] + part.reshape(LINES, *leaf.shape)).astype(leaf.dtype)
        for leaf, part in zip(leaves, cut(base), strict=True)
    ]
    directions = [
        part.reshape(LINES, *leaf.shape)
        for leaf, part in zip(leaves, cut(direction), strict=True)
    ]
    join = lambda parts: jax.tree.unflatten(structure, parts)
    return Lines(join(bases), join(directions))


def along(loss: Callable[[Any], Any]) -> Callable[[Any, Any], tuple[Any, Any]]:
    """The value of a loss at a point and its slope in a direction."""

    def one(x: Any, direction: Any) -> tuple[Any, Any]:
        value, gradient = jax.value_and_grad(loss)(x)
        products = jax.tree.map(lambda g, v: (g * v).sum(), gradient, direction)
        return value, sum(jax.tree.leaves(products))

    return one


class Scan:
    """The values and slopes of a loss along its lines.

    Args:
        spelling: The loss, with its scale.
        farthest: Largest distance along a line, in units of the reach.
        slopes: From points and directions to values and slopes; the loss by default.
    """

    def __init__(
        self, spelling: Spelling, farthest: float = 4.0, slopes: Any = None
    ) -> None:
        self.spelling, self.lines = spelling, lines_of(spelling)
        self.slopes = jax.jit(jax.vmap(slopes or along(spelling.loss)))
        self.angles = np.arctan(farthest) * np.linspace(-1.0, 1.0, INTERVALS + 1)
        leaves = jax.tree.leaves(spelling.position)
        self.eps = max(float(np.finfo(leaf.dtype).eps) for leaf in leaves)

    def evaluate(self, line: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Values and slopes as two rows, in batches of one size."""
        batch = 2 * LINES * INTERVALS
        parts = []
        for start in range(0, len(t), batch):
            some = slice(start, start + batch)
            fill = lambda a: np.resize(a, batch)
            results = self.slopes(*self.lines.at(fill(line[some]), fill(t[some])))
            parts.append(np.asarray(results, float)[:, : len(t[some])])
        return np.concatenate(parts, axis=1)

    def resolution(self, line: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Shortest interval along a line that rounding of the points leaves meaningful."""
        points, tangents = self.lines.at(line, t)
        rows = lambda tree: np.concatenate(
            [np.abs(a.reshape(len(t), -1)) for a in jax.tree.leaves(tree)], axis=1
        )
        with np.errstate(divide="ignore"):
            ratio = np.where(rows(tangents) > 0, rows(points) / rows(tangents), 0.0)
        return 64 * self.eps * ratio.max(axis=1)

    def jumps(self) -> list[Jump]:
        """All places on the lines where the value or the slope jumps."""
        return [*self._search("value"), *self._search("slope")]

    def has_jump(self) -> bool:
        """Whether there is such a place, without a search for all of them."""
        return any(True for of in ("value", "slope") for _ in self._search(of))

    def _search(self, of: str) -> Iterator[Jump]:
        """Jumps, and those that hide beside them in the same interval."""
        t = self.spelling.reach * np.tan(self.angles)
        line = np.repeat(np.arange(LINES), INTERVALS)
        low, high = np.tile(t[:-1], LINES), np.tile(t[1:], LINES)
        row = ("value", "slope").index(of)
        sizes = np.nan_to_num(np.abs(self.evaluate(line, low)), posinf=0.0)
        usual = np.median(sizes.reshape(2, LINES, INTERVALS), axis=2)
        while len(line):
            if len(line) > 16 * LINES * INTERVALS:
                raise ArithmeticError("The values are noise.")
            a, b, change, size = self._bisect(row, line, low, high)
            noise = self._noise(line, a, b, size, usual[:, line])[row]
            jumps = np.isfinite(change).all(axis=0) & (b > a)
            if of == "value":
                jumps &= (high - low) > 2**BACK * (b - a)
            with np.errstate(invalid="ignore"):
                jumps &= (change[-1] > KEPT * change[0]) & (change[-1] > noise)
            line, low, high, a, b = (u[jumps] for u in (line, low, high, a, b))
            before, after = (self.lines.at(line, t)[0] for t in (a, b))
            for i, gap in enumerate(change[-1, jumps]):
                pick = lambda leaf, i=i: leaf[i]
                ends = (jax.tree.map(pick, end) for end in (before, after))
                yield Jump(of, int(line[i]), float(gap), *ends)
            line, low, high = (
                np.tile(line, 2),
                np.concatenate([low, b]),
                np.concatenate([a, high]),
            )

    def _noise(
        self,
        line: np.ndarray,
        a: np.ndarray,
        b: np.ndarray,
        size: np.ndarray,
        usual: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Changes of the value and of the slope that rounding, or a kink, may make."""
        value, slope = size[0] + usual[0], size[1]
        value = value + self.spelling.reach * usual[1]
        moved = (self.resolution(line, a) + b - a) * slope
        of_slope = 1e2 * self.eps**0.75 * (slope + 1e-3 * usual[1])
        return 1e4 * self.eps * value + moved, of_slope

    def _bisect(
        self, row: int, line: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Ends of the last intervals, changes across the last few, sizes of both."""
        shortest = np.maximum(self.resolution(line, low), self.resolution(line, high))
        a, b = low, high
        at_a, at_b = self.evaluate(line, a), self.evaluate(line, b)
        with np.errstate(invalid="ignore", over="ignore"):
            changes = np.tile(_change(row, b - a, at_a, at_b), (BACK + 1, 1))
            for _ in range(HALVINGS):
                middle = 0.5 * (a + b)
                at = self.evaluate(line, middle)
                on = (b - a > 2 * shortest) & (middle > a) & (middle < b)
                half = middle - a
                left = ~(_change(row, half, at_a, at) < _change(row, half, at, at_b))
                up, down = on & ~left, on & left
                a, at_a = np.where(up, middle, a), np.where(up, at, at_a)
                b, at_b = np.where(down, middle, b), np.where(down, at, at_b)
                last = _change(row, b - a, at_a, at_b)
                changes = np.where(on, np.concatenate([changes[1:], last[None]]), changes)
            size = np.abs(at_a) + np.abs(at_b)
        return a, b, changes, size


def _change(row: int, width: np.ndarray, at_a: np.ndarray, at_b: np.ndarray) -> np.ndarray:
    """Change of the slope, or that of the value which the slopes do not account for."""
    change = at_b[row] - at_a[row]
    if row == 0:
        change = change - 0.5 * width * (at_a[1] + at_b[1])
    return np.abs(change)

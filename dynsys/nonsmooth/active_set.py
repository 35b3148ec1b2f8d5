r"""The signs of kinks that meet, by a finite method of active sets.

What the signs $w_i \in [-1, 1]$ of kinks decide about is a displacement or a velocity,
and it must agree with them:

$$d(w) = c + b\,\nabla f_w(x), \quad b \le 0, \qquad
h_i(w) = o_i + \langle\nabla z_i(x), d(w)\rangle, \qquad
h_i \begin{cases} \ge 0 & w_i = 1, \\ = 0 & -1 < w_i < 1, \\ \le 0 & w_i = -1. \end{cases}$$

The kinks with $|w_i| < 1$ are held. One whose sign disagrees most is taken next: where the
gradient jumps against the motion (a convex kink) it is held, where it jumps along (concave)
or not at all, it changes its sign. The equations $h_i = 0$ of those that are held are then
solved, as far as all signs stay in $[-1, 1]$; one that arrives at its bound is let go.

For convex kinks these are the conditions of $\min_w \|d(w)\|$ (for $o = 0$), the norm
falls with each change, and the method ends after finitely many with the smallest velocity,
as that of Stark and Parker for least squares with bounds. A normal that depends on those of
the held kinks has $h_i = 0$ and is never taken, so that the held ones are independent and
no more than the dimension. For nested kinks $d$ is multilinear in the signs; Newton steps
take the place of one solution. In every case what comes out is checked: `settled` says that
all signs agree.

Source:
    P. B. Stark and R. L. Parker, "Bounded-variable least-squares: an algorithm and
    applications", Computational Statistics 10 (1995); the signs of nested kinks and of
    concave ones are derived here.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.dense_solve import factorise
from dynsys.nonsmooth.pieces import Pieces, Signature
from dynsys.nonsmooth.ties import Ties, ties_of
from dynsys.trees import Position, as_vector, dimension, from_vector

ROUNDING = 0.7
"""Signs agree up to this power of the precision, 1e-11 in 64 bits, of what they add up."""

NOTHING = 0.9
"""A jump of the gradient up to this power of the precision of its size is none."""

HALVINGS = 12
"""Lengths of a step that are tried where kinks are nested, each half of the one before."""

CHANGES = 8
"""Changes for each kink after which the search is given up; few are ever needed."""


class Aim(NamedTuple):
    """What the signs decide about.

    Args:
        drift: The vector $c$.
        factor: The number $b$, at most 0.
        offset: The numbers $o_i$; only their values where kinks meet count.
    """

    drift: Float[Array, " size"]
    factor: Float[Array, ""]
    offset: Float[Array, " kinks"]


class Settled(NamedTuple):
    """Signs that agree with what they lead to.

    Args:
        signature: The signs of all kinks.
        held: The kinks between their two sides.
        ties: How those that meet lie to each other.
        heights: The numbers $h_i$.
        bends: Whether the gradient jumps across a kink, with those tied to it.
        unique: Whether no other signs are seen to agree as well.
        settled: Whether these do.
    """

    signature: Signature
    held: Bool[Array, " kinks"]
    ties: Ties
    heights: Float[Array, " kinks"]
    bends: Bool[Array, " kinks"]
    unique: Bool[Array, ""]
    settled: Bool[Array, ""]


class _Search(NamedTuple):
    """Where the search stands.

    Args:
        signature: Signs of the leaders.
        held: Leaders between their sides.
        heights: The numbers $h_i$ of the last look.
        scale: Size of the gradient and of its jumps.
        asked: Concave leaders whose other side was looked at.
        unique: Whether none of these agrees as well.
        agrees: Whether all signs do.
        done: Whether nothing is left to do.
        changes: Looks so far.
    """

    signature: Signature
    held: Bool[Array, " kinks"]
    heights: Float[Array, " kinks"]
    scale: Float[Array, ""]
    asked: Bool[Array, " kinks"]
    unique: Bool[Array, ""]
    agrees: Bool[Array, ""]
    done: Bool[Array, ""]
    changes: Int[Array, ""]


def settle(
    pieces: Pieces,
    x: Position,
    aim: Aim,
    start: Signature,
    meeting: Bool[Array, " kinks"],
    fixed: Bool[Array, " kinks"],
    held: Bool[Array, " kinks"],
    *,
    smallest: bool = False,
    offset: bool = False,
) -> Settled:
    """Signs of the kinks that meet which agree with what they lead to.

    Args:
        pieces: The loss.
        x: The point where they meet.
        aim: What the signs decide about.
        start: Signs to start from.
        meeting: The kinks that meet.
        fixed: Those that keep their sign.
        held: Independent ones to start with between their sides.
        smallest: Find the smallest $d(w)$ instead. For convex kinks that is the same.
        offset: Whether the numbers $o_i$ are any but 0.
    """
    ties = ties_of(pieces, x, start, meeting)
    reflected = ties.is_concave if smallest else None
    if smallest:
        # Every kink is taken as if it were convex.
        ties = ties._replace(is_concave=jnp.zeros_like(meeting))
    leads = meeting & (ties.leader == jnp.arange(pieces.number))
    is_fixed, is_held = ties.any(fixed), ties.any(held & ~fixed)
    moves = leads & ~is_fixed
    signature = jnp.where(is_held, ties.gather(jnp.where(held, start, 0)), start)
    kept = jnp.sign(ties.gather(jnp.where(fixed, start, 0)))
    signature = jnp.where(leads & is_fixed, kept, jnp.clip(signature, -1, 1))
    weight = jnp.sum(jnp.where(leads, ties.jump, 0))
    searches = pieces.program.nested and not offset
    look = _Look(pieces, x, aim, ties, moves, weight, reflected, searches)
    none, zero = jnp.zeros_like(moves), jnp.zeros((), int)
    no, yes = jnp.asarray(False), jnp.asarray(True)
    begin = _Search(signature, moves & is_held, aim.offset, weight, none, yes, no, no, zero)
    most = 50 + CHANGES * pieces.number
    goes_on = lambda search: ~search.done & (search.changes < most)
    found = jax.lax.while_loop(goes_on, look.next, begin)
    held = ties.any(found.held) & meeting
    signs = ties.spread(found.signature)
    sides = jnp.where(signs >= 0, 1, -1).astype(start.dtype)
    signs = jnp.where(meeting, jnp.where(held, signs, sides), start)
    unit = float(jnp.finfo(start.dtype).eps)
    bends = meeting & (ties.jump > unit**NOTHING * found.scale)
    concave = leads & bends & ties.is_concave
    unique = found.unique & (ties.is_independent | ~jnp.any(concave))
    return Settled(signs, held, ties, found.heights, bends, unique, found.agrees)


class _Look(NamedTuple):
    """One step of the search: look at the heights, and change what disagrees."""

    pieces: Pieces
    x: Position
    aim: Aim
    ties: Ties
    moves: Bool[Array, " kinks"]
    weight: Float[Array, ""]
    reflected: Bool[Array, " kinks"] | None
    searches: bool

    def next(self, search: _Search) -> _Search:
        """Look once, and change what disagrees."""
        ties, everyone = self.ties, jnp.arange(self.pieces.number)
        concave = self.moves & ties.is_concave & ~search.held & (ties.jump > 0)
        left = concave & ~search.asked
        asks = search.agrees & jnp.any(left)
        asked = asks & (everyone == jnp.argmax(left))
        trial = jnp.where(asked, -search.signature, search.signature)
        heights, tolerance, scale = self._heights(ties.spread(trial))
        # The other side of a concave kink may agree as well.
        both = jnp.any(asked & (trial * heights > tolerance))
        wrong = jnp.any(search.held & (jnp.abs(heights) > tolerance))
        against = jnp.where(
            self.moves & ~search.held, -search.signature * heights - tolerance, 0
        )
        worst = jnp.argmax(against / jnp.where(ties.length > 0, ties.length, 1))
        enters = (against[worst] > 0) & ~wrong
        agrees = search.agrees | ~(wrong | enters)
        new = (everyone == worst) & enters
        change = lambda: self._change(search, heights, new)
        keep = lambda: (search.signature, search.held)
        signature, held = jax.lax.cond(agrees, keep, change)
        return _Search(
            signature,
            held,
            jnp.where(asks, search.heights, heights),
            jnp.where(asks, search.scale, scale),
            search.asked | asked,
            search.unique & ~both,
            agrees,
            agrees & ~jnp.any(left & ~asked),
            search.changes + 1,
        )

    def _heights(self, signature: Signature) -> tuple[Any, Any, Any]:
        """The heights of all kinks, what rounding makes of 0, the size of gradients."""
        offset, factor = self.aim.offset, self.aim.factor
        displacement, gradient = self._displacement(signature)
        moved = from_vector(displacement, self.x)
        rates = self._along(signature, moved)
        scale = jnp.linalg.norm(gradient) + self.weight
        size = jnp.linalg.norm(self.aim.drift) + jnp.abs(factor) * scale
        unit = float(jnp.finfo(size.dtype).eps) ** ROUNDING
        tolerance = unit * (jnp.abs(offset) + self.ties.length * size)
        return offset + rates, tolerance, scale

    def _displacement(self, signature: Signature) -> tuple[Any, Any]:
        """The displacement, and the gradient that it comes from."""
        gradient = as_vector(self.pieces.gradient(self.x, signature))
        return self.aim.drift + self.aim.factor * gradient, gradient

    def _along(self, signature: Signature, moved: Position) -> Float[Array, " kinks"]:
        """Products of a displacement with the normals; of concave kinks, reflected ones."""
        along = lambda f: jax.jvp(f, (self.x,), (moved,))[1]
        rates = along(lambda x: self.pieces.switching(x, signature))
        if self.reflected is None:
            return rates
        slope = jax.grad(lambda signs: along(lambda x: self.pieces.piece(x, signs)))
        jumps = self.ties.gather(slope(signature))
        # Where a kink is hidden behind others its gradient does not jump.
        usual = jnp.where(self.reflected, -rates, rates)
        return jnp.where(jumps == 0, usual, jnp.copysign(rates, jumps))

    def _change(self, search: _Search, heights: Any, new: Any) -> tuple[Signature, Any]:
        """Hold one more kink, or turn its sign, and solve for those that are held."""
        inside, factor = search.held | new, self.aim.factor
        kinks = self.pieces.number
        number = min(kinks, dimension(self.x))
        which = jnp.nonzero(inside, size=number, fill_value=kinks)[0]
        valid = jnp.arange(number) < jnp.sum(inside)
        normals, jumps = self._rows(self.ties.spread(search.signature), which)
        matrix = factor * normals @ jumps.T
        among = jnp.zeros_like(inside)
        # A kink of which the gradient does not jump against the motion is not held.
        size = (self.ties.length * self.ties.jump)[which]
        tiny = float(jnp.finfo(matrix.dtype).eps) * jnp.abs(factor) * size
        loose = among.at[which].max(valid & (jnp.diagonal(matrix) >= -tiny))
        sides = jnp.where(search.signature >= 0, 1, -1).astype(heights.dtype)
        turned = jnp.where(loose, jnp.where(new, -sides, sides), search.signature)
        both = valid[:, None] & valid[None]
        matrix = jnp.where(both, matrix, jnp.eye(number, dtype=matrix.dtype))
        step = factorise(matrix)(jnp.where(valid, -heights[which], 0))
        start = search.signature[which]
        room = (jnp.sign(step) - start) / jnp.where(step == 0, 1, step)
        room = jnp.where(valid & (step != 0), room, jnp.inf)
        most = jnp.minimum(jnp.min(room), 1)
        part = self._part(search.signature, which, step, most)
        ends = (room <= part) & (room < 1)
        there = jnp.where(ends, jnp.sign(step), start + part * step)
        moved = search.signature.at[which].set(there, mode="drop")
        bound = among.at[which].max(ends)
        is_loose = jnp.any(loose)
        signature = jnp.where(is_loose, turned, moved)
        return signature, jnp.where(is_loose, search.held & ~loose, inside & ~bound)

    def _part(self, signature: Signature, which: Any, step: Any, most: Any) -> Any:
        """How far to go along a step: as far as the signs allow, or less.

        Where kinks are nested the displacement is no linear function of the signs, and the
        step only a direction along which it gets smaller.
        """
        if not self.searches:
            return most
        parts = most * 0.5 ** jnp.arange(HALVINGS, dtype=most.dtype)

        def energy(part: Any) -> Any:
            moved = signature.at[which].add(part * step, mode="drop")
            return jnp.sum(self._displacement(self.ties.spread(moved))[0] ** 2)

        energies = jax.lax.map(energy, parts)
        return parts[jnp.argmin(energies)]

    def _rows(self, signature: Signature, which: Any) -> tuple[Any, Any]:
        """Normals of some leaders, and what the gradient jumps by with their signs."""
        pieces, x, ties = self.pieces, self.x, self.ties
        everyone = jnp.arange(pieces.number)
        _, pull = jax.vjp(lambda x: pieces.switching(x, signature), x)
        gradient = lambda signs: as_vector(pieces.gradient(x, signs))
        empty = jnp.zeros((len(which), dimension(x)), signature.dtype)

        def row(i: Any, rows: tuple[Any, Any]) -> tuple[Any, Any]:
            unit = (everyone == which[i]).astype(signature.dtype)
            normal = as_vector(pull(unit)[0])
            _, jump = jax.jvp(gradient, (signature,), (ties.spread(unit),))
            return rows[0].at[i].set(normal), rows[1].at[i].set(jump)

        count = jnp.sum(which < pieces.number)
        normals, jumps = jax.lax.fori_loop(0, count, row, (empty, empty))
        if self.reflected is not None:
            bends = jnp.sum(normals * jumps, axis=1, keepdims=True)
            normals = jnp.where(bends < 0, -normals, normals)
        return normals, jumps

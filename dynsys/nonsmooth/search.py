"""One look of the search for signs that agree, and what it changes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.linear_solve import factorise, multiply_matrices
from dynsys.nonsmooth.listed import Listed, listed
from dynsys.nonsmooth.pieces import Pieces, Signature
from dynsys.nonsmooth.ties import Ties, are_independent
from dynsys.trees import Position, as_vector, dimension, from_vector

ROUNDING = 0.7
"""Signs agree up to this power of the precision, 1e-11 in 64 bits, of what they add up."""

HALVINGS = 12
"""Lengths of a step that are tried where kinks are nested, each half of the one before."""


class Aim(NamedTuple):
    r"""What the signs decide about: $d(w) = c + b\nabla f_w(x)$ and the heights $h_i$.

    Args:
        drift: The vector $c$.
        factor: The number $b$, at most 0.
        offset: The numbers $o_i$; left out, they are 0.
    """

    drift: Float[Array, " size"]
    factor: Float[Array, ""]
    offset: Float[Array, " kinks"] | None = None


class Search(NamedTuple):
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


class Look(NamedTuple):
    """What the search looks at.

    Args:
        pieces: The loss.
        x: The point.
        aim: What the signs decide about.
        ties: How the kinks that meet lie to each other.
        moves: The leaders whose signs may change.
        weight: Sum of the sizes of the jumps of the gradient.
        reflected: For the smallest displacement the concave kinks, else `None`.
        searches: Whether a step may have to be shorter than the signs allow.
    """

    pieces: Pieces
    x: Position
    aim: Aim
    ties: Ties
    moves: Bool[Array, " kinks"]
    weight: Float[Array, ""]
    reflected: Bool[Array, " kinks"] | None
    searches: bool

    def next(self, search: Search) -> Search:
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
        return Search(
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

    def is_regular(self, search: Search) -> Bool[Array, ""]:
        """Whether the normals of the kinks between their sides are independent."""
        some = listed(search.held, dimension(self.x))
        normals, _ = self._rows(self.ties.spread(search.signature), some)
        return are_independent(normals.T, some.valid)

    def _heights(self, signature: Signature) -> tuple[Any, Any, Any]:
        """The heights of all kinks, what rounding makes of 0, the size of gradients."""
        displacement, gradient = self.displacement(signature)
        moved = from_vector(displacement, self.x)
        heights = self._along(signature, moved)
        if self.aim.offset is not None:
            heights = heights + self.aim.offset
        scale = jnp.linalg.norm(gradient) + self.weight
        return heights, self.tolerance(scale), scale

    def tolerance(self, scale: Float[Array, ""]) -> Float[Array, " kinks"]:
        """What rounding makes of heights that are 0, for a size of gradients."""
        size = jnp.linalg.norm(self.aim.drift) + jnp.abs(self.aim.factor) * scale
        size = self.ties.length * size
        if self.aim.offset is not None:
            size = size + jnp.abs(self.aim.offset)
        return float(jnp.finfo(size.dtype).eps) ** ROUNDING * size

    def displacement(self, signature: Signature) -> tuple[Any, Any]:
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
        size = jnp.abs(rates)
        return jnp.where(jumps == 0, usual, jnp.where(jumps < 0, -size, size))

    def _change(self, search: Search, heights: Any, new: Any) -> tuple[Signature, Any]:
        """Hold one more kink, or turn its sign, and solve for those that are held."""
        inside, factor = search.held | new, self.aim.factor
        some = listed(inside, dimension(self.x))
        normals, jumps = self._rows(self.ties.spread(search.signature), some)
        matrix = multiply_matrices(factor * normals, jumps.T)
        # A kink of which the gradient does not jump against the motion is not held.
        size = some.take(self.ties.length * self.ties.jump)
        tiny = float(jnp.finfo(matrix.dtype).eps) * jnp.abs(factor) * size
        bends = factor * jnp.sum(normals * jumps, axis=1)
        loose = some.mark(some.valid & (bends >= -tiny))
        sides = jnp.where(search.signature >= 0, 1, -1).astype(heights.dtype)
        turned = jnp.where(loose, jnp.where(new, -sides, sides), search.signature)
        step = factorise(some.square(matrix))(some.only(-some.take(heights)))
        start = some.take(search.signature)
        room = (jnp.sign(step) - start) / jnp.where(step == 0, 1, step)
        room = jnp.where(some.valid & (step != 0), room, jnp.inf)
        most = jnp.minimum(jnp.min(room), 1)
        part = self._part(search.signature, some.put(step), most)
        ends = (room <= part) & (room < 1)
        there = jnp.where(ends, jnp.sign(step), start + part * step)
        moved = jnp.where(some.mark(some.valid), some.put(there), search.signature)
        is_loose = jnp.any(loose)
        signature = jnp.where(is_loose, turned, moved)
        held = jnp.where(is_loose, search.held & ~loose, inside & ~some.mark(ends))
        return signature, held

    def _part(self, signature: Signature, step: Any, most: Any) -> Any:
        """How far to go along a step: as far as the signs allow, or less.

        Where kinks are nested the displacement is no linear function of the signs, and the
        step only a direction along which it gets smaller.
        """
        if not self.searches:
            return most
        parts = most * 0.5 ** jnp.arange(HALVINGS, dtype=most.dtype)

        def energy(part: Any) -> Any:
            moved = signature + part * step
            return jnp.sum(self.displacement(self.ties.spread(moved))[0] ** 2)

        energies = jax.lax.map(energy, parts)
        return parts[jnp.argmin(energies)]

    def _rows(self, signature: Signature, some: Listed) -> tuple[Any, Any]:
        """Normals of some leaders, and what the gradient jumps by with their signs."""
        pieces, x, ties = self.pieces, self.x, self.ties
        _, pull = jax.vjp(lambda x: pieces.switching(x, signature), x)
        gradient = lambda signs: as_vector(pieces.gradient(x, signs))
        empty = jnp.zeros((len(some.valid), dimension(x)), signature.dtype)
        units = some.units().astype(signature.dtype)

        def row(i: Any, rows: tuple[Any, Any]) -> tuple[Any, Any]:
            unit = jax.lax.dynamic_index_in_dim(units, i, keepdims=False)
            normal = as_vector(pull(unit)[0])
            _, jump = jax.jvp(gradient, (signature,), (ties.spread(unit),))
            put = lambda all_rows, new: jax.lax.dynamic_update_index_in_dim(
                all_rows, new, i, 0
            )
            return put(rows[0], normal), put(rows[1], jump)

        normals, jumps = jax.lax.fori_loop(0, some.end, row, (empty, empty))
        if self.reflected is not None:
            bends = jnp.sum(normals * jumps, axis=1, keepdims=True)
            normals = jnp.where(bends < 0, -normals, normals)
        return normals, jumps

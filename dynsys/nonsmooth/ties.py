r"""Kinks that meet at a point: which are parallel there, and what their gradients jump by.

At a kink $z_i = 0$ the loss is continuous, so its gradient jumps along the normal,
$\partial_{s_i}\nabla f_s = \kappa_i\nabla z_i$. Kinks whose normals are parallel act as
one, whose jump is the sum of theirs.

Normals are compared by their products with a few fixed directions, so that the cost is a
few derivatives of the loss, however many kinks meet. The signs of the kinks that meet are
blended in another way for each direction: normals of nested kinks that are parallel for
some signs only are not taken for parallel.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from dynsys.nonsmooth.listed import listed, pick
from dynsys.nonsmooth.pieces import Pieces, Signature
from dynsys.trees import Position, dimension, from_vector

FEWEST, MOST = 3, 8
"""Directions with which normals are compared."""

PARALLEL = 1e-9
"""Difference of unit vectors up to which they are equal, in 64 bits."""

DEPENDENT = 1e-7
"""Part of a unit vector across all others below which it depends on them."""


class Ties(NamedTuple):
    """How the kinks that meet at a point lie to each other.

    Args:
        leader: Of each kink the first among those parallel to it, itself if it is alone.
        side: 1 where its switching value has the sign of that of its leader, else -1.
        length: Size of its normal, from the products with the directions.
        jump: Size of the jump of the gradient across it and those tied to it.
        is_concave: Whether that jump is against the normal, for some signs.
        is_independent: Whether normals of the leaders are seen to be independent.
        is_entangled: Whether the normal of one depends on the sign of another.
    """

    leader: Int[Array, " kinks"]
    side: Float[Array, " kinks"]
    length: Float[Array, " kinks"]
    jump: Float[Array, " kinks"]
    is_concave: Bool[Array, " kinks"]
    is_independent: Bool[Array, ""]
    is_entangled: Bool[Array, ""]

    def spread(self, signature: Signature) -> Signature:
        """The signs of leaders, given to those that are tied to them."""
        return self.side * pick(signature, self.leader)

    def gather(self, values: Float[Array, " kinks"]) -> Float[Array, " kinks"]:
        """Sums over those that are tied, each with its side, at the leaders."""
        mine = self.leader[None] == jnp.arange(len(values))[:, None]
        return jnp.sum(jnp.where(mine, (self.side * values)[None], 0), axis=1)

    def any(self, mask: Bool[Array, " kinks"]) -> Bool[Array, " kinks"]:
        """Whether a kink, or one that is tied to it, is in a mask."""
        return jnp.any((self.leader[:, None] == self.leader[None]) & mask[None], axis=1)


def ties_of(
    pieces: Pieces, x: Position, signature: Signature, meeting: Bool[Array, " kinks"]
) -> Ties:
    """How the kinks that meet at a point lie to each other.

    Args:
        pieces: The loss.
        x: The point.
        signature: The signs of those that do not meet.
        meeting: The kinks that do.
    """
    directions, blends = _directions(dimension(x), pieces.number)
    dtype = signature.dtype
    directions, blends = jnp.asarray(directions, dtype), jnp.asarray(blends, dtype)

    def along(direction: Any, blend: Any) -> tuple[Any, Any, Any]:
        """Products of the normals, and of the jumps of the gradient, with a direction.

        The last are those of the jumps of a sum of the normals, where kinks are nested.
        """
        signs = jnp.where(meeting, blend, signature)
        tangent = from_vector(direction, x)

        def slope(signs: Signature) -> tuple[Any, Any]:
            run = lambda x: pieces.evaluate(x, signs)
            return jax.jvp(run, (x,), (tangent,))[1]

        (value, normals), pull = jax.vjp(slope, signs)
        (jumps,) = pull((jnp.ones_like(value), jnp.zeros_like(normals)))
        if not pieces.program.nested:
            return normals, jumps, jnp.zeros_like(jumps)
        weights = jnp.where(meeting, jnp.asarray(generic(pieces.number), dtype), 0)
        return normals, jumps, pull((jnp.zeros_like(value), weights))[0]

    normals, jumps, turns = jax.vmap(along)(directions, blends)
    size = jnp.sum(jnp.where(meeting[None], jnp.abs(normals), 0))
    is_entangled = jnp.any(meeting[None] & (jnp.abs(turns) > PARALLEL * size))
    normals = jnp.where(meeting[None], normals, 0)
    jumps = jnp.where(meeting[None], jumps, 0)
    length = jnp.linalg.norm(normals, axis=0) / len(directions) ** 0.5
    leader, side = _sorted_by_direction(normals, length > 0)
    yes = jnp.asarray(True)
    alone = Ties(leader, side, length, length, length > 0, yes, yes)
    group = jax.vmap(alone.gather)(jumps)
    concave = jnp.any(group * normals < 0, axis=0)
    size = pick(jnp.linalg.norm(group, axis=0), leader) / len(directions) ** 0.5
    is_concave = pick(concave, leader) & meeting
    leads = meeting & (leader == jnp.arange(pieces.number))
    is_independent = are_independent(normals, leads)
    return Ties(leader, side, length, size, is_concave, is_independent, is_entangled)


def generic(number: int) -> np.ndarray:
    """Weights with which sums of some numbers do not cancel."""
    return np.random.default_rng(21).uniform(1.0, 2.0, number)


def _directions(size: int, kinks: int) -> tuple[np.ndarray, np.ndarray]:
    """Fixed directions, and signs between -1 and 1 for each."""
    random = np.random.default_rng(20)
    number = min(max(size, FEWEST), MOST)
    return random.normal(size=(number, size)), random.uniform(-0.9, 0.9, (number, kinks))


def _sorted_by_direction(
    normals: Float[Array, "directions kinks"], known: Bool[Array, " kinks"]
) -> tuple[Int[Array, " kinks"], Float[Array, " kinks"]]:
    """The leader of each kink, and its side: parallel normals are next to each other."""
    number = normals.shape[1]
    first = normals[0]
    sign = jnp.where(first < 0, -1, 1).astype(normals.dtype)
    size = jnp.linalg.norm(normals, axis=0)
    unit = sign[None] * normals / jnp.where(size > 0, size, 1)[None]
    place = jnp.where(known, unit[1] / jnp.where(unit[0] == 0, 1, unit[0]), jnp.inf)
    own = jnp.arange(number)
    earlier = (place[None] == place[:, None]) & (own[None] < own[:, None])
    rank = jnp.sum((place[None] < place[:, None]) | earlier, axis=1)
    before = jnp.argmax(rank[None] == rank[:, None] - 1, axis=1)
    apart = jnp.linalg.norm(unit - jax.vmap(pick, (0, None))(unit, before), axis=0)
    unit_in_dtype = float(jnp.finfo(normals.dtype).eps)
    tolerance = max(PARALLEL, 1e2 * unit_in_dtype)
    same = (apart <= tolerance) & known & pick(known, before) & (rank > 0)
    group = jnp.sum((~same)[None] & (rank[None] <= rank[:, None]), axis=1)
    leader = jnp.argmax(group[None] == group[:, None], axis=1)
    return leader, sign * pick(sign, leader)


def are_independent(
    normals: Float[Array, "directions kinks"], leads: Bool[Array, " kinks"]
) -> Bool[Array, ""]:
    """Whether the normals of some kinks are seen to be independent."""
    some = listed(leads, len(normals))
    columns = jax.vmap(some.take, out_axes=1)(normals)
    size = jnp.linalg.norm(columns, axis=1, keepdims=True)
    columns = columns / jnp.where(size > 0, size, 1)
    places = jnp.arange(len(columns))

    def project(i: Any, loop: tuple[Any, Any]) -> tuple[Any, Any]:
        """Take the part along one column out of all after it."""
        rest, smallest = loop
        is_there = some.valid & (places == i)
        column = jnp.sum(jnp.where(is_there[:, None], rest, 0), axis=0)
        length = jnp.linalg.norm(column)
        smallest = jnp.where(jnp.any(is_there), jnp.minimum(smallest, length), smallest)
        unit = column / jnp.where(length > 0, length, 1)
        along = jnp.sum(rest * unit[None], axis=1)
        later = jnp.where(places > i, along, 0)
        return rest - later[:, None] * unit[None], smallest

    one = jnp.ones((), normals.dtype)
    _, smallest = jax.lax.fori_loop(0, len(columns), project, (columns, one))
    return (jnp.sum(leads) <= len(columns)) & (smallest > DEPENDENT)

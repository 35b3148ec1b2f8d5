r"""The smallest gradient among those that the signs of some kinks allow."""

import jax.numpy as jnp
from jaxtyping import Array, Bool

from dynsys.nonsmooth.active_set import Settled, find_signs
from dynsys.nonsmooth.pieces import Pieces
from dynsys.nonsmooth.search import Aim
from dynsys.trees import Position, dimension


def smallest_signature(
    pieces: Pieces, x: Position, meeting: Bool[Array, " kinks"]
) -> Settled:
    r"""Signs $w_i \in [-1, 1]$ of the kinks at a point for which the gradient is smallest.

    Where the normals of the kinks that meet are independent, or the kinks convex, it is the
    element of smallest norm of Clarke's subdifferential.

    Args:
        pieces: The loss.
        x: The point.
        meeting: The kinks that it lies on.
    """
    natural = pieces.signature(x)
    dtype = natural.dtype
    aim = Aim(jnp.zeros(dimension(x), dtype), jnp.asarray(-1.0, dtype))
    none = jnp.zeros_like(meeting)
    return find_signs(pieces, x, aim, natural, meeting, none, none, smallest=True)

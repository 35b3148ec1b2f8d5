r"""The smallest gradient among those that the signs of some kinks allow."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from dynsys.nonsmooth.pieces import Pieces, Signature
from dynsys.trees import Position, as_vector, dimension

SWEEPS = 200
"""Passes over all kinks; one is enough where the jumps of the gradient are orthogonal."""


def smallest_signature(
    pieces: Pieces, x: Position, meeting: Bool[Array, " kinks"]
) -> Signature:
    r"""Signs $w_i \in [-1, 1]$ of the kinks at a point for which the gradient is smallest.

    Minimises $\|\nabla f_w(x)\|^2$ over the box by coordinate descent. Where the gradient
    is affine in the signs, as it is for kinks that are not nested, and the jumps are
    independent, it is the element of smallest norm of Clarke's subdifferential.

    Args:
        pieces: The loss.
        x: The point.
        meeting: The kinks that it lies on.
    """
    natural = pieces.signature(x)
    number = min(len(meeting), dimension(x) + 2)
    which = jnp.nonzero(meeting, size=number, fill_value=0)[0]
    valid = jnp.arange(number) < jnp.sum(meeting)
    middle = jnp.where(meeting, 0, natural)
    unit = jax.nn.one_hot(which, len(natural), dtype=natural.dtype)
    base, push = jax.linearize(lambda s: as_vector(pieces.gradient(x, s)), middle)
    jumps = jnp.where(valid[:, None], jax.vmap(push)(unit), 0)
    gram, linear = jumps @ jumps.T, jumps @ base

    def relax(i: Any, w: Float[Array, " some"]) -> Float[Array, " some"]:
        curvature = gram[i, i]
        rest = linear[i] + gram[i] @ w - curvature * w[i]
        best = jnp.clip(-rest / jnp.where(curvature > 0, curvature, 1), -1, 1)
        return w.at[i].set(jnp.where(curvature > 0, best, w[i]))

    sweep = lambda _, w: jax.lax.fori_loop(0, number, relax, w)
    w = jax.lax.fori_loop(0, SWEEPS, sweep, jnp.zeros(number, natural.dtype))
    return middle.at[which].add(jnp.where(valid, w, 0))

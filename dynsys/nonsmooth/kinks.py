"""The kinks of a loss, for the user."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from dynsys.nonsmooth.finder.find_pieces import find_pieces
from dynsys.nonsmooth.kink_table import table_of
from dynsys.nonsmooth.pieces import Pieces, Signature
from dynsys.trees import Position, as_position


class Kinks(eqx.Module):
    r"""The kinks of a loss, and where a point lies between them. Prints a table.

    Args:
        values: Switching functions $z_i(x)$; $x$ lies on the kinks where they are 0.
        signature: Their signs $s_i$, 1 at 0.
        pieces: The loss in pieces: `pieces.piece(x, s)` is the smooth piece $f_s$ and
            `pieces.switching(x, s)` are the switching functions along it.
        places: Of each kink the operation that makes it, the line of your code and the
            entry of its array, as in "`abs` at lasso.py:12, entry 3".
        joints: Of each kink whether the gradients of both sides meet there, so that only
            the Hessian jumps, as in Huber's function.
    """

    values: Float[Array, " kinks"]
    signature: Signature
    pieces: Pieces
    places: tuple[str, ...] = eqx.field(static=True)
    joints: tuple[bool, ...] = eqx.field(static=True)

    @property
    def smooth(self) -> bool:
        """Whether the loss is continuously differentiable, as far as can be seen."""
        return all(self.joints)

    def __repr__(self) -> str:
        return table_of(self)


def kinks(f: Callable[[Any], Any], x: Any) -> Kinks:
    r"""Find the kinks of a loss.

    They are read from the program of the loss: absolute values, maxima and minima (of
    axes and windows, too), signs, clipping and selections by comparisons, which may be
    joined by and, or and not, at any depth, inside of `jit`, of `jax.lax.cond`, of
    functions with custom derivatives and of `scan`. What only looks like a kink does not
    count: both sides of it are the same function (`logaddexp`), its sign never changes
    (`abs(exp(x))`), or no derivative passes through it (`stop_gradient`).
    Kinks whose switching functions are multiples of each other are one.

    The Euclidean norm has a cone at 0, which is no kink and is refused. So is every
    operation that is not known to be smooth or to switch in one of these ways.

    Args:
        f: A scalar function of a position.
        x: A position.

    Returns:
        The kinks, with their switching values at `x`.

    Raises:
        NotPiecewiseSmooth: The loss jumps, or has kinks that are not looked into, such as
            those of sorting. The message names the operation, its line and a remedy.

    Example:
        >>> import jax.numpy as jnp
        >>> found = kinks(lambda x: jnp.abs(x[0]) + jnp.maximum(x[1], 0), [2.0, -3.0])
        >>> found.values, found.smooth
        (Array([ 2., -3.], dtype=float64), False)
        >>> len(found.places), found.places[0].split(" at ")[0]
        (2, '`abs`')
        >>> kinks(lambda x: jnp.logaddexp(x, 0), 1.0).smooth
        True

    Source:
        A. Griewank, "On stable piecewise linearization and generalized algorithmic
        differentiation", Optim. Methods Softw. 28 (2013).
    """
    position: Position = as_position("x", x)
    pieces = find_pieces(f, position)
    signature = pieces.signature(position)
    values = pieces.switching(position, signature)
    return Kinks(values, signature, pieces, pieces.places, pieces.joint)

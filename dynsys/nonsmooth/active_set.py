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
from jaxtyping import Array, Bool

from dynsys.nonsmooth.euler_paths import follow
from dynsys.nonsmooth.listed import in_order
from dynsys.nonsmooth.pieces import Pieces, Signature
from dynsys.nonsmooth.search import Aim, Look, Search
from dynsys.nonsmooth.ties import Ties, ties_of
from dynsys.trees import Position, dimension

NOTHING = 0.9
"""A jump of the gradient, relative to its size, that is rounding: this power of the
precision."""

MEETS = 0.4
"""The same where the gradients of both sides were seen to meet, 5e-7 in 64 bits."""

CHANGES = 8
"""Changes for each kink after which the search is given up; few are ever needed."""

ATTEMPTS = 3
"""Searches for the signs of entangled kinks, from different signs."""

TURNED = 16
"""Kinks that are then looked at from their other side, one after the other."""


class Settled(NamedTuple):
    """Signs that agree with what they lead to.

    Args:
        signature: The signs of all kinks.
        held: The kinks between their two sides.
        ties: How those that meet lie to each other.
        rests: Whether a number $h_i$ is 0 up to rounding.
        bends: Whether the gradient jumps across a kink, with those tied to it.
        unique: Whether no other signs are seen to agree as well.
        settled: Whether these do.
    """

    signature: Signature
    held: Bool[Array, " kinks"]
    ties: Ties
    rests: Bool[Array, " kinks"]
    bends: Bool[Array, " kinks"]
    unique: Bool[Array, ""]
    settled: Bool[Array, ""]


def find_signs(
    pieces: Pieces,
    x: Position,
    aim: Aim,
    start: Signature,
    meeting: Bool[Array, " kinks"],
    fixed: Bool[Array, " kinks"],
    held: Bool[Array, " kinks"],
    *,
    smallest: bool = False,
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
    searches = pieces.program.nested and aim.offset is None
    look = Look(pieces, x, aim, ties, moves, weight, reflected, searches)
    begin = _begin(look, signature, moves & is_held, meeting)
    found = _followed(look, begin) if searches else _search(look, begin)
    held = ties.any(found.held) & meeting
    signs = ties.spread(found.signature)
    sides = jnp.where(signs >= 0, 1, -1).astype(start.dtype)
    signs = jnp.where(meeting, jnp.where(held, signs, sides), start)
    unit = float(jnp.finfo(start.dtype).eps)
    # Where the gradients of both sides should meet they do on the kink, not beside it.
    power = jnp.where(jnp.asarray(pieces.joint, bool), MEETS, NOTHING).astype(start.dtype)
    bends = meeting & (ties.jump > unit**power * found.scale)
    concave = leads & bends & ties.is_concave
    unique = found.unique & (ties.is_independent | ~jnp.any(concave))
    rests = jnp.abs(found.heights) <= look.tolerance(found.scale)
    return Settled(signs, held, ties, rests, bends, unique, found.agrees)


def _begin(
    look: Look,
    signature: Signature,
    held: Bool[Array, " kinks"],
    meeting: Bool[Array, " kinks"],
) -> Search:
    """A search before its first look.

    Args:
        look: What it looks at.
        signature: Signs of the leaders to start from.
        held: Independent leaders to start with between their sides.
        meeting: The kinks that meet.
    """
    none, zero = jnp.zeros_like(look.moves), jnp.zeros((), int)
    yes, is_alone = jnp.asarray(True), ~jnp.any(meeting)
    zeros = jnp.zeros_like(signature)
    return Search(signature, held, zeros, look.weight, none, yes, is_alone, is_alone, zero)


def _search(look: Look, begin: Search) -> Search:
    """The search to its end."""
    most = 50 + CHANGES * look.pieces.number
    goes_on = lambda search: ~search.done & (search.changes < most)
    return jax.lax.while_loop(goes_on, look.next, begin)


def _followed(look: Look, begin: Search) -> Search:
    """The search to its end, with signs that paths lead to where kinks are entangled.

    The kinks that change on the first path are held from the start, then looked for from
    one of their sides; then the signs are looked for among all, and among all with one of
    them on its other side: where a cusp is narrower than rounding the path sees none of it.
    """
    is_entangled = look.ties.is_entangled
    path = follow(look, begin.signature, is_entangled)
    sides = jnp.where(path.signature >= 0, 1, -1).astype(begin.signature.dtype)
    on_side = jnp.where(path.changes, sides, path.signature)
    signatures = jnp.stack([path.signature, on_side, begin.signature])
    none = jnp.zeros_like(path.changes)
    held = jnp.stack([path.changes, none, begin.held, none])
    moves = jnp.stack([path.changes & look.moves] * 2 + [look.moves] * 2)
    turned = in_order(look.moves, TURNED).units()
    begin_sides = jnp.where(begin.signature >= 0, 1, -1).astype(begin.signature.dtype)
    room = min(look.pieces.number, dimension(look.x))
    fits = jnp.sum(path.changes) <= room

    def attempt(loop: tuple[Any, Any, Search]) -> tuple[Any, Any, Search]:
        i = loop[0]
        which = jnp.minimum(i, ATTEMPTS)
        other = jnp.where(turned[jnp.maximum(i - ATTEMPTS, 0)], -1, 1)
        other = other.astype(begin_sides.dtype) * begin_sides
        signature = jnp.where(i < ATTEMPTS, signatures[which], other)
        start = begin._replace(signature=signature, held=held[which])
        found = _search(look._replace(moves=moves[which]), start)
        velocity, _ = look.displacement(look.ties.spread(found.signature))
        leads = path.leads_to(velocity) | ~is_entangled
        against = -found.signature * found.heights > look.tolerance(found.scale)
        wrong = jnp.any(look.moves & ~found.held & against)
        fine = found.agrees & ~wrong & leads[0]
        fine = fine & (look.is_regular(found) | ~is_entangled)
        found = found._replace(unique=found.unique & jnp.all(leads), agrees=fine)
        return i + 1, found.agrees, found

    first = jnp.where(is_entangled, jnp.where(fits, 0, 1), ATTEMPTS - 1)
    last = jnp.where(is_entangled, ATTEMPTS + jnp.sum(jnp.any(turned, axis=1)), ATTEMPTS)
    goes_on = lambda loop: (loop[0] < last) & ~loop[1]
    begun = (first, jnp.asarray(False), begin)
    return jax.lax.while_loop(goes_on, attempt, begun)[2]

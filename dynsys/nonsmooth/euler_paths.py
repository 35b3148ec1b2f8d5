r"""Where Euler's method leads from a point at which kinks inside of others meet.

Signs of nested kinks may agree with a velocity and yet belong to nothing: where
$z = \mathrm{relu}(a) - \mathrm{relu}(b)$ meets $a = b = 0$, the sign of $z$ is no free
choice, but follows from those of $a$ and $b$, and a blend of both of its signs is no limit
of gradients. What is one is seen next to the point. There the loss is, to first order,
positively homogeneous, and so the velocity is a function of the direction $d$ from the
point, in which each kink has the sign of its derivative,

$$\dot d = c + b\,\nabla f_{s(d)}(x), \qquad s_i(d) = \mathrm{sgn}\,\langle\nabla z_i, d
\rangle, \quad \text{inner kinks first.}$$

Its solutions from $d = 0$ are rays, $d = tv$, and $v$ is a velocity of the inclusion. A
step of Euler's method has no length to compare with here: after many the distance to the
ray is that of one step. The kinks that keep their sign on the way are free, the others are
between their sides; both are then settled exactly, and this only tells among which signs
to look.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from dynsys.nonsmooth.pieces import Signature
from dynsys.nonsmooth.search import Look
from dynsys.trees import dimension, from_vector

STEPS = 800
"""Steps; their second half is looked at."""

LOOKS = 4
"""Looks at the signs, for each step, after which it is given up."""

ASIDE = 1e-3
"""How far from the point the first step starts, in steps."""

OTHERS = 4
"""Other directions to start in, which tell whether there are other velocities."""

CLOSE = 0.01
"""Difference of velocities, in parts of their changes on the way, up to which they are one:
the path stays within four steps along the ray."""

EXACT = 1e-9
"""The same, relative to all, if there are no changes."""


class Followed(NamedTuple):
    """Where paths lead, the first in the direction of the motion so far.

    Args:
        signature: Signs on the first path; means of those that change.
        changes: The kinks whose signs change.
        velocity: Mean velocity of each path.
        spread: How much it changes on the way.
    """

    signature: Signature
    changes: Bool[Array, " kinks"]
    velocity: Float[Array, "paths size"]
    spread: Float[Array, " paths"]

    def leads_to(self, velocity: Float[Array, " size"]) -> Bool[Array, " paths"]:
        """Whether the paths lead along a velocity."""
        length = lambda rows: jnp.linalg.norm(rows, axis=-1)
        unit = max(EXACT, 1e2 * float(jnp.finfo(velocity.dtype).eps))
        size = length(velocity) + length(self.velocity)
        return length(self.velocity - velocity[None]) <= CLOSE * self.spread + unit * size


class _Path(NamedTuple):
    """A path on its way: where it is, its signs, and what is known of its second half."""

    d: Float[Array, " size"]
    signature: Signature
    steps: Int[Array, ""]
    looks: Int[Array, ""]
    total: Signature
    low: Float[Array, " size"]
    high: Float[Array, " size"]
    way: Float[Array, " size"]


def follow(look: Look, start: Signature, needed: Bool[Array, ""]) -> Followed:
    """Where Euler's method leads from the point of a search.

    Args:
        look: What the search looks at.
        start: Signs of the leaders before.
        needed: Whether this is asked for; otherwise nothing is done.
    """
    velocity, _ = look.displacement(look.ties.spread(start))
    random = np.random.default_rng(22)
    aside = random.normal(size=(1 + OTHERS // 2, dimension(look.x)))
    aside = np.concatenate([aside[:1] / 8, aside[1:], -aside[1:]])
    size = jnp.linalg.norm(velocity) + jnp.abs(look.aim.factor) * look.weight
    begin = size * jnp.asarray(aside, velocity.dtype)
    begin = ASIDE * begin.at[0].add(velocity)
    paths = jax.vmap(lambda d: _path(look, start, d, needed))(begin)
    number = jnp.maximum(paths.steps - STEPS // 2, 1).astype(velocity.dtype)
    mean, last = paths.total[0] / number[0], paths.signature[0]
    changes = look.moves & (jnp.abs(paths.total[0]) < number[0])
    signature = jnp.where(changes, mean, last)
    spread = jnp.linalg.norm(paths.high - paths.low, axis=1)
    is_known = needed & (paths.steps == STEPS)
    spread = jnp.where(is_known, spread, jnp.nan)
    return Followed(signature, changes, paths.way / number[:, None], spread)


def _path(
    look: Look, start: Signature, d: Float[Array, " size"], needed: Bool[Array, ""]
) -> _Path:
    """One path of Euler's method."""
    ties, pieces, x = look.ties, look.pieces, look.x

    def signs_at(d: Any, signature: Signature) -> Signature:
        spread = ties.spread(signature)
        run = lambda x: pieces.switching(x, spread)
        _, rates = jax.jvp(run, (x,), (from_vector(d, x),))
        # Where a kink has no normal nothing depends on its sign.
        return jnp.where(look.moves & (rates != 0), jnp.sign(rates), signature)

    def step(path: _Path) -> _Path:
        signature = signs_at(path.d, path.signature)
        velocity, _ = look.displacement(ties.spread(signature))
        # Outer signs follow from inner ones, at the next look.
        moves = jnp.all(signature == path.signature)
        late = moves & (path.steps >= STEPS // 2)
        add = lambda a, b: jnp.where(late, a + b, a)
        # A kink that is crossed seldom is crossed in the first half, or not at all.
        reach = lambda pick, a: jnp.where(moves, pick(a, velocity), a)
        return _Path(
            jnp.where(moves, path.d + velocity, path.d),
            signature,
            path.steps + moves.astype(int),
            path.looks + 1,
            add(path.total, signature),
            reach(jnp.minimum, path.low),
            reach(jnp.maximum, path.high),
            add(path.way, velocity),
        )

    goes_on = lambda path: needed & (path.steps < STEPS) & (path.looks < LOOKS * STEPS)
    zero, signs, still = jnp.zeros((), int), jnp.zeros_like(start), jnp.zeros_like(d)
    begin = _Path(d, start, zero, zero, signs, still + jnp.inf, still - jnp.inf, still)
    return jax.lax.while_loop(goes_on, step, begin)

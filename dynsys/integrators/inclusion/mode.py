r"""On which piece of a loss a trajectory is, and along which kinks it slides.

A kink $z_i$ is free, then $s_i = \pm1$ is the side of it, or held: then $z_i(x(t)) = 0$ and
the multiplier $w_i \in [-1, 1]$ in place of $s_i$ keeps the velocity on the surface,

$$\langle\nabla z_i(x), \dot x\rangle = 0, \qquad
\dot z_1 = \sum_j a_{1j}z_j + b_1\,\nabla_x f_w(x) ,$$

a linear system for the multipliers of all held kinks. Kinks that lie at one place are tied:
they have one multiplier.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.nonsmooth.listed import pick
from dynsys.nonsmooth.pieces import Signature


class Mode(NamedTuple):
    """A signature, the kinks that are held, and how they lie.

    Args:
        signature: Side of each kink; of a held one a guess of its multiplier.
        tie: 0 for a free kink; of a held one the number, from 1, of the kink that has its
            multiplier, negative if with the other sign.
        offset: Of each kink the value in place of 0 from which it is left. Kinks that meet
            up to rounding are not all met exactly; what is a little beyond one is not
            beyond it again.
        size: How large the numbers are that the switching values are made of.
    """

    signature: Signature
    tie: Float[Array, " kinks"]
    offset: Float[Array, " kinks"]
    size: Float[Array, " kinks"]

    @property
    def held(self) -> Bool[Array, " kinks"]:
        """The kinks that the trajectory slides along."""
        return self.tie != 0

    @property
    def leader(self) -> Int[Array, " kinks"]:
        """Of each kink the one that has its multiplier."""
        own = jnp.arange(len(self.tie))
        return jnp.where(self.held, jnp.abs(self.tie).astype(int) - 1, own)

    @property
    def leads(self) -> Bool[Array, " kinks"]:
        """The held kinks that have a multiplier of their own: these are independent."""
        own = jnp.arange(1, len(self.tie) + 1, dtype=self.tie.dtype)
        return jnp.abs(self.tie) == own

    def spread(self) -> Callable[[Signature], Signature]:
        """From a signature to that with the multipliers of leaders at what is tied."""
        leader, side = self.leader, jnp.where(self.held, jnp.sign(self.tie), 1)
        return lambda signature: side.astype(signature.dtype) * pick(signature, leader)


class Sides(NamedTuple):
    """What of a mode decides about the velocity in it."""

    signature: Signature
    tie: Float[Array, " kinks"]

    @classmethod
    def of(cls, mode: Mode) -> "Sides":
        """Those of a mode."""
        return cls(mode.signature, mode.tie)

    def mode(self) -> Mode:
        """A mode with the same velocity."""
        return free_mode(self.signature, jnp.zeros_like(self.tie))._replace(tie=self.tie)


def free_mode(signature: Signature, size: Float[Array, " kinks"]) -> Mode:
    """The mode that holds no kink."""
    zero = jnp.zeros_like(signature)
    return Mode(signature, zero, zero, size)

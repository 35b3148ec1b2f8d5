r"""A loss in abs-normal form: switching functions, signatures and smooth pieces.

A piecewise smooth function is a smooth program with switches in it: $|z|$, $\max(a, b)$
with $z = a - b$, a selection by the sign of $z$. With signs $s_i \in \{-1, 1\}$ in place of
those of $z_i(x)$ it is the smooth piece $f_s$; at $s = \mathrm{sgn}\,z(x)$ it is $f$. Signs
between -1 and 1 blend the two sides of a switch.

Source:
    A. Griewank, "On stable piecewise linearization and generalized algorithmic
    differentiation", Optim. Methods Softw. 28 (2013); selections are added here.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dynsys.cached_call import cached_call
from dynsys.nonsmooth.program import Program, natural
from dynsys.trees import as_vector

Signature = Float[Array, " kinks"]


class Pieces(eqx.Module):
    """A loss with its kinks.

    Args:
        consts: What the loss closes over.
        program: What is fixed of it.
        member: Of each switching value the kink that it belongs to; -1 where it is none.
        side: Whether it has the sign of its kink, 1, or the opposite, -1.
        first: Of each kink the switching value that stands for it.
        joint: Of each kink whether the gradients of both sides meet there, as in Huber's
            function; then it is none of the gradient, but of the Hessian.
        mixed: Of each kink whether some terms of the loss are convex there and others
            concave, so that the talk's operator D is larger than the subdifferential.
    """

    consts: list[Any]
    program: Program = eqx.field(static=True)
    member: tuple[int, ...] = eqx.field(static=True)
    side: tuple[int, ...] = eqx.field(static=True)
    first: tuple[int, ...] = eqx.field(static=True)
    joint: tuple[bool, ...] = eqx.field(static=True)
    mixed: tuple[bool, ...] = eqx.field(static=True)
    unproved: tuple[bool, ...] = eqx.field(static=True)

    @property
    def number(self) -> int:
        """Number of kinks."""
        return len(self.first)

    def __call__(self, x: Any) -> Float[Array, ""]:
        """The loss itself."""
        return self.program.run(self.consts, x)[0]

    def piece(self, x: Any, signature: Signature) -> Float[Array, ""]:
        """The smooth piece of a signature."""
        return self.evaluate(x, signature)[0]

    def gradient(self, x: Any, signature: Signature) -> Any:
        """The gradient of the smooth piece of a signature, traced once."""
        return _gradient(self, x, signature)

    def switching(self, x: Any, signature: Signature) -> Float[Array, " kinks"]:
        """The switching functions along a piece."""
        return self.evaluate(x, signature)[1]

    def normals(
        self, x: Any, signature: Signature, which: Int[Array, " some"]
    ) -> tuple[Float[Array, " kinks"], Float[Array, "some size"]]:
        """The switching functions, and the gradients of some, each in one vector."""
        z, pull = jax.vjp(lambda x: self.switching(x, signature), x)
        unit = jax.nn.one_hot(which, self.number, dtype=z.dtype)
        return z, jax.vmap(lambda row: as_vector(pull(row)[0]))(unit)

    def signature(self, x: Any) -> Signature:
        """Signs of the switching functions at a point; 1 where one is 0."""
        _, z = self.program.run(self.consts, x)
        return natural(z[jnp.asarray(self.first, int)])

    def evaluate(
        self, x: Any, signature: Signature
    ) -> tuple[Float[Array, ""], Float[Array, " kinks"]]:
        """The smooth piece and the switching functions along it."""
        member, side = np.asarray(self.member, int), np.asarray(self.side, float)

        def signs(z: Any, span: slice) -> Any:
            which = member[span]
            # Switches that are no kinks must agree on a side where they are 0.
            free = jnp.where(z == 0, side[span].astype(z.dtype), natural(z))
            if (which < 0).all():
                return free
            signed = jnp.asarray(side[span], signature.dtype)
            given = signed * signature[np.maximum(which, 0)]
            given = given.astype(z.dtype)
            return given if (which >= 0).all() else jnp.where(which >= 0, given, free)

        value, z = self.program.run(self.consts, x, signs)
        return value, z[jnp.asarray(self.first, int)]


@cached_call
def _gradient(pieces: Pieces, x: Any, signature: Signature) -> Any:
    return jax.grad(pieces.piece)(x, signature)

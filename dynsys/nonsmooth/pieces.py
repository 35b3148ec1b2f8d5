r"""A loss in abs-normal form: switching functions, signatures and smooth pieces.

A piecewise smooth function is a smooth program with switches in it: $|z|$, $\max(a, b)$
with $z = a - b$, a selection by the sign of $z$. With signs $s_i \in \{-1, 1\}$ in place of
those of $z_i(x)$ it is the smooth piece $f_s$; at $s = \mathrm{sgn}\,z(x)$ it is $f$. Signs
between -1 and 1 blend the two sides of a switch.

Source:
    A. Griewank, "On stable piecewise linearization and generalized algorithmic
    differentiation", Optim. Methods Softw. 28 (2013); selections are added here.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from dynsys.cached_call import cached_call
from dynsys.nonsmooth.between_signs import Repeated, between, blended
from dynsys.nonsmooth.flat_program.interpret import OF_SIZES, Replace, interpret, natural
from dynsys.nonsmooth.flat_program.loss_program import Program
from dynsys.nonsmooth.flat_program.sizes import sizes_of
from dynsys.trees import as_vector

Signature = Float[Array, " kinks"]


class Pieces(eqx.Module):
    """A loss with its kinks.

    Args:
        consts: What the loss closes over.
        program: What is fixed of it.
        member: Of each switching value the kink that it belongs to; -1 where there is none.
        side: Whether it has the sign of its kink, 1, or the opposite, -1.
        first: Of each kink the switching value that stands for it.
        joint: Of each kink whether the gradients of both sides meet there, as in Huber's
            function; then the gradient is continuous there, and only the Hessian jumps.
        mixed: Of each kink whether some terms of the loss are convex there and others
            concave, so that the talk's operator D is larger than the subdifferential.
        unproved: Of each kink whether it is not proved that the loss is continuous there.
        repeated: The kinks whose signs meet themselves, and where they are blended.
    """

    consts: list[Any]
    program: Program = eqx.field(static=True)
    member: tuple[int, ...] = eqx.field(static=True)
    side: tuple[int, ...] = eqx.field(static=True)
    first: tuple[int, ...] = eqx.field(static=True)
    joint: tuple[bool, ...] = eqx.field(static=True)
    mixed: tuple[bool, ...] = eqx.field(static=True)
    unproved: tuple[bool, ...] = eqx.field(static=True)
    repeated: Repeated = eqx.field(static=True, default=Repeated())

    @property
    def number(self) -> int:
        """Number of kinks."""
        return len(self.first)

    @property
    def places(self) -> tuple[str, ...]:
        """Of each kink the operation that makes it, its line and its entry."""
        return tuple(self.place(i) for i in range(self.number))

    def place(self, i: int) -> str:
        """The place of a kink, as in "`abs` at lasso.py:12, entry 3"."""
        return self.program.switch_of(self.first[i]).place(self.first[i])

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
        self, x: Any, signature: Signature, which: Bool[Array, "some kinks"]
    ) -> tuple[Float[Array, " kinks"], Float[Array, "some size"]]:
        """The switching functions, and the gradients of some, each in one vector.

        Args:
            x: A point.
            signature: The signs of all kinks.
            which: A mask of one kink for each gradient.
        """
        z, pull = jax.vjp(lambda x: self.switching(x, signature), x)
        normal = lambda row: as_vector(pull(row)[0])
        return z, jax.vmap(normal)(which.astype(z.dtype))

    def signature(self, x: Any) -> Signature:
        """Signs of the switching functions at a point, and at 0 that of the loss there."""
        _, z = self.program.run(self.consts, x)
        first = np.asarray(self.first, int)
        return natural(_take(z, first), self.program.at_zero[first])

    def with_joints(self, kinks: Collection[int]) -> "Pieces":
        """The same loss, with some kinks known to be of the Hessian alone."""
        joint = tuple(j or i in kinks for i, j in enumerate(self.joint))
        return dataclasses.replace(self, joint=joint)

    def without(self, kinks: Collection[int]) -> "Pieces":
        """The same loss, with switches in place of some kinks of the Hessian alone."""
        if not kinks:
            return self
        kept = [i for i in range(self.number) if i not in set(kinks)]
        names = dict(zip(kept, range(len(kept)), strict=True))
        of = lambda values: tuple(values[i] for i in kept)
        renamed = lambda values: tuple(names.get(i, -1) for i in values)
        repeated = Repeated(
            tuple(names[i] for i in self.repeated.kinks if i in names),
            tuple((v, renamed(which)) for v, which in self.repeated.cut),
        )
        return dataclasses.replace(
            self,
            member=renamed(self.member),
            first=of(self.first),
            joint=of(self.joint),
            mixed=of(self.mixed),
            unproved=of(self.unproved),
            repeated=repeated,
        )

    def evaluate(
        self, x: Any, signature: Signature
    ) -> tuple[Float[Array, ""], Float[Array, " kinks"]]:
        """The smooth piece and the switching functions along it."""
        if self.repeated.is_many:
            return self._evaluate(x, signature, self._blended(x, signature))
        return between(self._evaluate, self.repeated.kinks, x, signature)

    def _evaluate(
        self, x: Any, signature: Signature, given: Mapping[Any, Any] = MappingProxyType({})
    ) -> tuple[Float[Array, ""], Float[Array, " kinks"]]:
        signs = self._signs(signature)
        value, z = self.program.run(self.consts, x, signs, given=given)
        return value, _take(z, np.asarray(self.first, int))

    def _blended(self, x: Any, signature: Signature) -> dict[Any, Any]:
        """Variables that are blended from both ends of the signs that meet themselves."""

        def values(x: Any, signature: Signature) -> Mapping[Any, Any]:
            return interpret(self.program, self.consts, x, self._signs(signature)).values

        return blended(values, self.repeated, x, signature)

    def replaced(self, x: Any, signature: Signature, by: Replace) -> Float[Array, ""]:
        """A piece, with others in place of the results of its switches."""
        signs = self._signs(signature)
        run = interpret(self.program, self.consts, x, signs, replace=by)
        return run.read(self.program.jaxpr.outvars[0])

    def sizes(self, x: Any, signature: Signature | None = None) -> Float[Array, " kinks"]:
        """The sizes of the terms that the switching values are made of.

        A switching value is known up to rounding errors relative to this, not to itself.

        Args:
            x: A point.
            signature: That of the piece, for switches inside of others; of `x` if left out.
        """
        signs = self.program.natural if signature is None else self._signs(signature)
        run = interpret(self.program, self.consts, x, signs)
        dtype = run.read(self.program.jaxpr.outvars[0]).dtype
        found = [z.astype(dtype) for z in sizes_of(self.program, run)]
        sizes = jnp.concatenate([jnp.zeros(0, dtype), *found])
        return jax.lax.stop_gradient(sizes[np.asarray(self.first, int)])

    def gaps(
        self, x: Any, signature: Signature
    ) -> tuple[Float[Array, " kinks"], Float[Array, " kinks"]]:
        r"""How far the loss jumps across each kink, and what that is to be compared with.

        The jump is $2\,|\partial f / \partial s_i|$. Its size is that of what is selected
        at the switch: $(|a| + |b|)\,|\partial f|$, if it chooses between $a$ and $b$ and
        the loss changes with the slope $\partial f$ of the choice.

        Args:
            x: A point, on the kinks that are asked for.
            signature: That of the piece.
        """
        x, signature, consts = jax.lax.stop_gradient((x, signature, self.consts))
        signs = self._signs(signature)
        total = self.program.size

        def value(shift: Array) -> Array:
            moved = lambda z, span: signs(z, span) + shift[span].astype(z.dtype)
            run = interpret(self.program, consts, x, moved, algebra=OF_SIZES)
            return run.read(self.program.jaxpr.outvars[0])

        sizes = jax.grad(value)(jnp.zeros(total, signature.dtype))
        slopes = jax.grad(lambda signs: self.piece(x, signs))(signature)
        return 2 * jnp.abs(slopes), 2 * self._of_kinks(jnp.abs(sizes))

    def _of_kinks(self, entries: Float[Array, " entries"]) -> Float[Array, " kinks"]:
        """Sums over the switching values of each kink."""
        member = np.asarray(self.member, int)
        mine = np.flatnonzero(member >= 0)
        return jnp.zeros(self.number, entries.dtype).at[member[mine]].add(entries[mine])

    def _signs(self, signature: Signature) -> Callable[[Any, slice], Any]:
        """From switching values, and the slice they have among all, to their signs."""
        member, side = np.asarray(self.member, int), np.asarray(self.side, float)

        def signs(z: Any, span: slice) -> Any:
            which, turned = member[span], side[span]
            is_kink = which >= 0
            if not is_kink.any():
                return _natural(z, turned)
            given = _take(signature, np.maximum(which, 0))
            if (turned != 1).any():
                given = given * jnp.asarray(turned, given.dtype)
            given = given.astype(z.dtype)
            if is_kink.all():
                return given
            return jnp.where(is_kink, given, _natural(z, turned))

        return signs


def _natural(z: Any, side: np.ndarray) -> Any:
    """The signs of switches that are no kinks; these must agree on a side where z is 0."""
    return jnp.where(z == 0, jnp.asarray(side, z.dtype), natural(z))


def _take(vector: Array, indices: np.ndarray) -> Array:
    """Entries of a vector; a slice, which is less than a gather, where they follow."""
    if len(indices) and (np.diff(indices) == 1).all():
        return vector[int(indices[0]) : int(indices[-1]) + 1]
    return vector[indices]


@cached_call
def _gradient(pieces: Pieces, x: Any, signature: Signature) -> Any:
    return jax.grad(pieces.piece)(x, signature)

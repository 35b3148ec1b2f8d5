"""One smooth piece of a loss, as a loss."""

import equinox as eqx
from jaxtyping import Array, Float

from dynsys.nonsmooth.pieces import Pieces, Signature
from dynsys.trees import Position


class AtSignature(eqx.Module):
    """The smooth piece of a signature, as an objective."""

    pieces: Pieces
    signature: Signature

    def __call__(self, x: Position) -> Float[Array, ""]:
        return self.pieces.piece(x, self.signature)

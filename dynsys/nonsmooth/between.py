r"""A piece for signs between -1 and 1, affine in each sign that meets itself.

Where a sign $s$ is multiplied by itself, as in `where(x > 0, where(2 * x > 0, a, b), c)`,
the piece has the right values at $s = \pm 1$ only: its slope in $s$ there is none of the
jump, and between them it is no blend of the two sides. The blend of both ends is.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from dynsys.nonsmooth.weights import blend

Evaluate = Callable[[Any, Any], tuple[Any, Any]]


def between(
    evaluate: Evaluate, repeated: Sequence[int], x: Any, signature: Any
) -> tuple[Any, Any]:
    """Values at a signature, blended from those at both ends of some signs.

    Args:
        evaluate: Values at a position and a signature.
        repeated: The signs.
        x: The position.
        signature: The signature.
    """
    if not repeated:
        return evaluate(x, signature)
    i, *rest = repeated
    inner = lambda x, signs: between(evaluate, rest, x, signs)
    upper, lower = (
        _untouched(inner, x, signature.at[i].set(end), signature[i] == -end)
        for end in (1.0, -1.0)
    )
    weight = 0.5 * (1 + signature[i])
    return jax.tree.map(lambda a, b: blend(weight, a, b), upper, lower)


def _untouched(evaluate: Evaluate, x: Any, signature: Any, is_idle: Any) -> Any:
    """Values, with no slope where they are not finite and not needed."""
    value, _ = evaluate(*jax.lax.stop_gradient((x, signature)))
    is_off = is_idle & ~jnp.isfinite(value)
    still = lambda a: jnp.where(is_off, jax.lax.stop_gradient(a), a)
    return evaluate(*jax.tree.map(still, (x, signature)))

r"""A piece for signs between -1 and 1, affine in each sign that meets itself.

Where a sign $s$ is multiplied by itself, as in `where(x > 0, where(2 * x > 0, a, b), c)`,
the piece has the right values at $s = \pm 1$ only: its slope in $s$ is not the jump, and
between them it is not a blend of the two sides. Blending the values at both ends mends it.

For one such sign the value of the loss is blended. For several, variables of the program
are: the last ones of which each entry depends on one of these signs only.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.nonsmooth.flat_program.predicate_weights import blend

MOST = 1
"""Signs up to which the value is blended: each more doubles the program twice."""


class Repeated(NamedTuple):
    """Kinks whose signs meet themselves.

    Args:
        kinks: These kinks.
        cut: Variables that are blended, and of each of their entries the kink by whose
            sign, -1 for none.
    """

    kinks: tuple[int, ...] = ()
    cut: tuple[tuple[Any, tuple[int, ...]], ...] = ()

    @property
    def is_many(self) -> bool:
        """Whether variables are blended and not the value."""
        return len(self.kinks) > MOST


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


def blended(
    values: Callable[[Any, Any], Mapping[Any, Any]],
    repeated: Repeated,
    x: Any,
    signature: Any,
) -> dict[Any, Any]:
    """Variables at a signature, blended from those at both ends of some signs.

    Args:
        values: All variables at a position and a signature.
        repeated: The signs, and the variables.
        x: The position.
        signature: The signature.
    """
    which = np.asarray(repeated.kinks, int)
    ends = []
    for end in (1.0, -1.0):
        moved = signature.at[which].set(end)
        there = values(*jax.lax.stop_gradient((x, moved)))
        is_off = jnp.zeros(len(signature), bool)
        for v, kink in repeated.cut:
            mine = np.flatnonzero(np.asarray(kink) >= 0)
            bad = ~jnp.isfinite(there[v].reshape(-1)[mine])
            is_off = is_off.at[np.asarray(kink, int)[mine]].max(bad)
        # What is not finite is left out where it is not needed.
        ends.append(values(x, jnp.where(is_off & (signature == -end), signature, moved)))
    found = {}
    for v, kink in repeated.cut:
        sign = signature[np.maximum(kink, 0)].reshape(v.aval.shape)
        weight = jnp.where(np.reshape(kink, v.aval.shape) < 0, 1, 0.5 * (1 + sign))
        found[v] = blend(weight, ends[0][v], ends[1][v])
    return found

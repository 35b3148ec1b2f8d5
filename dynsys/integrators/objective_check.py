"""What is wrong with an objective, said in its own terms."""

import jax
import jax.numpy as jnp

from dynsys.systems.system import AbstractSystem
from dynsys.trees import Position

NOT_TRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerBoolConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
"""What JAX raises where a function looks at the values of its arguments."""


def check_objective(system: AbstractSystem, x: Position) -> None:
    """Trace the objective once, to say what is wrong with it in its own terms.

    Raises:
        TypeError: The objective cannot be traced by JAX, or is not real.
        ValueError: It does not return a scalar, or fails on such a position.
    """
    shapes = jax.tree.map(lambda leaf: leaf.shape, x)
    try:
        value = jax.eval_shape(system.objective, x)
    except NOT_TRACEABLE as error:
        raise TypeError(
            "The objective cannot be traced by JAX. Write it with jax.numpy instead of "
            "numpy or math, and with jnp.where instead of `if` on values of x. JAX said: "
            f"{_first_line(error)}"
        ) from error
    except Exception as error:
        raise ValueError(
            f"The objective failed on a position of shape {shapes}: {error}"
        ) from error
    leaves = jax.tree.leaves(value)
    if len(leaves) != 1 or leaves[0].shape != ():
        raise ValueError(
            f"The objective must return a scalar, but returned "
            f"{jax.tree.map(lambda leaf: leaf.shape, value)} in shapes for x0 of shape "
            f"{shapes}. Return the value only, sum over it, or check the shape of `x0`."
        )
    if not jnp.issubdtype(leaves[0].dtype, jnp.floating):
        raise TypeError(
            f"The objective must return a real floating-point scalar, but returned dtype "
            f"{leaves[0].dtype}."
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]

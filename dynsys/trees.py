"""Arithmetic on positions, which are numbers, arrays or pytrees of arrays."""

import numbers
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from dynsys.checks import default_float, known

Position = PyTree[Float[Array, "..."]]
Time = Float[Array, ""]
Tree = TypeVar("Tree")


def combine(*terms: tuple[Any, Position]) -> Position:
    r"""The linear combination $\sum_i c_i x_i$, each leaf in its own dtype.

    Args:
        *terms: Pairs of a scalar $c_i$ and a pytree $x_i$, all of one structure.

    Example:
        >>> float(combine((2.0, jnp.array(1.0)), (-1.0, jnp.array(0.5))))
        1.5
    """
    scalars, trees = zip(*terms, strict=True)

    def combine_leaves(*leaves: Array) -> Array:
        total = jnp.asarray(scalars[0], leaves[0].dtype) * leaves[0]
        for scalar, leaf in zip(scalars[1:], leaves[1:], strict=True):
            total = total + jnp.asarray(scalar, leaf.dtype) * leaf
        return total

    return jax.tree.map(combine_leaves, *trees)


def zeros_like(tree: Position) -> Position:
    """The zero of the space that `tree` lies in."""
    return jax.tree.map(jnp.zeros_like, tree)


def constant(tree: Tree) -> Tree:
    """A pytree whose arrays have no derivative; what is no array is left as it is."""
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.lax.stop_gradient(arrays), rest)


def dimension(tree: Position) -> int:
    """Number of real coordinates of `tree`."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def dot(u: Position, v: Position) -> Float[Array, ""]:
    """Inner product over all leaves, in the widest of their dtypes."""
    products = jax.tree.leaves(jax.tree.map(lambda a, b: jnp.sum(a * b), u, v))
    dtype = widest_dtype(products)
    return sum((product.astype(dtype) for product in products), jnp.zeros((), dtype))


def norm(tree: Position) -> Float[Array, ""]:
    """Euclidean norm over all leaves, with a derivative of 0 at 0, for any scale."""
    scale = jax.lax.stop_gradient(largest(tree))
    scale = jnp.where((scale > 0) & jnp.isfinite(scale), scale, 1)
    unit = combine((1 / scale, tree))
    total = dot(unit, unit)
    # What is not positive is 0, or not a number and must stay so.
    return scale * jnp.where(total > 0, jnp.sqrt(jnp.where(total > 0, total, 1)), total)


def largest(tree: Position) -> Float[Array, ""]:
    """Largest absolute value of all entries, in the widest of their dtypes."""
    sizes = [jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(tree) if leaf.size]
    dtype = widest_dtype(sizes)
    return jnp.max(jnp.stack([size.astype(dtype) for size in sizes]))


def root_mean_square(tree: Position) -> Float[Array, ""]:
    """Norm over the square root of the dimension, in the dtype of time."""
    size = norm(tree) / dimension(tree) ** 0.5
    return size.astype(time_dtype(tree))


def widest_dtype(tree: Position) -> jnp.dtype:
    """The widest float type among the leaves."""
    return max((leaf.dtype for leaf in jax.tree.leaves(tree)), key=_bits)


def as_vector(tree: Position) -> Float[Array, " dim"]:
    """All coordinates in one vector, in the widest of their dtypes."""
    wide = widest_dtype(tree)
    leaves = jax.tree.leaves(tree)
    return jnp.concatenate([leaf.astype(wide).reshape(-1) for leaf in leaves])


def from_vector(vector: Float[Array, " dim"], like: Position) -> Position:
    """The inverse of `as_vector`, in the structure and dtypes of `like`."""
    leaves, structure = jax.tree.flatten(like)
    ends = np.cumsum([leaf.size for leaf in leaves])[:-1]
    parts = jnp.split(vector, ends)
    shaped = [
        part.reshape(leaf.shape).astype(leaf.dtype)
        for part, leaf in zip(parts, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, shaped)


def as_rows(tree: Any) -> Float[Array, "rows dim"]:
    """The parts of a pytree in the rows of a matrix, or all of it in one row.

    The parts of the states of systems are of one size. XLA makes a better loop of a matrix
    of them than of one vector.
    """
    parts = _parts(tree)[0]
    return jnp.stack([as_vector(part) for part in parts])


def from_rows(rows: Float[Array, "rows dim"], like: Any) -> Any:
    """The inverse of `as_rows`, in the structure and dtypes of `like`."""
    parts, structure = _parts(like)
    filled = [from_vector(row, part) for row, part in zip(rows, parts, strict=True)]
    return jax.tree.unflatten(structure, filled)


def _parts(tree: Any) -> tuple[list[Any], Any]:
    parts, structure = jax.tree.flatten(tree, is_leaf=lambda part: part is not tree)
    alike = {(dimension(part), widest_dtype(part)) for part in parts}
    if len(alike) == 1:
        return parts, structure
    return [tree], jax.tree.structure(0)


class Like(NamedTuple):
    """The structure, shapes and dtypes of a pytree of arrays; hashable.

    Args:
        leaves: Shape and dtype of each leaf.
        structure: The structure.
    """

    leaves: tuple[jax.ShapeDtypeStruct, ...]
    structure: Any

    @classmethod
    def of(cls, tree: Any) -> "Like":
        """Those of a pytree."""
        leaves, structure = jax.tree.flatten(tree)
        shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
        return cls(tuple(shapes), structure)

    def unpack(self, vector: Float[Array, " dim"]) -> Any:
        """The pytree whose `as_vector` is given."""
        return from_vector(vector, jax.tree.unflatten(self.structure, self.leaves))


def _bits(dtype: Any) -> int:
    return jnp.finfo(dtype).bits


def time_dtype(tree: Position) -> jnp.dtype:
    """The float type that times must have so that every leaf keeps its own."""
    return min((leaf.dtype for leaf in jax.tree.leaves(tree)), key=_bits)


def as_position(name: str, value: Any) -> Position:
    """Turn what a user passes as a point into a pytree of float arrays.

    A number becomes a scalar array, a list or tuple of numbers (nested, too) or of
    scalar arrays one array; any other pytree keeps its structure; integers become
    floats.

    Raises:
        TypeError: A leaf is not a real number or array, or has fewer than 32 bits.
        ValueError: There is no entry, a list is ragged, or a value is not finite.

    Example:
        >>> as_position("x0", [1, 2]).shape
        (2,)
    """
    leaves = jax.tree.leaves(value)
    if not any(np.size(leaf) for leaf in leaves):
        raise ValueError(f"`{name}` has no entries: {value!r}. Pass at least one number.")
    if type(value) in (list, tuple) and all(map(_is_number, leaves)):
        return _as_leaf(name, value)
    if type(value) in (list, tuple) and all(jnp.ndim(leaf) == 0 for leaf in leaves):
        return jnp.stack([_as_leaf(name, leaf) for leaf in leaves])
    return jax.tree.map(lambda leaf: _as_leaf(name, leaf), value)


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, numbers.Real) and not isinstance(leaf, bool)


def _as_leaf(name: str, value: Any) -> Float[Array, "..."]:
    try:
        values = known(value)
        # Of a list JAX would make an array in five times as long as NumPy and JAX.
        on_host = value if values is None else values
        array = value if isinstance(value, jax.Array) else jnp.asarray(on_host)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"`{name}` must hold real numbers or arrays of one shape, but {value!r} of "
            f"type {type(value).__name__} cannot become an array: {error}"
        ) from error
    if jnp.issubdtype(array.dtype, jnp.integer):
        array = array.astype(default_float())
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"`{name}` must hold real numbers, but a leaf has dtype {array.dtype}."
        )
    if jnp.finfo(array.dtype).bits < 32:
        raise TypeError(
            f"`{name}` has dtype {array.dtype}, in which no error can be controlled. "
            f"Cast it to float32: `jax.tree.map(lambda a: a.astype('float32'), x0)`."
        )
    if values is not None and not np.isfinite(values).all():
        raise ValueError(f"`{name}` must be finite, but has value {values}.")
    # A plain number must be no other type than an array.
    return jnp.asarray(array, array.dtype) if array.weak_type else array

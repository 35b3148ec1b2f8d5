"""Which transformations of JAX over many devices a simulation cannot be a part of."""

from typing import Any

import jax
import jax.core
import jax.numpy as jnp

REMEDY = (
    "Make the mesh with `jax.make_mesh(shape, names, axis_types="
    "(jax.sharding.AxisType.Auto,) * len(names))`, or call through "
    "`jax.sharding.auto_axes(function, out_sharding=...)`; `simulate_ensemble` takes "
    "`devices` and needs no mesh at all."
)


def check_meshes(*arguments: Any) -> None:
    """Refuse meshes whose axes are part of the types of arrays.

    The loops of a solver start from constants, of which JAX does not know that they will
    vary from device to device.

    Raises:
        ValueError: A mesh has explicit axes, or a `jax.shard_map` checks what varies.
    """
    mesh = jax.sharding.get_abstract_mesh()
    leaves = [leaf for leaf in jax.tree.leaves(arguments) if _has_mesh(leaf)]
    meshes = [mesh, *(jax.typeof(leaf).sharding.mesh for leaf in leaves)]
    explicit = next((one.explicit_axes for one in meshes if one.explicit_axes), ())
    if explicit:
        raise ValueError(
            f"The mesh has the explicit {_axes(explicit)}, and then each constant in the "
            f"loops of a solver would need a sharding in its type. {REMEDY}"
        )
    checked = tuple(axis for axis in mesh.manual_axes if _is_checked(axis))
    if checked:
        raise ValueError(
            f"`jax.shard_map` checks what varies along the {_axes(checked)}, and the loops "
            f"of a solver start from constants, which do not. Pass `check_vma=False` to "
            f"`jax.shard_map`."
        )


def _has_mesh(leaf: Any) -> bool:
    """Whether the type of an array may name a mesh: not if it is on one device."""
    if not isinstance(leaf, jax.Array):
        return False
    is_traced = isinstance(leaf, jax.core.Tracer)
    return is_traced or not isinstance(leaf.sharding, jax.sharding.SingleDeviceSharding)


def _axes(names: tuple[str, ...]) -> str:
    """Names of axes in a sentence."""
    word = "axis" if len(names) == 1 else "axes"
    return f"{word} {', '.join(repr(name) for name in names)}"


def _is_checked(axis: str) -> bool:
    """Whether a loop may not start from a constant and end with what varies."""
    never, move = lambda i: i < 0, lambda i: i + jax.lax.axis_index(axis)
    loop = lambda: jax.lax.while_loop(never, move, jnp.zeros((), jnp.int32))
    try:
        jax.eval_shape(loop)
    except TypeError:
        return True
    return False

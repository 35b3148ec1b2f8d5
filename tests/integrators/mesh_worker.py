"""Simulations as parts of programs over two devices; prints what became of each."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import dynsys as ds

STARTS = np.array([1.0, 0.5, 2.0, -1.0])
SHARDED, WHOLE = PartitionSpec("d"), PartitionSpec()


def loss(x):
    return x**2 / 2


def end(x0):
    return ds.simulate(ds.GradientFlow(loss), x0, t1=1.0, times=2).x[-1]


def ends(starts):
    return jax.vmap(end)(starts)


def slopes(starts):
    return jax.vmap(jax.grad(lambda x0: end(x0) ** 2))(starts)


def ensemble(starts):
    case = lambda x0: (ds.GradientFlow(loss), x0)
    return ds.simulate_ensemble(case, t1=1.0, times=2, x0=starts).x[:, -1]


EXACT = {
    ends: np.exp(-1) * STARTS,
    slopes: 2 * np.exp(-2) * STARTS,
    ensemble: np.exp(-1) * STARTS,
}


def tried(function, *arguments):
    try:
        return function(*arguments)
    except ValueError as error:
        return str(error)


def main() -> None:
    """Every function in each kind of program."""
    jax.config.update("jax_enable_x64", True)
    starts = jnp.asarray(STARTS)
    auto = jax.make_mesh((2,), ("d",), axis_types=(AxisType.Auto,))
    explicit = jax.make_mesh((2,), ("d",), axis_types=(AxisType.Explicit,))
    specs = {"mesh": auto, "in_specs": SHARDED, "out_specs": SHARDED}
    for function, exact in EXACT.items():
        on_auto, on_explicit = (
            jax.device_put(starts, NamedSharding(mesh, SHARDED))
            for mesh in (auto, explicit)
        )
        unchecked = jax.jit(jax.shard_map(function, check_vma=False, **specs))
        right = {"unchecked": unchecked(starts)}
        with jax.set_mesh(explicit):
            inside = tried(function, starts)
            if function is ends:
                as_auto = jax.sharding.auto_axes(function, out_sharding=SHARDED)
                right["auto_axes"] = jax.jit(as_auto)(on_explicit)
        if function is ends:
            right["auto"] = jax.jit(function)(on_auto)
        refused = {
            "checked": tried(jax.shard_map(function, **specs), starts),
            "explicit": tried(jax.jit(function), on_explicit),
            "set_mesh": inside,
        }
        for name, found in right.items():
            close = np.allclose(np.asarray(found), exact, rtol=1e-5)
            sys.stdout.write(f"{function.__name__} {name}: {close}\n")
        for name, message in refused.items():
            sys.stdout.write(f"{function.__name__} {name}: {message}\n")


if __name__ == "__main__":
    main()

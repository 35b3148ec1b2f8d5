"""Faults that are planted into a trajectory, and how large they are in its tolerances."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from scripts.studies.certified_runs import Run

LARGEST = 7.0
"""Decimal logarithm of the largest fault of a number, in tolerances."""


class Spoilt(NamedTuple):
    """A trajectory with a fault.

    Args:
        trajectory: It.
        size: Size of the fault in tolerances; infinite where it is none of a number.
    """

    trajectory: Any
    size: float


def along(tree: Any) -> np.ndarray:
    """A pytree with a leading axis of times as rows."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def apart(trajectory: Any, given: Any, right: Any) -> float:
    """The largest difference of two pytrees along time, in tolerances at each time."""
    given, right = along(given), along(right)
    unit = float(trajectory.rtol) * np.abs(right).max(axis=1) + float(trajectory.atol)
    return float((np.abs(given - right).max(axis=1) / unit).max())


def states(trajectory: Any, t: Any) -> Any:
    """The images of the states in which errors count, at some times."""
    dense, system = trajectory.dense, trajectory.system
    times = jnp.atleast_1d(jnp.asarray(t, trajectory.t.dtype))
    return jax.vmap(lambda t: system.controlled(dense.state(t)))(times)


def _moved(rng: np.random.Generator, trajectory: Any, rows: Any) -> tuple[Any, int]:
    """Rows of numbers of which one number of one row is moved, and the row."""
    leaves, structure = jax.tree.flatten(rows)
    leaves = [np.array(leaf) for leaf in leaves]
    row = int(rng.integers(len(leaves[0])))
    largest = max(float(np.abs(leaf[row]).max()) for leaf in leaves)
    unit = float(trajectory.rtol) * largest + float(trajectory.atol)
    leaf = leaves[rng.integers(len(leaves))].reshape(len(leaves[0]), -1)
    sign = rng.choice([-1.0, 1.0])
    leaf[row, rng.integers(leaf.shape[1])] += sign * unit * 10 ** rng.uniform(1, LARGEST)
    return jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in leaves]), row


def position(rng: np.random.Generator, run: Run) -> Spoilt:
    """One number of one position."""
    path = run.trajectory
    x, _ = _moved(rng, path, path.x)
    return Spoilt(eqx.tree_at(lambda tree: tree.x, path, x), apart(path, x, path.x))


def velocity(rng: np.random.Generator, run: Run) -> Spoilt:
    """One number of one velocity."""
    path = run.trajectory
    v, _ = _moved(rng, path, path.v)
    return Spoilt(eqx.tree_at(lambda tree: tree.v, path, v), apart(path, v, path.v))


def state(rng: np.random.Generator, run: Run) -> Spoilt:
    """One number of one state."""
    path = run.trajectory
    moved, _ = _moved(rng, path, path.state)
    image = jax.vmap(path.system.controlled)
    size = apart(path, image(moved), image(path.state))
    return Spoilt(eqx.tree_at(lambda tree: tree.state, path, moved), size)


def time(rng: np.random.Generator, run: Run) -> Spoilt:
    """One time, without a change of the order."""
    path = run.trajectory
    t = np.array(path.t)
    i = int(rng.integers(1, len(t) - 1))
    share = 10 ** rng.uniform(-6, -0.1) * rng.choice([-1.0, 1.0])
    t[i] += share * (t[i + 1] - t[i] if share > 0 else t[i] - t[i - 1])
    size = apart(path, states(path, t[i]), states(path, path.t[i]))
    return Spoilt(eqx.tree_at(lambda tree: tree.t, path, jnp.asarray(t)), size)


def final_state(rng: np.random.Generator, run: Run) -> Spoilt:
    """One number of the last state."""
    path = run.trajectory
    first = lambda tree: jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], tree)
    moved, _ = _moved(rng, path, first(path.final_state))
    image = jax.vmap(path.system.controlled)
    size = apart(path, image(moved), image(first(path.final_state)))
    moved = jax.tree.map(lambda leaf: leaf[0], moved)
    return Spoilt(eqx.tree_at(lambda tree: tree.final_state, path, moved), size)


def events(rng: np.random.Generator, run: Run) -> Spoilt:
    """A line of the ledger: missing, made up, another kind or kink, or another time."""
    path = run.trajectory
    ledger, count = path.events, int(path.events.count)
    columns = [np.array(column) for column in (ledger.t, ledger.kink, ledger.kind)]
    t, kink, kind = columns
    choice = rng.choice(["missing", "kind", "kink", "time"]) if count else "made up"
    i, size = int(rng.integers(max(count, 1))), np.inf
    kinks = max(len(ledger.places), 1)
    if choice == "kink" and kinks == 1:
        choice = "kind"
    if choice == "made up":
        t[0], kink[0], kind[0] = rng.uniform(path.t[0], path.t[-1]), rng.integers(kinks), 0
        count = 1
    elif choice == "missing":
        for column, blank in zip(columns, (np.inf, -1, -1), strict=True):
            column[i:-1], column[-1] = column[i + 1 :].copy(), blank
        count -= 1
    elif choice == "kind":
        kind[i] = (kind[i] + rng.integers(1, 3)) % 3
    elif choice == "kink":
        kink[i] = (kink[i] + rng.integers(1, kinks)) % kinks
    else:
        low = max(t[i - 1], path.t[0]) if i else path.t[0]
        before, moved = t[i], low + (t[i] - low) * rng.random()
        t[i] = moved
        size = apart(path, states(path, moved), states(path, before))
    spoilt = eqx.tree_at(
        lambda tree: (tree.count, tree.t, tree.kink, tree.kind),
        ledger,
        (jnp.asarray(count), *map(jnp.asarray, columns)),
    )
    return Spoilt(eqx.tree_at(lambda tree: tree.events, path, spoilt), size)


def dense(rng: np.random.Generator, run: Run) -> Spoilt:
    """The dense output of a run from another start."""
    path = run.trajectory
    shift = 10 ** rng.uniform(-9, -1) * run.scale * rng.normal(size=run.kind.dim)
    other = run.again(start=run.start + shift)
    end = min(float(path.result.t), float(other.result.t))
    times = np.linspace(float(path.t[0]), end, 33)
    size = apart(path, states(other, times), states(path, times))
    if float(other.result.t) != float(path.result.t):
        size = np.inf
    return Spoilt(eqx.tree_at(lambda tree: tree.dense, path, other.dense), size)


def parameter(rng: np.random.Generator, run: Run) -> Spoilt:
    """One parameter of the system or its loss, off by one per cent."""
    path = run.trajectory
    leaves, structure = jax.tree.flatten(path.system)
    i = int(rng.integers(len(leaves)))
    leaves[i] = leaves[i] * jnp.asarray(1.01, leaves[i].dtype)
    system = jax.tree.unflatten(structure, leaves)
    other = run.again(system=system, factor=0.1)
    size = apart(path, path.x, other.x) if bool(other.result.ok) else np.inf
    return Spoilt(eqx.tree_at(lambda tree: tree.system, path, system), size)


FAULTS: dict[str, Callable[[np.random.Generator, Run], Spoilt]] = {
    "x": position,
    "v": velocity,
    "state": state,
    "t": time,
    "final state": final_state,
    "events": events,
    "dense output": dense,
    "parameter": parameter,
}

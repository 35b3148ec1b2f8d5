import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import dynsys as ds

DRAWINGS = {
    "level_lines": ds.plots.level_lines,
    "comparison": ds.plots.comparison,
    "objective_along_time": lambda _, *paths, **options: ds.plots.objective_along_time(
        *paths, **options
    ),
    "phase_portrait": lambda _, *paths, **options: ds.plots.phase_portrait(
        *paths, **options
    ),
    "distance_along_time": lambda _, *paths, **options: ds.plots.distance_along_time(
        *paths, reference=paths[0] if paths else None, **options
    ),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_batch_is_refused(name, objective, trajectory):
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), trajectory)
    with pytest.raises(ValueError, match=r"got a batch of shape \(2,\). Pick a member"):
        DRAWINGS[name](objective, batch)


@pytest.mark.parametrize("name", DRAWINGS)
def test_what_is_not_a_trajectory_is_refused(name, objective):
    with pytest.raises(TypeError, match=r"draws trajectories that `dynsys\.simulate`"):
        DRAWINGS[name](objective, jnp.ones((5, 2)))


@pytest.mark.parametrize("name", [name for name in DRAWINGS if name != "level_lines"])
def test_no_trajectory_is_refused(name, objective):
    with pytest.raises(ValueError, match=f"`{name}` got no trajectory. Pass one"):
        DRAWINGS[name](objective)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_trajectory_without_finite_positions_is_refused(name, objective, trajectory):
    lost = eqx.tree_at(lambda tree: tree.x, trajectory, trajectory.x * jnp.nan)
    with pytest.raises(ValueError, match="without any finite position"):
        DRAWINGS[name](objective, lost)


@pytest.mark.parametrize("name", DRAWINGS)
def test_too_many_labels_are_refused(name, objective, trajectory):
    with pytest.raises(ValueError, match="`labels` must have one entry a trajectory"):
        DRAWINGS[name](objective, trajectory, labels=["a", "b"])


@pytest.mark.parametrize("name", [name for name in DRAWINGS if name != "comparison"])
def test_too_few_looks_are_refused(name, objective, trajectory):
    with pytest.raises(ValueError, match="`looks` must have one entry a trajectory"):
        DRAWINGS[name](objective, trajectory, looks=[])

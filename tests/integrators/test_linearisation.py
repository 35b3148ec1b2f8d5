"""The linear systems of a step: by structure as by the Jacobian of the whole state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.integrators.solvers.linearisation import linearise
from dynsys.schedules import Exponential, PowerLaw

SYSTEMS = {
    "gradient flow": ds.GradientFlow,
    "DIN": lambda f: ds.DIN(f, 1.3, 0.2),
    "g-DIN": lambda f: ds.GDIN(f, 1.3, 0.2),
    "AVD": lambda f: ds.AVD(f, 3.1),
    "VM-DIN-AVD": lambda f: ds.VMDINAVD(f, PowerLaw(1e-6, 4.0), PowerLaw(0.3, 1.0), 0.7),
    "general": lambda f: ds.InertialNewton(
        f,
        PowerLaw(0.5, 2.0),
        PowerLaw(0.3, 1.0),
        Exponential(0.4, 0.3),
        PowerLaw(2.0, -1.0),
    ),
    "with Hessian": lambda f: ds.DIN(f, 1.3, 0.2, hessian_free=False),
}


def coupled(x):
    return jnp.sum(jnp.cosh(x)) + 0.5 * jnp.sum(x) ** 2 + jnp.sum(x**4)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_structure_changes_nothing(name, dim):
    system, t = SYSTEMS[name](coupled), jnp.asarray(0.8)
    x = jnp.linspace(-0.5, 0.9, dim)
    state = system.initial_state(t, x, None if system.order == 1 else 1 - x)
    field, shift = system.vector_field, jnp.asarray(31.0)
    right_side = jax.tree.map(lambda leaf: jnp.cos(3 * leaf + 1), state)

    @jax.jit
    def both():
        parts = [linearise(field, t, state, args, shift) for args in (system, None)]
        return [(part.solve(right_side), part.time_derivative) for part in parts]

    by_structure, by_jacobian = both()
    for a, b in zip(
        jax.tree.leaves(by_structure), jax.tree.leaves(by_jacobian), strict=True
    ):
        scale = float(jnp.abs(b).max())
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_a_step_beyond_the_growth_at_a_saddle_gives_no_number(dim):
    weights = jnp.ones(dim).at[-1].set(-2.0)
    system = ds.GradientFlow(lambda x: 0.5 * jnp.sum(weights * x**2))
    state = system.initial_state(0.0, jnp.ones(dim), None)
    solve = lambda shift: linearise(
        system.vector_field, jnp.asarray(0.0), state, system, jnp.asarray(shift)
    ).solve(state)
    assert jnp.isfinite(solve(2.1).x).all()
    assert not jnp.isfinite(solve(1.9).x).all()


def test_a_run_from_near_a_saddle_leaves_it_at_full_order():
    system = ds.GradientFlow(lambda x: 0.5 * (x[0] ** 2 - 2 * x[1] ** 2))
    run = ds.simulate(system, [1.0, 1e-3], t1=4.0, times=5, rtol=1e-8, atol=1e-12)
    exact = np.stack([np.exp(-run.t), 1e-3 * np.exp(2 * np.asarray(run.t))], axis=1)
    np.testing.assert_allclose(run.x, exact, rtol=1e-6)

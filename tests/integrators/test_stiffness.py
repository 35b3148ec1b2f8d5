"""The fastest rate of a system, and which solver an ensemble gets by it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.integrators.ensemble.member import Numbers
from dynsys.integrators.ensemble.mild import is_undecided, known_of
from dynsys.integrators.solvers.stiffness import fastest_rate
from dynsys.trees import as_vector, from_vector


def bowl(largest, size=20):
    weights = jnp.asarray(np.geomspace(1.0, largest, size))
    return lambda x: 0.5 * jnp.sum(weights * x**2)


@pytest.mark.parametrize(
    "system",
    [
        ds.GradientFlow(bowl(50.0, 3)),
        ds.DIN(bowl(50.0, 3), 1.0, 0.1),
        ds.HeavyBall(bowl(50.0, 3), 0.1),  # complex eigenvalues
    ],
    ids=["flow", "DIN", "heavy ball"],
)
def test_the_rate_is_the_modulus_of_the_largest_eigenvalue(system):
    t, state = jnp.asarray(0.0), system.initial_state(jnp.asarray(0.0), jnp.ones(3), None)
    field = lambda vector: as_vector(system.vector_field(t, from_vector(vector, state)))
    exact = np.abs(np.linalg.eigvals(jax.jacobian(field)(as_vector(state)))).max()
    assert float(fastest_rate(system, t, state)) == pytest.approx(exact, rel=0.2)


STARTS = np.linspace(-1.0, 1.0, 8 * 20).reshape(8, 20)


@pytest.mark.parametrize(("largest", "solver"), [(50.0, "Tsit5"), (1e6, "Rodas5P")])
def test_members_with_many_coordinates_get_a_solver_by_their_rates(largest, solver):
    loss = bowl(largest)
    numbers = Numbers(None, np.asarray(2.0), None, None, None, None)
    case = lambda x0: (ds.GDIN(loss, 1.0, 0.1), x0)
    explicit = known_of(case, numbers, ("x0",), [STARTS]).explicit
    assert bool(explicit) == (solver == "Tsit5")
    run = ds.simulate_ensemble(case, x0=STARTS, t1=2.0, times=2)
    assert run.stats.solver == solver
    assert ("not stiff at some of the starts" in run.stats.reason) == (solver == "Tsit5")


def test_elsewhere_the_rates_are_not_asked_for():
    assert [is_undecided(n) for n in (2, 32, 34, 128, 130)] == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_a_state_or_a_singular_start_is_no_obstacle():
    system = ds.DIN(bowl(50.0), 1.0, 0.1)
    numbers = Numbers(None, np.asarray(2.0), None, None, None, None)
    case = lambda x0: (system, system.state(x0, x0))
    assert known_of(case, numbers, ("x0",), [STARTS]).explicit
    singular = lambda x0: (ds.AVD(bowl(50.0), 3.0), x0)
    assert known_of(singular, numbers, ("x0",), [STARTS]).explicit

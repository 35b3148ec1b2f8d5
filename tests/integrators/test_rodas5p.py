"""The Rosenbrock method: order, dense output, stiffness, cost."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.integrators import Rodas5P


def solve(field, y0, t1, steps):
    return diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        Rodas5P(),
        0.0,
        t1,
        t1 / steps,
        y0,
        saveat=diffrax.SaveAt(t1=True, dense=True),
        max_steps=steps + 1,
    )


def slope(sizes, errors):
    return np.polyfit(np.log(sizes), np.log(errors), 1)[0]


def riccati(t, y, args):
    """y' = -y^2 cos t with y(0) = 1: y = 1 / (1 + sin t)."""
    return -(y**2) * jnp.cos(t)


STEPS = np.array([10, 20, 40, 80])
TIMES = jnp.linspace(0.013, 1.97, 41)


def errors_of(quantity, exact):
    errors = []
    for steps in STEPS:
        solution = solve(riccati, jnp.array(1.0), 2.0, int(steps))
        errors.append(np.abs(quantity(solution) - exact).max())
    return errors


@pytest.mark.slow
def test_order_is_five():
    errors = errors_of(lambda s: s.ys[-1], 1 / (1 + jnp.sin(2.0)))
    assert abs(slope(2 / STEPS, errors) - 5) < 0.2


def test_dense_output_has_error_of_order_five():
    exact = 1 / (1 + jnp.sin(TIMES))
    errors = errors_of(lambda s: jax.vmap(s.interpolation.evaluate)(TIMES), exact)
    assert abs(slope(2 / STEPS, errors) - 5) < 0.2


def test_derivative_of_dense_output_has_order_four():
    exact = -jnp.cos(TIMES) / (1 + jnp.sin(TIMES)) ** 2
    errors = errors_of(lambda s: jax.vmap(s.interpolation.derivative)(TIMES), exact)
    # The largest error moves between fixed output times as the steps shrink.
    assert abs(slope(2 / STEPS, errors) - 4) < 0.3


@pytest.mark.parametrize("rate", [1e2, 1e5, 1e8])
def test_stiff_steps_far_beyond_the_fast_scale_stay_accurate(rate):
    """The problem of Prothero and Robinson: y' = -rate (y - cos t) - sin t."""
    field = lambda t, y, args: -rate * (y - jnp.cos(t)) - jnp.sin(t)
    solution = solve(field, jnp.array(1.0), 2.0, 20)
    np.testing.assert_allclose(solution.ys[-1], jnp.cos(2.0), atol=1e-7)


def test_error_at_infinite_stiffness_vanishes():
    """L-stability: one step of a decay of rate 1e12 leaves nothing."""
    solution = solve(lambda t, y, args: -1e12 * y, jnp.array(1.0), 1.0, 1)
    assert abs(float(solution.ys[-1])) < 1e-6


def coupled(x):
    quadratic = 0.5 * (x[0] ** 2 + 10 * x[1] ** 2) + 0.3 * x[0] * x[1]
    return quadratic + jnp.sum(jnp.log(jnp.cosh(x)))


NEWTON = ds.ContinuousNewton(coupled)
FEW_STEPS = np.array([5, 10, 20, 40])


@jax.jit
def perturbed(epsilon, steps):
    """Position and velocity at t = 2 of VM-DIN-AVD that starts with Newton's velocity."""
    x0, zero, end = jnp.array([1.0, 2.0]), jnp.array(0.0), jnp.array(2.0)
    system = ds.VMDINAVD(coupled, epsilon, epsilon / 2, 1.0)
    v0 = NEWTON.velocity(zero, NEWTON.initial_state(zero, x0, None))
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: args.vector_field(jnp.asarray(t), y)),
        Rodas5P(),
        zero,
        end,
        end / steps,
        system.initial_state(zero, x0, v0),
        args=system,
        saveat=diffrax.SaveAt(t1=True, dense=True),
        max_steps=1000,
    )
    return solution.ys.x[-1], solution.interpolation.derivative(end).x


def test_order_in_the_limit_of_vanishing_mass_is_that_of_the_method():
    """Stiff accuracy: at epsilon = 1e-10 the solution is continuous Newton's to 1e-11."""
    exact = ds.integrators.newton_path(NEWTON, [1.0, 2.0], t1=2.0, times=2)
    errors, of_velocity = [], []
    for steps in FEW_STEPS:
        x, v = perturbed(1e-10, float(steps))
        errors.append(np.abs(x - exact.x[-1]).max())
        of_velocity.append(np.abs(v - exact.v[-1]).max())
    # The last of them is at the 1e-11 that the mass itself makes.
    assert 4.8 < slope(2 / FEW_STEPS[:3], errors[:3]) < 5.4
    assert abs(slope(2 / FEW_STEPS, of_velocity) - 3) < 0.2


@pytest.mark.parametrize("epsilon", [1e-2, 1e-4, 1e-6])
def test_order_reduction_is_at_most_to_two_and_in_proportion_to_the_mass(epsilon):
    """The error is at most O(h^5) + O(epsilon h^2), and no less where that ends."""
    sizes = 2 / FEW_STEPS
    exact, _ = perturbed(epsilon, 1000.0)
    errors = [np.abs(perturbed(epsilon, float(n))[0] - exact).max() for n in FEW_STEPS]
    bound = 2e-6 * sizes**5 + 5e-4 * epsilon * sizes**2
    assert (errors < bound).all()
    assert slope(sizes, errors) > 1.8
    if epsilon == 1e-4:
        assert errors[-1] > 5e-5 * epsilon * sizes[-1] ** 2


def test_linear_systems_of_pytrees_keep_their_structure():
    field = lambda t, y, args: {"a": y["b"], "b": -y["a"]}
    y0 = {"a": jnp.ones((2, 1)), "b": jnp.zeros((2, 1))}
    solution = solve(field, y0, 1.0, 20)
    np.testing.assert_allclose(solution.ys["a"][-1], np.full((2, 1), np.cos(1)), atol=1e-8)


def test_cost_is_eight_stages_and_one_linearisation_a_step():
    stats = ds.simulate(ds.DIN(lambda x: 0.5 * x**2, 1.0, 0.1), 1.0, t1=5.0).stats
    attempts = int(stats.steps + stats.rejected)
    assert stats.solver == "Rodas5P"
    assert int(stats.hessians) == attempts
    assert int(stats.gradient_evaluations) == 2 + 9 * attempts


def test_steps_do_not_grow_as_the_mass_vanishes():
    f = ds.objectives.LogCosh([1.0, 10.0])
    steps = []
    for mass in (1.0, 1e-3, 1e-6, 1e-10):
        epsilon = ds.schedules.PowerLaw(mass, 4.0)
        damping = ds.schedules.PowerLaw(mass / 2, 4.0)
        system = ds.VMDINAVD(f, epsilon, damping, 1.0)
        steps.append(int(ds.simulate(system, [1.0, 2.0], [1.0, -1.0], t1=20.0).stats.steps))
    assert max(steps) < 2 * steps[0]

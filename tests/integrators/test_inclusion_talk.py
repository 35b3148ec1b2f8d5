"""The function of the talk: golden values, an independent solution, order, cost."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.integrators.inclusion.piece_system import multipliers
from tests.integrators import event_driven
from tests.integrators.kinked import CROSS, LEAVE, SLIDE, TIGHT, ledger, talk

GOLDEN = {
    0.5: (-1.1796119206, 1.1818201352),
    1.0: (-1.0513824123, 1.0538822860),
    2.0: (-0.7177979251, 0.7202979251),
    5.0: (0.2261791526, 0.2236791492),
    10.0: (1.0000000000, 1.0000000001),
}
"""theta of g-DIN on the function of the talk, alpha = 1.3, beta = 0.1, from (-1, 1.5)."""


def test_golden_values_of_the_talk():
    system = ds.GDIN(talk, 1.3, 0.1)
    start = system.state([-1.0, 1.5], system.initial_psi([-1.0, 1.5], speed=0.1))
    times = jnp.array([0.0, *GOLDEN])
    run = ds.simulate(system, start, t1=10.0, times=times, **TIGHT)
    np.testing.assert_allclose(run.x[1:], list(GOLDEN.values()), atol=1e-8)
    when, which, kinds = ledger(run)
    expected = [3.911841, 7.164822, 8.085674, 8.093186, 8.362618]
    np.testing.assert_allclose(when, expected, atol=1e-6)
    assert list(which) == [0, 1, 1, 1, 1]
    assert list(kinds) == [CROSS, CROSS, SLIDE, LEAVE, SLIDE]


@pytest.mark.slow
def test_the_talk_slides_on_a_convex_part_of_the_first_kink():
    run = ds.simulate(ds.GDIN(talk, 1.0, 1.0), [-1.5, 1.0], t1=12.0, **TIGHT)
    when, which, kinds = ledger(run)
    np.testing.assert_allclose(when, [3.4822464, 5.3058019, 8.2508333], atol=1e-7)
    assert list(which) == [0, 0, 1]
    assert list(kinds) == [SLIDE, LEAVE, SLIDE]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alpha", "beta", "start", "end", "kinds"),
    [
        (1.3, 0.1, (-1.0, 1.5), 10.0, ["cross", "cross", "slide", "leave", "slide"]),
        (1.0, 1.0, (-1.5, 1.0), 12.0, ["slide", "leave", "slide"]),
        (0.3, 0.1, (-1.0, 1.5), 6.0, ["cross", "cross"]),
    ],
)
def test_the_talk_agrees_with_an_event_driven_integration(alpha, beta, start, end, kinds):
    system = ds.GDIN(talk, alpha, beta)
    psi = system.initial_psi(start)
    times = np.linspace(0, end, 101)
    exact, events = event_driven.solve(alpha, beta, start, np.asarray(psi), times)
    assert [kind for _, _, kind in events] == kinds
    run = ds.simulate(system, system.state(start, psi), t1=end, times=times, **TIGHT)
    assert np.abs(np.asarray(run.x) - exact).max() < 1e-7
    when, which, found = ledger(run)
    np.testing.assert_allclose(when, [t for t, _, _ in events], atol=1e-7)
    assert [int(k) for k in which] == [kink for _, kink, _ in events]
    assert [("cross", "slide", "leave")[k] for k in found] == kinds


@pytest.mark.slow
def test_a_run_that_is_stopped_at_its_start_shows_the_velocity_there():
    stop = lambda t, x, v: t >= 0.0
    run = ds.simulate(ds.GDIN(talk, 1.0, 1.0), [-1.5, 1.0], t1=12.0, stop=stop)
    np.testing.assert_array_equal(run.v[0], [0.0, 0.0])


@pytest.mark.slow
def test_the_inclusion_holds_along_the_dense_output():
    """Its residual is small, signs are those of the position, multipliers in [-1, 1]."""
    system = ds.GDIN(talk, 1.0, 1.0)
    run = ds.simulate(system, [-1.5, 1.0], t1=12.0, dense=True, **TIGHT)

    def residual(t):
        state, slope = run.dense.state(t), run.dense.slope(t)
        piece = run.dense.system_at(t, system)
        signs = multipliers(piece, t, state)
        field = piece.vector_field(t, state)
        gap = jax.tree.map(jnp.subtract, slope, field)
        size = lambda tree: jnp.sqrt(sum(jnp.sum(a**2) for a in jax.tree.leaves(tree)))
        z = piece.objective.switching(state.theta, signs)
        wrong = jnp.where(piece.mode.held, jnp.abs(z), jnp.maximum(-signs * z, 0))
        return size(gap) / (1 + size(slope)), jnp.max(jnp.abs(signs)), jnp.max(wrong)

    gaps, signs, wrong = jax.vmap(residual)(jnp.linspace(0.001, 11.999, 2001))
    assert gaps.max() < 1e-6
    assert signs.max() <= 1 + 1e-8
    assert wrong.max() < 1e-9


@pytest.mark.slow
def test_the_order_is_kept_across_events():
    """Errors against steps, averaged over starts that cross, slide and leave."""
    system = ds.GDIN(talk, 1.3, 0.1)
    shifts = 0.05 * np.random.default_rng(1).normal(size=(16, 2))

    @jax.jit
    @partial(jax.vmap, in_axes=(0, None))
    def solve(x, tol):
        start = system.state(x, system.initial_psi(x, speed=0.1))
        return ds.simulate(system, start, t1=8.09, times=21, rtol=tol, atol=1e-2 * tol)

    starts = jnp.asarray(np.array([-1.0, 1.5]) + shifts)
    exact = solve(starts, 1e-13)
    kinds = {tuple(row[row >= 0]) for row in np.asarray(exact.events.kind)}
    assert {CROSS, SLIDE, LEAVE} <= set().union(*kinds)
    steps, errors = [], []
    for tol in 10.0 ** -np.arange(5.0, 11.1, 0.5):
        runs = solve(starts, tol)
        np.testing.assert_array_equal(runs.events.kind, exact.events.kind)
        steps.append(np.log(np.asarray(runs.stats.steps)).mean())
        errors.append(np.log(np.abs(runs.x - exact.x).max((1, 2))).mean())
    slope = np.polyfit(steps, errors, 1)[0]
    assert abs(slope + 5) < 0.3


@pytest.mark.slow
def test_cost_on_the_function_of_the_talk():
    """An error of 1e-8 takes at most 2,000 gradients."""
    system = ds.GDIN(talk, 1.0, 1.0)
    solve = lambda tol: ds.simulate(
        system, [-1.5, 1.0], t1=12.0, times=121, rtol=tol, atol=1e-3 * tol
    )
    exact, run = solve(1e-12), solve(1e-8)
    assert float(jnp.abs(run.x - exact.x).max()) < 1e-8
    assert int(run.stats.gradient_evaluations) < 2000


@pytest.mark.slow
def test_512_starts_at_once_have_the_ledgers_of_their_single_runs():
    system = ds.GDIN(talk, 1.3, 0.1)
    starts = np.random.default_rng(0).uniform(-2, 2, (512, 2))
    starts[0] = [0.0, 0.5]
    solve = lambda x: ds.simulate(system, x, t1=2.0, times=5)
    alone = jax.jit(lambda xs: jax.lax.map(solve, xs))(jnp.asarray(starts))
    batch = jax.jit(jax.vmap(solve))(jnp.asarray(starts))
    assert bool(batch.result.ok.all()), batch.result.message
    assert int(batch.events.count.max()) > 3
    for name in ("count", "kink", "kind"):
        np.testing.assert_array_equal(
            getattr(batch.events, name), getattr(alone.events, name)
        )
    np.testing.assert_allclose(batch.events.t, alone.events.t, atol=1e-6)
    np.testing.assert_allclose(batch.x, alone.x, rtol=1e-4, atol=1e-7)

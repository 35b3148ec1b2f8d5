"""Differential inclusions against exact solutions and golden values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import lambertw

import dynsys as ds
from dynsys.integrators.inclusion.mode import multipliers
from tests.integrators import event_driven

TIGHT = {"rtol": 1e-9, "atol": 1e-12}
CROSS, SLIDE, LEAVE = 0, 1, 2


def absolute(x):
    return jnp.sum(jnp.abs(x))


def ledger(trajectory):
    """Times, kinks and kinds of the events that happened."""
    events, count = trajectory.events, int(trajectory.events.count)
    return [np.asarray(a)[:count] for a in (events.t, events.kink, events.kind)]


def sticking(alpha, beta, theta0):
    """Time, number of crossings and psi of g-DIN on |theta| from rest-like psi0.

    From psi0 = (1 - alpha beta) theta0; derived in closed form, with Lambert's W.
    """
    if alpha == 0:
        u = np.sqrt(beta**2 + 2 * theta0)
        number = max(int(np.ceil(u / (2 * beta))) - 1, 0)
        ks = np.arange(1, number + 1)
        return u - beta + 2 * np.sum(u - 2 * beta * ks), number, None
    a1, a2 = alpha**2 * theta0 + 1 - alpha * beta, 1 - alpha * beta
    y = a1 + lambertw(-a2 * np.exp(-a1)).real
    t, u, number = y / alpha, 1 / alpha - (1 / alpha - beta) * np.exp(-y), 0
    while u > 2 * beta:
        u -= 2 * beta
        c = 1 + alpha * u
        tau = (c + lambertw(-c * np.exp(-c)).real) / alpha
        t, u, number = t + tau, tau - u, number + 1
    return t, number, -beta * (-1) ** number * (beta - u)


@pytest.mark.parametrize(
    ("alpha", "beta", "theta0"),
    [(0.5, 0.1, 1.0), (0.0, 0.3, 1.0), (0.0, 0.1, 6.2), (1.0, 1.0, 2.0), (0.2, 0.05, 0.7)],
)
def test_g_din_sticks_to_the_kink_when_and_as_it_should(alpha, beta, theta0):
    system = ds.GDIN(absolute, alpha, beta)
    start = system.state(theta0, (1 - alpha * beta) * theta0)
    t, number, psi = sticking(alpha, beta, theta0)
    run = ds.simulate(system, start, t1=t + 1, dense=True, **TIGHT)
    times, _, kinds = ledger(run)
    assert list(kinds) == [CROSS] * number + [SLIDE]
    assert abs(times[-1] - t) < 1e-8
    assert bool(run.unique)
    assert abs(float(run(t + 0.5))) < 1e-12
    if psi is not None:
        after = run.dense.state(jnp.array(t + 0.5)).psi
        np.testing.assert_allclose(after, psi * np.exp(-0.5 / beta), atol=1e-8)


GOLDEN = {
    0.5: (-1.1796119206, 1.1818201352),
    1.0: (-1.0513824123, 1.0538822860),
    2.0: (-0.7177979251, 0.7202979251),
    5.0: (0.2261791526, 0.2236791492),
    10.0: (1.0000000000, 1.0000000001),
}
"""theta of g-DIN on the function of the talk, alpha = 1.3, beta = 0.1, from (-1, 1.5)."""


def talk(theta):
    return 100 * (theta[1] - jnp.abs(theta[0])) ** 2 + jnp.abs(1 - theta[0])


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


def test_the_talk_slides_on_a_convex_part_of_the_first_kink():
    run = ds.simulate(ds.GDIN(talk, 1.0, 1.0), [-1.5, 1.0], t1=12.0, **TIGHT)
    when, which, kinds = ledger(run)
    np.testing.assert_allclose(when, [3.4822464, 5.3058019, 8.2508333], atol=1e-7)
    assert list(which) == [0, 0, 1]
    assert list(kinds) == [SLIDE, LEAVE, SLIDE]


def test_gradient_flow_of_the_absolute_value():
    run = ds.simulate(ds.GradientFlow(absolute), [1.0, -2.0], t1=3.0, times=31, **TIGHT)
    t = np.asarray(run.t)[:, None]
    exact = np.sign([1.0, -2.0]) * np.maximum(np.array([1.0, 2.0]) - t, 0)
    np.testing.assert_allclose(run.x, exact, atol=1e-9)
    away = (np.abs(t[:, 0] - 1) > 1e-6) & (np.abs(t[:, 0] - 2) > 1e-6)
    speed = np.where(np.array([1.0, 2.0]) > t, -np.sign([1.0, -2.0]), 0.0)
    np.testing.assert_allclose(np.asarray(run.v)[away], speed[away], atol=1e-7)


def test_gradient_flow_of_the_largest_entry_dies_at_the_1_norm():
    largest = lambda x: jnp.max(jnp.abs(x))
    run = ds.simulate(ds.GradientFlow(largest), [1.0, -0.4, 0.3], t1=2.0, **TIGHT)
    arrived = float(run.t[np.argmax(np.abs(np.asarray(run.x)).max(1) < 1e-7)])
    assert abs(arrived - 1.7) < 0.02
    np.testing.assert_allclose(run.objective[-1], 0, atol=1e-8)


@pytest.mark.parametrize("rho", [0.4, 1.5])
def test_gradient_flow_on_a_curved_kink(rho):
    """On the parabola y = 4 x1^2 obeys y e^y = y0 e^(y0 - 4t), and leaves at 1/rho - 1."""
    loss = lambda x: rho * jnp.abs(x[1] - x[0] ** 2) + x[1]
    x1 = 1.0
    run = ds.simulate(
        ds.GradientFlow(loss), [x1, x1**2], t1=2.0, times=201, dense=True, **TIGHT
    )
    y0 = 4 * x1**2
    leave = 1 / rho - 1
    end = 2.0
    if rho < 1 and leave < y0:
        end = 0.25 * ((y0 + np.log(y0)) - (leave + np.log(leave)))
        when, _, kinds = ledger(run)
        assert LEAVE in kinds
        assert abs(when[list(kinds).index(LEAVE)] - end) < 1e-7
    on = np.asarray(run.t) < min(end, 2.0)
    y = lambertw(y0 * np.exp(y0 - 4 * np.asarray(run.t)[on])).real
    np.testing.assert_allclose(run.x[on, 0], np.sqrt(y) / 2, atol=1e-8)
    np.testing.assert_allclose(run.x[on, 1], y / 4, atol=1e-8)


def test_stick_then_leave():
    """J = rho |theta| + c theta with c > rho holds beta ln(1 + u/(beta (c - rho)))."""
    rho, c, beta = 1.0, 1.5, 0.2
    loss = lambda x: rho * jnp.abs(x) + c * x
    system = ds.GDIN(loss, 0.0, beta)
    # From theta < 0 with a speed that arrives between 0 and 2 beta rho.
    start = system.initial_state(jnp.array(0.0), jnp.array(-0.01), jnp.array(0.25))
    run = ds.simulate(system, start, t1=3.0, **TIGHT)
    when, _, kinds = ledger(run)
    assert list(kinds) == [SLIDE, LEAVE]
    a = c - rho
    # Before: theta'' = -a, so the speed of arrival follows from the energy.
    u = np.sqrt(0.25**2 - 2 * a * 0.01)
    assert 0 < u <= 2 * beta * rho
    held = beta * np.log(1 + u / (beta * a))
    np.testing.assert_allclose(when[0], (0.25 - u) / a, atol=1e-8)
    np.testing.assert_allclose(when[1] - when[0], held, atol=1e-8)
    assert float(run.x[-1]) < -0.1


def test_variable_mass_drops_its_momentum_at_each_crossing():
    """On |x| the momentum epsilon x' drops by 2 beta a crossing; it sticks below that."""
    beta = 0.1
    epsilon = lambda t: 1.0 + 0.5 * t
    system = ds.VMDINAVD(absolute, epsilon, 1.0, beta)
    run = ds.simulate(system, 0.5, t1=40.0, dense=True, **TIGHT)
    when, _, kinds = ledger(run)
    assert kinds[-1] == SLIDE
    assert (kinds[:-1] == CROSS).all()
    for t, kind in zip(when, kinds, strict=True):
        before = float(epsilon(t) * run.velocity(t - 1e-7))
        after = float(epsilon(t) * run.velocity(t + 1e-7))
        if kind == CROSS:
            np.testing.assert_allclose(abs(before) - abs(after), 2 * beta, atol=1e-5)
        else:
            assert abs(before) <= 2 * beta + 1e-6
            assert abs(after) < 1e-9


def test_din_avd_from_rest_sticks():
    """DIN-AVD on |x| sticks at sqrt(2 (alpha + 1) x0) iff x0 <= 2 beta^2 (alpha + 1)."""
    alpha, beta = 3.0, 0.5
    system = ds.DINAVD(absolute, alpha=alpha, beta=beta)
    x0 = 1.5
    assert x0 <= 2 * beta**2 * (alpha + 1)
    run = ds.simulate(system, x0, t1=5.0, **TIGHT)
    when, _, kinds = ledger(run)
    assert list(kinds) == [SLIDE]
    np.testing.assert_allclose(when[0], np.sqrt(2 * (alpha + 1) * x0), atol=1e-7)


def test_a_concave_kink_met_exactly_has_several_solutions():
    loss = lambda x: -jnp.abs(x) + 0.5 * x**2
    on_it = ds.simulate(ds.GDIN(loss, 0.5, 0.4), 0.0, t1=1.0)
    assert not bool(on_it.unique)
    across = ds.simulate(ds.GDIN(loss, 0.5, 0.4), 0.3, -2.0, t1=1.0)
    assert list(ledger(across)[2]) == [CROSS]
    assert bool(across.unique)


def test_fifty_coordinates_stick_one_by_one():
    beta, starts = 0.3, np.linspace(0.2, 2.0, 50)
    system = ds.GDIN(absolute, 0.0, beta)
    run = ds.simulate(
        system, system.state(starts, starts), t1=12.0, max_events=1024, **TIGHT
    )
    when, which, kinds = ledger(run)
    for i, start in enumerate(starts):
        t, number, _ = sticking(0.0, beta, start)
        mine = which == i
        assert list(kinds[mine]) == [CROSS] * number + [SLIDE]
        assert abs(when[mine][-1] - t) < 1e-7
    np.testing.assert_allclose(run.x[-1], 0, atol=1e-12)


def test_batches_have_the_ledgers_of_their_members():
    system = ds.GDIN(talk, 1.3, 0.1)
    starts = jnp.array([[-1.0, 1.5], [0.5, -1.0], [2.0, 1.0], [0.0, 0.5]])
    alone = [ds.simulate(system, x, t1=6.0, times=7) for x in starts]
    batch = jax.vmap(lambda x: ds.simulate(system, x, t1=6.0, times=7))(starts)
    for i, one in enumerate(alone):
        np.testing.assert_allclose(batch.x[i], one.x, atol=1e-6)
        assert int(batch.events.count[i]) == int(one.events.count)
        np.testing.assert_allclose(batch.events.t[i], one.events.t, atol=1e-6)


def test_heavy_ball_crosses_ever_faster_and_says_so():
    with pytest.raises(ds.SimulationError, match="max_events"):
        ds.simulate(ds.HeavyBall(absolute, 1.0), 1.0, t1=50.0, max_events=20)


def test_systems_with_a_hessian_are_refused():
    with pytest.raises(ValueError, match="no differential inclusion"):
        ds.simulate(ds.DIN(absolute, 1.0, 0.1, hessian_free=False), 1.0, t1=1.0)


def test_a_derivative_across_kinks_is_refused():
    end = lambda x: ds.simulate(ds.GDIN(absolute, 0.5, 0.1), x, t1=1.0).x[-1]
    with pytest.raises(ValueError, match="no derivative in this version"):
        jax.grad(end)(1.0)


def test_the_energy_of_g_din_never_grows():
    alpha, beta = 0.5, 0.2
    random = np.random.default_rng(0)
    matrix, target = random.normal(size=(20, 8)), random.normal(size=20)
    loss = lambda x: 0.5 * jnp.mean((matrix @ x - target) ** 2) + 0.3 * absolute(x)
    system = ds.GDIN(loss, alpha, beta)
    run = ds.simulate(system, random.normal(size=8), t1=30.0, times=600)
    linear = (alpha - 1 / beta) * run.state.theta + run.state.psi / beta
    energy = (1 + alpha * beta) * run.objective + 0.5 * jnp.sum(linear**2, axis=1)
    assert np.diff(energy).max() < 1e-5
    # The end is the Lasso's solution: by its optimality conditions.
    x, gradient = run.x[-1], jax.grad(lambda x: 0.5 * jnp.mean((matrix @ x - target) ** 2))
    slopes = np.asarray(gradient(x))
    held = np.abs(np.asarray(x)) < 1e-10
    assert held.any()
    assert (np.abs(slopes[held]) <= 0.3 + 1e-4).all()
    np.testing.assert_allclose(slopes[~held], -0.3 * np.sign(x[~held]), atol=1e-3)


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


def test_the_order_is_kept_across_events():
    """Errors at the end of a run that crosses, slides and leaves, against its steps."""
    system = ds.GDIN(talk, 1.3, 0.1)
    start = system.state([-1.0, 1.5], system.initial_psi([-1.0, 1.5], speed=0.1))
    solve = lambda tol: ds.simulate(
        system, start, t1=8.09, times=21, rtol=tol, atol=1e-2 * tol
    )
    exact = solve(1e-12).x
    tolerances = 10.0 ** -np.arange(5.0, 10.1, 0.5)
    runs = [solve(tol) for tol in tolerances]
    steps = [int(run.stats.steps) for run in runs]
    errors = [float(jnp.abs(run.x - exact).max()) for run in runs]
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(slope + 5) < 0.5


def test_cost_on_the_function_of_the_talk():
    """An error of 1e-8 takes at most 2,000 gradients."""
    system = ds.GDIN(talk, 1.0, 1.0)
    solve = lambda tol: ds.simulate(
        system, [-1.5, 1.0], t1=12.0, times=121, rtol=tol, atol=1e-3 * tol
    )
    exact, run = solve(1e-12), solve(1e-8)
    assert float(jnp.abs(run.x - exact.x).max()) < 1e-8
    assert int(run.stats.gradient_evaluations) < 2000


def test_many_starts_at_once():
    system = ds.GDIN(talk, 1.3, 0.1)
    starts = jnp.asarray(np.random.default_rng(0).uniform(-2, 2, (512, 2)))
    solve = lambda x: ds.simulate(system, x, t1=4.0, times=5)
    batch = jax.vmap(solve)(starts)
    assert bool(batch.result.ok.all()), batch.result.message
    for i in range(0, 512, 128):
        one = solve(starts[i])
        assert int(one.events.count) == int(batch.events.count[i])
        np.testing.assert_allclose(batch.x[i], one.x, atol=1e-4)


def test_a_network_of_relus_finishes_and_loses_energy():
    random = np.random.default_rng(4)
    samples, labels = random.normal(size=(10, 2)), random.normal(size=10)

    def loss(p):
        hidden = jax.nn.relu(samples @ p["w"] + p["b"][None])
        return jnp.mean((hidden @ p["a"] - labels) ** 2)

    start = {"w": random.normal(size=(2, 20)), "b": 0.1 * random.normal(size=20)}
    start |= {"a": 0.3 * random.normal(size=20)}
    alpha, beta = 0.5, 0.1
    run = ds.simulate(ds.GDIN(loss, alpha, beta), start, t1=3.0, times=61)
    assert run.inclusion == "clarke"
    assert "200 kinks" in run.stats.reason
    speed = jax.tree.map(
        lambda x, y: (alpha - 1 / beta) * x + y / beta, run.state.theta, run.state.psi
    )
    square = sum(jnp.sum(a.reshape(61, -1) ** 2, axis=1) for a in jax.tree.leaves(speed))
    energy = (1 + alpha * beta) * run.objective + 0.5 * square
    assert np.diff(energy).max() < 1e-5
    assert int(run.events.count) > 0


@settings(max_examples=12, deadline=None)
@given(
    data=st.integers(0, 2**31),
    alpha=st.floats(0.0, 3.0),
    beta=st.floats(0.05, 1.0),
)
def test_random_losses_never_fail_and_never_gain_energy(data, alpha, beta):
    random = np.random.default_rng(data)
    normals, offsets = random.normal(size=(4, 3)), random.normal(size=4)
    weights = random.normal(size=4)

    start = jnp.asarray(random.normal(size=3))
    run = solve_random(normals, offsets, weights, alpha, beta, start)
    assert bool(run.result.ok), run.result.message
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((run.x, run.v)))
    linear = (alpha - 1 / beta) * run.state.theta + run.state.psi / beta
    energy = (1 + alpha * beta) * run.objective + 0.5 * jnp.sum(linear**2, axis=1)
    assert np.diff(energy).max() < 1e-4 * (1 + abs(float(energy[0])))


def random_loss(data, x):
    normals, offsets, weights = data
    kinks = weights * jnp.abs(normals @ x - offsets)
    return 0.5 * x @ x + jnp.sum(kinks) + jnp.max(x) + jax.nn.relu(x[0] + x[1])


@jax.jit
def solve_random(normals, offsets, weights, alpha, beta, start):
    loss = jax.tree_util.Partial(random_loss, (normals, offsets, weights))
    return ds.simulate(ds.GDIN(loss, alpha, beta), start, t1=5.0, times=51)

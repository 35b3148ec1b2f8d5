"""Many trajectories at once are the trajectories one by one."""

import importlib

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from tests.integrators.ensemble.points import (
    DAMPINGS,
    STARTS,
    WIDTH,
    damped,
    digest,
    in_valley,
    kinked,
    valley,
)


@pytest.fixture(scope="module")
def whole():
    return in_valley(x0=STARTS, alpha=DAMPINGS)


def test_members_are_the_trajectories_one_by_one():
    batch = ds.simulate_ensemble(damped, x0=STARTS, alpha=DAMPINGS, t1=6.0, times=11)
    assert batch.x.shape == (40, 11, 2)
    for i in (0, 13, 39):
        one = ds.simulate(*damped(STARTS[i], DAMPINGS[i]), t1=6.0, times=11)
        member = batch[i]
        np.testing.assert_allclose(member.x, one.x, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(member.v, one.v, rtol=1e-7, atol=1e-9)
        assert int(member.stats.steps) == int(one.stats.steps)
        assert float(member.system.alpha) == DAMPINGS[i]
        assert member.stats.solver == one.stats.solver
    np.testing.assert_array_equal(batch[[3, 5]].x, batch.x[jnp.array([3, 5])])


@pytest.mark.slow
def test_systems_that_are_singular_at_the_start_leave_it_along_their_series():
    case = lambda alpha: (ds.DINAVD(valley, alpha, beta=0.2), [0.5, 0.5])
    alphas = np.linspace(3.0, 5.0, 9)
    options = {"t1": 2.0, "times": [0.0, 1e-4, 1.0], "stop": 1e-3}
    batch = ds.simulate_ensemble(case, alpha=alphas, **options)
    one = ds.simulate(*case(alphas[4]), **options)
    np.testing.assert_allclose(batch.x[4], one.x, rtol=1e-9)
    np.testing.assert_allclose(batch.t[4], one.t, rtol=1e-9)


@pytest.mark.slow
def test_inclusions_have_the_ledgers_of_their_single_runs():
    batch = ds.simulate_ensemble(
        kinked, x0=STARTS[:12], t1=8.0, times=5, max_events=16, width=WIDTH
    )
    assert int(jnp.min(batch.events.count)) > 0
    single = jax.jit(
        lambda x0: ds.simulate(*kinked(x0), t1=8.0, times=5, max_events=16, throw=False)
    )
    for i in range(12):
        one = single(STARTS[i])
        np.testing.assert_array_equal(batch.events.kink[i], one.events.kink)
        np.testing.assert_array_equal(batch.events.kind[i], one.events.kind)
        np.testing.assert_allclose(batch.events.t[i], one.events.t, atol=1e-7)
        np.testing.assert_allclose(batch.x[i], one.x, rtol=1e-7, atol=1e-7)
        assert bool(batch.unique[i]) == bool(one.unique)


def test_order_number_and_neighbours_change_no_bit(whole):
    order = np.random.default_rng(1).permutation(40)
    shuffled = in_valley(x0=STARTS[order], alpha=DAMPINGS[order])
    some = in_valley(x0=STARTS[7:18], alpha=DAMPINGS[7:18])
    assert digest(jax.tree.map(lambda a: a[order], whole)) == digest(shuffled)
    assert digest(jax.tree.map(lambda a: a[7:18], whole)) == digest(some)


@pytest.mark.slow
def test_lanes_that_are_filled_again_change_no_bit(whole, monkeypatch):
    module = importlib.import_module("dynsys.integrators.ensemble.simulate_ensemble")
    monkeypatch.setattr(module, "members_of_block", lambda count, lanes: 4 * lanes)
    assert digest(in_valley(x0=STARTS, alpha=DAMPINGS)) == digest(whole)


@pytest.mark.slow
def test_another_width_agrees_within_the_tolerance(whole):
    wide = in_valley(x0=STARTS, alpha=DAMPINGS, width=24)
    np.testing.assert_array_equal(wide[1], whole[1])
    np.testing.assert_allclose(wide[0], whole[0], atol=1e-4)


@pytest.mark.slow
def test_points_may_be_pytrees_and_names_may_clash_with_options():
    case = lambda t1, p: (ds.DIN(lambda x: p["c"] * x["a"] ** 2, 1.0, t1), {"a": p["a"]})
    points = {"t1": np.array([0.1, 0.2]), "p": {"a": np.ones(2), "c": np.array([1.0, 3.0])}}
    batch = ds.simulate_ensemble(case, batch=points, t1=3.0, times=3)
    at = lambda i: jax.tree.map(lambda leaf: leaf[i], points)
    one = ds.simulate(*case(**at(1)), t1=3.0, times=3)
    np.testing.assert_allclose(batch[1].x["a"], one.x["a"], rtol=1e-9)


def test_a_failed_member_is_named_and_the_others_are_untouched():
    pit = lambda x: -(x**4)
    case = lambda x0: (ds.GradientFlow(pit), x0)
    starts = np.array([0.1, 9.0, 0.2, 0.3])
    with pytest.warns(ds.SimulationWarning, match="(?s)1 of 4 members.*member 1: The step"):
        batch = ds.simulate_ensemble(case, x0=starts, t1=1.0, times=3)
    np.testing.assert_array_equal(batch.result.ok, [True, False, True, True])
    assert np.isnan(batch.x[1, -1])
    sound = np.array([0, 2, 3])
    exact = 1 / np.sqrt(starts[sound] ** -2 - 8)
    np.testing.assert_allclose(batch.x[sound, -1], exact, rtol=1e-4)
    with pytest.raises(ds.SimulationError, match="member 1"):
        ds.simulate_ensemble(case, x0=starts, t1=1.0, times=3, throw=True)
    parts = ds.simulate_ensemble(case, x0=starts, t1=1.0, times=3, stream=True)
    with pytest.warns(ds.SimulationWarning, match="member 1"):
        (chunk,) = parts
    np.testing.assert_array_equal(chunk.result.ok, [True, False, True, True])


def test_a_stream_hands_out_each_member_once(whole):
    theta, steps = np.full((40, 2), np.nan), np.zeros(40, int)
    for chunk in in_valley(x0=STARTS, alpha=DAMPINGS, stream=True):
        assert np.isnan(theta[chunk.members]).all()
        theta[chunk.members], steps[chunk.members] = chunk.value
        assert chunk.result.ok.all()
    assert digest((theta, steps)) == digest(whole)


@pytest.mark.slow
def test_what_was_handed_out_before_a_kill_is_not_lost(whole):
    chunks = in_valley(x0=STARTS, alpha=DAMPINGS, stream=True)
    first = next(chunks)
    chunks.close()
    assert 0 < len(first.members) < 40
    np.testing.assert_array_equal(first.value[0], whole[0][first.members])


def test_progress_is_shown_on_standard_error(capfd):
    in_valley(x0=STARTS, alpha=DAMPINGS, progress=True)
    assert "40 of 40 members (100%)" in capfd.readouterr().err


class Bowl(eqx.Module):
    scale: jax.Array
    calls: list = eqx.field(static=True)

    def __call__(self, x):
        self.calls.append(1)
        return self.scale * jnp.sum(x**2)


@pytest.mark.slow
def test_other_numbers_and_other_data_need_no_new_program():
    calls = []

    def make(loss, x0):
        return ds.DIN(loss, 1.0, 0.1), x0

    keep = lambda trajectory: trajectory.x[-1]
    first = ds.simulate_ensemble(
        jax.tree_util.Partial(make, Bowl(jnp.asarray(1.0), calls)),
        x0=np.ones((16, 2)),
        reduce=keep,
        t1=1.0,
    )
    traces = len(calls)
    second = ds.simulate_ensemble(
        jax.tree_util.Partial(make, Bowl(jnp.asarray(2.0), calls)),
        x0=np.full((16, 2), 0.5),
        reduce=keep,
        t1=2.0,
        rtol=1e-8,
    )
    assert len(calls) == traces > 0
    assert not np.allclose(first, second)
    one = ds.simulate(*make(Bowl(jnp.asarray(2.0), []), np.full(2, 0.5)), t1=2.0, rtol=1e-8)
    np.testing.assert_allclose(second[3], one.x[-1], rtol=1e-9)


@pytest.mark.slow
def test_data_that_all_members_share_is_not_copied():
    data = jnp.ones((1000, 2))
    case = lambda x0: (ds.DIN(jax.tree_util.Partial(fit, data), 1.0, 0.1), x0)
    batch = ds.simulate_ensemble(case, x0=np.ones((8192, 2)), t1=0.1, times=2, rtol=1e-2)
    shared = jax.tree.leaves(batch.system.objective)[0]
    assert shared.shape == (8192, 1000, 2)
    assert shared.strides[0] == 0


def fit(data, x):
    return jnp.mean((data @ x - 1) ** 2)


@pytest.mark.slow
def test_an_ensemble_inside_of_a_program_has_derivatives():
    def mean_end(alpha):
        case = lambda x0: (ds.DIN(lambda x: jnp.sum(x**2), alpha, 0.1), x0)
        last = lambda trajectory: trajectory.x[-1]
        starts = jnp.arange(6.0).reshape(3, 2)
        return jnp.sum(ds.simulate_ensemble(case, x0=starts, t1=1.0, reduce=last, width=8))

    h = 1e-4
    compiled = jax.jit(mean_end)
    scaled = lambda s: jnp.sum(
        ds.simulate_ensemble(
            lambda x0: (ds.GradientFlow(lambda x: jnp.sum(x**2)), x0),
            x0=np.ones((2, 2)),
            t1=1.0,
            reduce=lambda trajectory: s * trajectory.x[-1],
        )
    )
    np.testing.assert_allclose(jax.grad(scaled)(1.0), scaled(1.0), rtol=1e-9)
    difference = (compiled(1.0 + h) - compiled(1.0 - h)) / (2 * h)
    np.testing.assert_allclose(jax.grad(mean_end)(1.0), difference, rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(mean_end)(jnp.ones(2))[1], compiled(1.0), rtol=1e-9)


@pytest.mark.slow
def test_implicit_solvers_of_diffrax_go_side_by_side():
    case = lambda x0: (ds.GradientFlow(lambda x: jnp.sum(jnp.cosh(x))), x0)
    options = {"t1": 1.0, "times": 3, "solver": diffrax.Kvaerno3()}
    batch = ds.simulate_ensemble(case, x0=STARTS[:5], **options)
    one = ds.simulate(*case(STARTS[4]), **options)
    np.testing.assert_allclose(batch[4].x, one.x, rtol=1e-6)


def test_settings_of_the_calling_thread_hold():
    def case(seed):
        start = jax.random.key_data(jax.random.key(seed)).astype(float)
        return ds.GradientFlow(lambda x: jnp.sum(x**2)), start

    size = lambda trajectory: jnp.asarray(trajectory.x.shape[-1])
    with jax.default_prng_impl("rbg"):
        sizes = ds.simulate_ensemble(
            case, seed=np.arange(20), t1=1e-3, reduce=size, width=8
        )
    np.testing.assert_array_equal(sizes, np.full(20, 4))


def test_plain_numbers_of_a_reduction_are_given_to_each_member():
    keep = lambda trajectory: {"ok": trajectory.result.ok, "weight": 0.5}
    kept = ds.simulate_ensemble(damped, x0=STARTS, alpha=DAMPINGS, t1=0.1, reduce=keep)
    np.testing.assert_array_equal(kept["weight"], np.full(40, 0.5))


@pytest.mark.slow
def test_single_precision_is_kept():
    case = lambda x0: (ds.DIN(lambda x: jnp.sum(x**2), 1.0, 0.1), x0)
    batch = ds.simulate_ensemble(case, x0=np.ones((3, 2), np.float32), t1=1.0, times=2)
    assert batch.x.dtype == jnp.float32
    one = ds.simulate(*case(np.ones(2, np.float32)), t1=1.0, times=2)
    # What a last bit changes in the size of steps is below the tolerance, which is 1e-4.
    np.testing.assert_allclose(batch.x[2], one.x, rtol=3e-5)


@pytest.mark.slow
def test_a_long_program_is_one_kernel_for_very_many_members_only(monkeypatch):
    module = importlib.import_module("dynsys.integrators.ensemble.block")
    monkeypatch.setattr(module, "LONG", 10)
    valley_anew = lambda x0, alpha: damped(x0, alpha)
    run = lambda: ds.simulate_ensemble(
        valley_anew, x0=STARTS, alpha=DAMPINGS, t1=6.0, times=11, width=WIDTH
    )
    few = run()
    assert few.stats.loop.startswith("many kernels: its ")
    assert few.stats.loop.endswith(" operations are many for fewer than 131,072 members")
    layouts = importlib.import_module("dynsys.integrators.ensemble.simulate_ensemble")
    monkeypatch.setattr(layouts, "PATIENT", len(STARTS))
    many = run()
    assert many.stats.loop == "one kernel"
    np.testing.assert_allclose(many.x, few.x, rtol=1e-9, atol=1e-11)

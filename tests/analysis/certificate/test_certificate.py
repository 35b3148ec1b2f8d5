import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from dynsys.analysis import certify
from dynsys.trees import as_vector

F = ds.objectives.LogCosh([1.0, 9.0], 2.0)
START = [1.5, -1.0]


def run(system, rtol, x0=START, **options):
    options = {"t1": 10.0, "times": 51, "atol": 1e-3 * rtol, "dense": True} | options
    return ds.simulate(system, x0, rtol=rtol, **options)


def system(alpha=0.4):
    return ds.GDIN(F, alpha, 0.3)


@pytest.fixture(scope="module")
def runs():
    return {rtol: run(system(), rtol) for rtol in (1e-2, 1e-4, 1e-6, 1e-8, 1e-10)}


@pytest.fixture(scope="module")
def kinked():
    inclusion = ds.GDIN(ds.objectives.NonsmoothRosenbrock(), 1.0, 1.0)
    return run(inclusion, 1e-8, (-1.5, 1.0), times=21, max_events=64)


@pytest.mark.parametrize("rtol", [1e-4, 1e-6, 1e-8, 1e-10])
def test_a_solution_passes_at_any_tolerance(runs, rtol):
    found = certify(runs[rtol], accuracy=1e-2)
    assert found.ok, str(found)
    assert "Nothing speaks against it" in str(found)


def test_the_error_is_that_against_the_finer_run(runs):
    exact = np.asarray(runs[1e-10].x)
    for rtol in (1e-4, 1e-6):
        true = np.abs(np.asarray(runs[rtol].x) - exact).max() / np.abs(exact).max()
        estimate = certify(runs[rtol], runs[1e-8]).error
        assert estimate == pytest.approx(true, rel=0.1)


def test_a_tolerance_that_is_too_loose_is_told_from_a_wrong_solution(runs):
    found = certify(runs[1e-2], runs[1e-8])
    assert found.solves
    assert not found.ok
    assert "Too loose" in str(found)
    assert certify(runs[1e-6], runs[1e-8]).ok


def moved_outputs(path):
    return eqx.tree_at(lambda tree: tree.x, path, path.x.at[7, 0].add(1e-3))


def other_system(path):
    return eqx.tree_at(lambda tree: tree.system.alpha, path, path.system.alpha * 1.001)


def bent_polynomials(path):
    return eqx.tree_at(lambda tree: tree.dense.kept, path, path.dense.kept * 1.0001)


def missing_outputs(path):
    return eqx.tree_at(lambda tree: tree.x, path, path.x.at[7, 0].set(np.nan))


def moved_velocity(path):
    return eqx.tree_at(lambda tree: tree.v, path, path.v.at[5, 0].add(1e-3))


def moved_momentum(path):
    return eqx.tree_at(lambda tree: tree.state.psi, path, path.state.psi.at[5, 0].add(1e-3))


def moved_last_state(path):
    psi = path.final_state.psi
    return eqx.tree_at(lambda tree: tree.final_state.psi, path, psi.at[0].add(1e-3))


def moved_time(path):
    return eqx.tree_at(lambda tree: tree.t, path, path.t.at[5].add(1e-2))


FAULTS = {
    moved_velocity: "the outputs are not those",
    moved_momentum: "the outputs are not those",
    moved_last_state: "the outputs are not those",
    moved_time: "the outputs are not those",
    moved_outputs: "the outputs are not those",
    missing_outputs: "the outputs are not those",
    other_system: "no solution of the equation near",
    bent_polynomials: "no solution of the equation near",
}


@pytest.mark.parametrize("spoil", FAULTS)
def test_a_trajectory_that_is_no_solution_is_flagged(runs, spoil):
    found = certify(spoil(runs[1e-8]))
    assert not found.solves
    assert f"Wrong: {FAULTS[spoil]}" in str(found)


def test_an_inclusion_passes_and_a_wrong_mode_is_flagged(kinked):
    assert int(kinked.events.count) >= 2
    found = certify(kinked)
    assert found.ok, str(found)
    steps = kinked.dense.steps

    def flip(row):
        kept = steps.like.unpack(row)
        mode = kept["mode"]._replace(signature=-kept["mode"].signature)
        return as_vector(kept | {"mode": mode})

    kept = jax.vmap(flip)(steps.kept)
    wrong = eqx.tree_at(lambda tree: tree.dense.steps.kept, kinked, kept)
    assert not certify(wrong).solves


def without_the_first(ledger):
    columns = (ledger.t, ledger.kink, ledger.kind)
    blanks = (jnp.inf, -1, -1)
    moved = [
        jnp.append(column[1:], jnp.asarray(blank, column.dtype))
        for column, blank in zip(columns, blanks, strict=True)
    ]
    return ledger.count - 1, *moved


def with_another_kind(ledger):
    return ledger.count, ledger.t, ledger.kink, ledger.kind.at[0].set(2)


def with_another_kink(ledger):
    return ledger.count, ledger.t, ledger.kink.at[0].set(1 - ledger.kink[0]), ledger.kind


def with_an_event_twice(ledger):
    twice = [jnp.insert(c, 0, c[0])[:-1] for c in (ledger.t, ledger.kink, ledger.kind)]
    return ledger.count + 1, *twice


@pytest.mark.parametrize(
    "spoil", [without_the_first, with_another_kind, with_another_kink, with_an_event_twice]
)
def test_events_that_are_not_those_of_the_modes_are_flagged(kinked, spoil):
    columns = lambda tree: (
        tree.events.count,
        tree.events.t,
        tree.events.kink,
        tree.events.kind,
    )
    other = eqx.tree_at(columns, kinked, spoil(kinked.events))
    assert "times or events do not agree" in str(certify(other))


def test_an_event_of_a_run_without_kinks_is_flagged(runs):
    where = lambda tree: (tree.events.count, tree.events.t, tree.events.kink)
    path = runs[1e-6]
    t = path.events.t.at[0].set(path.dense.joints[3])
    made_up = (jnp.asarray(1), t, path.events.kink.at[0].set(0))
    assert not certify(eqx.tree_at(where, path, made_up)).solves


def test_a_ledger_or_a_loss_of_another_run_is_flagged(kinked):
    late = eqx.tree_at(lambda tree: tree.events.t, kinked, kinked.events.t.at[1].add(1e-3))
    assert "times or events do not agree" in str(certify(late))
    pieces = lambda tree: tree.dense.pieces.consts
    scaled = jax.tree.map(lambda leaf: 1.01 * leaf, pieces(kinked))
    other = eqx.tree_at(pieces, kinked, scaled)
    assert not jax.tree.leaves(scaled) or not certify(other).solves
    loss = eqx.tree_at(
        lambda tree: tree.system.objective, kinked, ds.objectives.Function(doubled)
    )
    assert "the loss is not that of the system" in str(certify(loss))


def doubled(x):
    return 2 * jnp.sum(jnp.abs(x)) + jnp.sum(x**2)


@pytest.mark.slow
def test_a_run_with_coefficients_that_jump_passes():
    jump = lambda a, b: lambda t: jnp.where(t < 0.7, a, b)
    system = ds.InertialNewton(F, jump(0.5, 1.5), 0.4, jump(0.8, 0.1))
    for times in (50, [0.0, 0.35, 0.7]):
        end = 2.0 if times == 50 else 0.7
        path = ds.simulate(system, [1.0, -0.5], t1=end, times=times, dense=True)
        found = certify(path)
        assert found.ok, str(found)
        assert found.energy_residual < 1e-3


def test_a_stiff_run_is_not_blamed_for_what_its_solver_need_not_follow():
    stiff = ds.VMDINAVD(F, ds.schedules.Exponential(1e-7, 0.0), 0.0, 1.0)
    found = certify(run(stiff, 1e-6))
    assert found.solves, str(found)


def test_what_cannot_be_certified_is_refused(runs):
    path = runs[1e-4]
    bare = run(system(), 1e-4, dense=False)
    with pytest.raises(ValueError, match="Pass `dense=True` to `simulate`"):
        certify(bare)
    with pytest.raises(ValueError, match="must have a smaller `rtol`"):
        certify(path, path)
    with pytest.raises(ValueError, match="the same system"):
        certify(path, run(system(0.5), 1e-6))
    elsewhere = eqx.tree_at(lambda tree: tree.x, runs[1e-6], runs[1e-6].x + 1.0)
    with pytest.raises(ValueError, match="must start where the trajectory does"):
        certify(path, elsewhere)
    with pytest.raises(ValueError, match="must have the times"):
        certify(path, eqx.tree_at(lambda tree: tree.t, runs[1e-6], runs[1e-6].t * 0.5))


@pytest.mark.slow
def test_single_precision_and_a_singular_start_are_certified():
    single = np.array([1.5, -1.0], np.float32)
    options = {"t1": 4.0, "times": 21, "dense": True}
    assert certify(ds.simulate(system(), single, **options), accuracy=1e-2).ok
    # Without a known minimiser the energy of the paper cannot be computed.
    heavy = ds.AVD(lambda x: F(x), 3.0)
    found = certify(ds.simulate(heavy, [1.5, -1.0], **options))
    assert found.ok, str(found)
    assert found.energy == "mechanical"


def test_where_a_direction_expands_a_solution_passes():
    """h lambda is near 1 on the way from the saddle of the double well."""
    well = ds.GradientFlow(ds.objectives.DoubleWell())
    run = ds.simulate(well, [1e-9, 0.5], t1=6.0, times=21, dense=True, rtol=1e-3)
    found = certify(run, accuracy=0.1)
    assert found.solves, str(found)


@pytest.mark.slow
def test_steps_of_first_order_are_left_to_the_error_that_they_state():
    path = ds.simulate(
        ds.HeavyBall(jnp.abs, 0.5), 1.0, t1=40.0, times=21, dense=True, max_events=32
    )
    since = float(path.stats.first_order.since)
    assert since < 40
    found = certify(path, accuracy=0.1)
    assert found.solves, str(found)
    assert found.until == since
    assert "steps of first order" in str(found)


def test_a_fault_is_measured_in_the_tolerance_at_its_time():
    """Where the solution has decayed, the largest output says nothing."""
    quadratic = ds.objectives.Quadratic([[1.0, 0.0], [0.0, 2.0]])
    path = run(ds.GradientFlow(quadratic), 1e-6, atol=1e-14)
    last = path.x[-1, 0]
    assert abs(last) < 1e-3 * abs(path.x[0, 0])
    moved = eqx.tree_at(lambda tree: tree.x, path, path.x.at[-1, 0].mul(1 + 1e-4))
    assert certify(path).solves
    assert not certify(moved).solves


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_a_parameter_is_seen_where_steps_are_short(name):
    """Per cent of a parameter are 100 tolerances, a few in each step."""
    path = run(system(), 1e-4, atol=1e-10, max_step=0.05)
    other = eqx.tree_at(
        lambda tree: getattr(tree.system, name), path, 1.01 * getattr(system(), name)
    )
    assert certify(path).solves
    assert not certify(other).solves


@pytest.mark.slow
def test_a_run_that_goes_on_from_a_kink_passes():
    """There switching values have no size that rounding could be measured in."""
    loss = lambda x: jnp.sum(jnp.abs(x)) + 0.05 * jnp.sum((x - 0.3) ** 2)
    flow = ds.GDIN(loss, 0.5, 0.8)
    first = run(flow, 1e-6, t1=9.0)
    assert np.abs(first.x[-1]).max() < 1e-12
    found = certify(run(flow, 1e-6, first.final_state, t0=9.0, t1=12.0))
    assert found.solves, str(found)


def test_a_start_at_rest_with_a_small_mass_passes():
    """The terms of the velocity cancel, and leave their rounding over the mass."""
    light = ds.VMDINAVD(F, ds.schedules.Exponential(1e-6, 0.1), 0.3, 1.0)
    found = certify(run(light, 1e-9, [1.5e3, -1e3], atol=1e-12))
    assert found.solves, str(found)


@pytest.mark.slow
def test_the_last_state_is_looked_at_where_coefficients_switch():
    mass = ds.schedules.Piecewise([2.0], [0.5, 1.5])
    path = run(ds.VMDINAVD(F, mass, 0.3, 0.5), 1e-6, t1=2.0)
    assert certify(path).solves
    moved = path.final_state.p.at[0].add(1e-3)
    assert not certify(eqx.tree_at(lambda tree: tree.final_state.p, path, moved)).solves


@pytest.mark.slow
def test_what_is_not_seen_is_said(runs):
    finer = "how errors add up, which a `finer` run shows"
    bare, both = certify(runs[1e-4]), certify(runs[1e-4], runs[1e-6])
    assert finer in bare.unseen
    assert finer not in both.unseen
    assert f"not seen: {finer}" in str(bare)
    newton = ds.HeavyBall(ds.objectives.Quadratic(np.eye(150)), 0.5)
    large = certify(run(newton, 1e-4, np.ones(150)))
    assert any("a state of 300 coordinates" in what for what in large.unseen)
    concave = lambda x: 0.5 * jnp.sum(x**2) - jnp.sum(jnp.abs(x))
    branched = run(ds.GDIN(concave, 0.5, 0.8), 1e-6, [0.0, 1.0])
    assert not bool(branched.unique)
    found = certify(branched)
    assert found.solves, str(found)
    assert any("it has branched" in what for what in found.unseen)
    assert not any("branched" in what for what in bare.unseen)


def test_without_a_known_energy_none_is_claimed():
    path = run(ds.DIN(lambda x: F(x), 0.4, 0.3), 1e-6)
    found = certify(path)._replace(energy=None)
    assert "energy" not in str(found).split("not seen")[0]


@pytest.mark.slow
def test_switches_are_those_of_the_coefficients():
    switching = lambda knot: ds.HeavyBall(
        lambda x: jnp.sum(jnp.cosh(x)), ds.schedules.Piecewise([knot], [0.2, 3.0])
    )
    path = ds.simulate(switching(3.0), [1.5, -1.0], t1=6.0, dense=True, rtol=1e-8)
    assert certify(path).ok
    times = lambda tree: tree.switches
    for wrong in (
        eqx.tree_at(lambda tree: tree.system, path, switching(3.001)),
        eqx.tree_at(times, path, 1.001 * path.switches),
        eqx.tree_at(times, path, jnp.inf * path.switches),
    ):
        assert "times or events do not agree" in str(certify(wrong))

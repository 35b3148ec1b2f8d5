"""What a message recommends works: each is provoked, and then its remedy is followed.

Where a message comes before anything is computed, the remedy is only traced: it is known
to be accepted then.
"""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dynsys as ds
from dynsys.integrators.diagnosis import advise
from dynsys.result import Result, Status
from dynsys.trajectory import KinkEvents

X0 = jnp.array([1.0, 2.0])
HALF = jnp.ones(2, jnp.float16)
f = lambda x: 0.5 * jnp.sum(x**2)
din = ds.DIN(f, 1.0, 0.1)
flow = ds.GradientFlow(f)
avd = ds.AVD(f, 3.0)
dampings = jnp.array([1.0, 2.0])


def traced(system=din, x0=X0, v0=None, **options):
    """`simulate`, as far as to its program."""
    return jax.eval_shape(lambda: ds.simulate(system, x0, v0, **({"t1": 1.0} | options)))


def members(case=lambda x0: (din, x0), **options):
    """`simulate_ensemble`, as far as to its program."""
    run = lambda points: ds.simulate_ensemble(case, **({"t1": 1.0} | options), **points)
    return lambda **points: jax.eval_shape(run, points)


def other_sign(x0):
    return din, x0 if x0[0] > 0 else -x0


def other_sign_by_where(x0):
    return din, jnp.where(x0[0] > 0, x0, -x0)


TRACED = {
    "Time runs forward": (lambda: traced(t1=-1.0), lambda: traced(t0=-1.0, t1=0.0)),
    "Sort them and drop duplicates": (
        lambda: traced(times=[0.5, 0.4, 0.5]),
        lambda: traced(times=np.unique([0.5, 0.4, 0.5])),
    ),
    "at least 2, for both ends": (lambda: traced(times=1), lambda: traced(times=2)),
    "below 2.22e-15.*Loosen it": (
        lambda: traced(rtol=1e-16),
        lambda: traced(rtol=2.23e-15),
    ),
    "or use float64": (
        lambda: traced(x0=X0.astype("float32"), rtol=1e-9),
        lambda: traced(x0=X0.astype("float32").astype("float64"), rtol=1e-9),
    ),
    "Cast it to float32": (
        lambda: traced(x0=HALF),
        lambda: traced(x0=jax.tree.map(lambda a: a.astype("float32"), HALF)),
    ),
    "Pass at least one number": (
        lambda: traced(x0=jnp.zeros(0)),
        lambda: traced(x0=jnp.zeros(1)),
    ),
    "with parentheses": (
        lambda: traced(solver=diffrax.Tsit5),
        lambda: traced(solver=diffrax.Tsit5()),
    ),
    "such as diffrax.Kvaerno5": (
        lambda: traced(solver=diffrax.KenCarp4()),
        lambda: traced(solver=diffrax.Kvaerno5()),
    ),
    "diffrax.HalfSolver": (
        lambda: traced(solver=diffrax.Euler()),
        lambda: traced(solver=diffrax.HalfSolver(diffrax.Euler())),
    ),
    "or diffrax.ForwardMode": (
        lambda: traced(adjoint=diffrax.BacksolveAdjoint()),
        lambda: traced(adjoint=diffrax.ForwardMode()),
    ),
    "Build it with `system.state": (
        lambda: traced(x0=ds.systems.VelocityState(X0, X0)),
        lambda: traced(x0=din.state(X0, X0)),
    ),
    "holds the velocity already": (
        lambda: traced(x0=din.state(X0, X0), v0=X0),
        lambda: traced(x0=din.state(X0, X0)),
    ),
    "is of first order": (lambda: traced(flow, v0=X0), lambda: traced(flow)),
    "or start at t0 > 0": (lambda: traced(avd, v0=X0), lambda: traced(avd, v0=X0, t0=0.1)),
    "Let time start near 0": (
        lambda: traced(t0=1e6, t1=1e6 + 1e-9),
        lambda: traced(t0=0.0, t1=1e-9),
    ),
    "Ask for fewer `times`": (lambda: traced(times=10**8), lambda: traced(times=10**5)),
    "Lower `max_steps`": (
        lambda: traced(dense=True, max_steps=10**8),
        lambda: traced(dense=True, max_steps=10**5),
    ),
    "The objective cannot be traced": (
        lambda: traced(ds.DIN(lambda x: x[0] ** 2 if x[0] > 0 else x[1], 1.0, 0.1)),
        lambda: traced(
            ds.DIN(lambda x: jnp.where(x[0] > 0, x[0] ** 2, x[0]), 1.0, 0.1),
            inclusion="autodiff",
        ),
    ),
    "`if`, `and` and `or`": (
        lambda: traced(stop=lambda t, x, v: x[0] < 0.5 and x[1] > 0),
        lambda: traced(stop=lambda t, x, v: (x[0] < 0.5) & (x[1] > 0)),
    ),
    "map over it with `jax.vmap`": (
        lambda: ds.DIN(f, dampings, 0.1),
        lambda: jax.vmap(lambda alpha: ds.DIN(f, alpha, 0.1))(dampings),
    ),
    "`InertialNewton` takes a schedule": (
        lambda: ds.DIN(f, 1.0, lambda t: 1.0 + t),
        lambda: ds.InertialNewton(f, 1.0, 1.0, lambda t: 1.0 + t),
    ),
    "HeavyBall": (lambda: ds.GDIN(f, 1.0, 0.0), lambda: ds.HeavyBall(f, 1.0)),
    "cannot stop at and go on": (
        lambda: traced(
            ds.GDIN(lambda x: jnp.sum(jnp.abs(x)), 1.0, 0.1), solver=diffrax.Tsit5()
        ),
        lambda: traced(ds.GDIN(lambda x: jnp.sum(jnp.abs(x)), 1.0, 0.1)),
    ),
    "Pass `dynsys.objectives.Mean": (
        lambda: traced(ds.GDIN(lambda x: jnp.abs(x[0]), 1.0, 0.1), inclusion="d_operator"),
        lambda: traced(
            ds.GDIN(ds.objectives.Mean([lambda x: jnp.abs(x[0])]), 1.0, 0.1),
            inclusion="d_operator",
        ),
    ),
    "round it off, as in": (
        lambda: traced(ds.DIN(jnp.linalg.norm, 1.0, 0.1)),
        lambda: traced(ds.DIN(lambda x: jnp.sqrt(jnp.sum(x**2) + 1e-6), 1.0, 0.1)),
    ),
    "integrates as long as the tip": (
        lambda: traced(ds.DIN(jnp.linalg.norm, 1.0, 0.1)),
        lambda: traced(ds.DIN(jnp.linalg.norm, 1.0, 0.1), inclusion="autodiff"),
    ),
    "such as `x0=starts`": (lambda: members()(), lambda: members()(x0=jnp.ones((4, 2)))),
    "Give them once": (
        lambda: members(batch={"x0": jnp.ones((4, 2))})(x0=jnp.ones((4, 2))),
        lambda: members(batch={"x0": jnp.ones((4, 2))})(),
    ),
    "one entry a member": (
        lambda: members(lambda x0, beta: (ds.DIN(f, 1.0, beta), x0))(
            x0=jnp.ones((4, 2)), beta=jnp.array(0.1)
        ),
        lambda: members(lambda x0: (ds.DIN(f, 1.0, 0.1), x0))(x0=jnp.ones((4, 2))),
    ),
    "on the values of a point": (
        lambda: members(other_sign)(x0=jnp.ones((4, 2))),
        lambda: members(other_sign_by_where)(x0=jnp.ones((4, 2))),
    ),
    "positive multiple of 8": (
        lambda: members(width=12)(x0=jnp.ones((4, 2))),
        lambda: members(width=16)(x0=jnp.ones((4, 2))),
    ),
    "leave `devices` and `stream` out": (
        lambda: members(stream=True)(x0=jnp.ones((4, 2))),
        lambda: members()(x0=jnp.ones((4, 2))),
    ),
    "matrix.T": (
        lambda: ds.objectives.Quadratic(np.triu(np.ones((2, 2)))),
        lambda: ds.objectives.Quadratic(
            (np.triu(np.ones((2, 2))) + np.triu(np.ones((2, 2))).T) / 2
        ),
    ),
    "2 \\* labels - 1": (
        lambda: ds.objectives.LogisticRegression(np.eye(2), np.array([0, 1]), 0.1),
        lambda: ds.objectives.LogisticRegression(np.eye(2), 2 * np.array([0, 1]) - 1, 0.1),
    ),
    "Pass 3 pieces": (
        lambda: ds.schedules.Piecewise([1.0, 2.0], [1.0, 2.0]),
        lambda: ds.schedules.Piecewise([1.0, 2.0], [1.0, 2.0, 3.0]),
    ),
    "Sort them, with their pieces": (
        lambda: ds.schedules.Piecewise([2.0, 1.0], [1.0, 2.0, 3.0]),
        lambda: ds.schedules.Piecewise([1.0, 2.0], [3.0, 2.0, 1.0]),
    ),
    "Take 12 steps": (
        lambda: ds.algorithms.iterate(optax.sgd(0.1), f, X0, steps=10, every=4),
        lambda: ds.algorithms.iterate(optax.sgd(0.1), f, X0, steps=12, every=4),
    ),
}
"""By a part of the message: what provokes it, and the remedy."""


@pytest.mark.parametrize("message", TRACED)
def test_what_a_refusal_recommends_is_accepted(message):
    provoke, remedy = TRACED[message]
    with pytest.raises((TypeError, ValueError), match=message):
        provoke()
    remedy()


absolute = lambda x: jnp.abs(x[0])
BOUNCING = ds.HeavyBall(absolute, 0.0)
MASS = lambda t: 1 - t
STIFF = ds.VMDINAVD(f, 1e-7, 0.0, 1.0)
RESTING = ds.HeavyBall(lambda x: jnp.abs(x), 1.0)
STEP = lambda t: 0.1 - t
ROOT = lambda t, x, v: jnp.sqrt(x[0] - 0.9) + 1


ROOM = lambda t: jnp.sqrt(0.5 - t)
JUMPING_LOSS = ds.GDIN(lambda x: jnp.where(x[0] > 0.9, x[0] + 1, x[0] ** 2), 1.0, 0.1)
FLOOR = ds.VMDINAVD(f, 1.0, lambda t: jnp.floor(t) % 2, 1.0)


def looped(t):
    double = lambda i, size: size * jnp.where(t < 0.5, 1.0, 2.0)
    return jax.lax.fori_loop(0, 3, double, 1.0)


def both_halves():
    first = run(FLOOR, t1=1000.0)
    return run(FLOOR, first.final_state, t0=first.result.t, t1=2000.0)


def run(system=din, x0=X0, **options):
    return ds.simulate(system, x0, **({"t1": 1.0, "times": 2} | options))


def rate_of(alpha):
    loss = ds.objectives.LogCosh([0.1, 1.0])
    return ds.simulate(ds.AVD(loss, alpha), X0, t1=20.0)


RUNS = {
    "Raise `max_steps`": (lambda: run(max_steps=3), lambda: run(max_steps=50)),
    "Use the default solver": (
        lambda: run(STIFF, solver=diffrax.Tsit5(), max_steps=500),
        lambda: run(STIFF),
    ),
    "a smaller `t1` where it ends": (
        lambda: run(ds.VMDINAVD(f, MASS, 0.1, 1.0), t1=3.0),
        lambda: run(ds.VMDINAVD(f, MASS, 0.1, 1.0), t1=0.5),
    ),
    "Raise `max_events`. The 8 events .* every 2.83": (
        lambda: run(BOUNCING, t1=40.0, max_events=8),
        lambda: run(BOUNCING, t1=40.0, max_events=16),
    ),
    "`hessian_free=True`, or round": (
        lambda: run(ds.DIN(absolute, 1.0, 0.1, hessian_free=False), t1=4.0),
        lambda: run(ds.DIN(absolute, 1.0, 0.1), t1=4.0),
    ),
    r"such as `jnp.maximum\(size, 1e-3\)`": (
        lambda: run(max_step=STEP),
        lambda: run(max_step=lambda t: jnp.maximum(STEP(t), 1e-3)),
    ),
    "`size` that is defined there": (
        lambda: run(max_step=ROOM),
        lambda: run(max_step=lambda t: jnp.maximum(ROOM(jnp.minimum(t, 0.5)), 1e-3)),
    ),
    "The loss jumps.*gradients that see no jump": (
        lambda: run(JUMPING_LOSS),
        lambda: run(JUMPING_LOSS, inclusion="autodiff"),
    ),
    "Write it with `dynsys.schedules.Piecewise": (
        lambda: run(ds.VMDINAVD(f, 1.0, looped, 1.0)),
        lambda: run(ds.VMDINAVD(f, 1.0, ds.schedules.Piecewise([0.5], [1.0, 8.0]), 1.0)),
    ),
    "Integrate over shorter intervals": (lambda: run(FLOOR, t1=2000.0), both_halves),
    "rather loosen them": (
        lambda: run(RESTING, 1.0, t1=40.0, rtol=1e-8, atol=1e-12, max_steps=900),
        lambda: run(RESTING, 1.0, t1=40.0, max_steps=900),
    ),
    "a kink is met, which happened [0-9]+ times": (
        lambda: run(RESTING, 1.0, t1=40.0, max_steps=400),
        lambda: run(RESTING, 1.0, t1=40.0, max_steps=900),
    ),
    "Return a number that is defined": (
        lambda: run(stop=ROOT),
        lambda: run(
            stop=lambda t, x, v: jnp.where(
                x[0] > 0.9, jnp.sqrt(jnp.where(x[0] > 0.9, x[0] - 0.9, 1.0)) + 1, -1.0
            )
        ),
    ),
    r"t\^-1.333.*take a larger `alpha`": (
        lambda: ds.analysis.objective_bound(rate_of(2.0)),
        lambda: ds.analysis.objective_bound(rate_of(3.0)),
    ),
}
"""The same for runs that fail."""


@pytest.mark.slow
@pytest.mark.parametrize("message", RUNS)
def test_what_a_failed_run_recommends_lets_it_end(message):
    provoke, remedy = RUNS[message]
    with pytest.raises((ds.SimulationError, ValueError), match=message):
        provoke()
    remedy()


def test_a_member_of_a_batch_is_picked_as_the_messages_say():
    one = lambda x0: ds.simulate(din, x0, t1=1.0, times=3, dense=True, max_steps=64)
    batch = jax.vmap(one)(jnp.stack([X0, 2 * X0]))
    takes_one = [
        ds.analysis.certify,
        ds.analysis.energy,
        ds.plots.objective_along_time,
        lambda trajectory: trajectory.events.table(),
    ]
    for look in takes_one:
        with pytest.raises(ValueError, match=r"`batch\[0\]"):
            look(batch)
        look(batch[0])
    with pytest.raises(ValueError, match=r"`jax.vmap\(lambda trajectory: trajectory\(t\)"):
        batch(0.5)
    at = jax.vmap(lambda trajectory: trajectory(0.5))(batch)
    np.testing.assert_allclose(at[0], batch[0](0.5))


@pytest.mark.parametrize(
    ("gaps", "told"),
    [(np.ones(9), "every 1 on average"), (0.5 ** np.arange(9.0), "ever faster")],
)
def test_a_full_ledger_says_how_its_events_follow_each_other(gaps, told):
    t = jnp.cumsum(jnp.asarray(gaps))
    events = KinkEvents(jnp.asarray(9), t, jnp.zeros(9, int), jnp.zeros(9, int))
    stats = run().stats
    result = Result(jnp.asarray(int(Status.MAX_EVENTS)), t[-1], t[0])
    assert told in advise(din, din.state(X0, X0), result, events, stats)

"""What every system of the catalogue must do."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds
from tests.systems.catalogue import CATALOGUE, ids, smooth_valley
from tests.tiers import one_in

X0 = jnp.array([1.0, -0.5])

# One shape of outputs for all tests: programs are compiled once a system and shared.
OPTIONS = {"t1": 2.0, "times": 401, "rtol": 1e-9, "atol": 1e-11}

every_system = pytest.mark.parametrize("case", CATALOGUE, ids=ids)
every_class = pytest.mark.parametrize(
    "case", [case for case in CATALOGUE if not case.is_variant], ids=ids
)
every_third_class = pytest.mark.parametrize(
    "case", one_in(3, [case for case in CATALOGUE if not case.is_variant]), ids=ids
)
every_variant = pytest.mark.parametrize(
    "case", [case for case in CATALOGUE if case.is_variant], ids=ids
)
every_singular_system = pytest.mark.parametrize(
    "case", [case for case in CATALOGUE if case.t0], ids=ids
)


def run(case, x0=X0, v0=None, **changes):
    options = OPTIONS | {"t0": case.t0} | changes
    return ds.simulate(case.system(smooth_valley), x0, v0, **options)


def end(case, parameter, x0):
    system = case.build(smooth_valley, parameter)
    return ds.simulate(system, x0, t0=case.t0, **OPTIONS).x[-1]


def test_every_public_system_is_in_the_table():
    public = {
        name
        for name, value in vars(ds.systems).items()
        if callable(value) and getattr(value, "__module__", "").startswith("dynsys.systems")
    }
    built = set()
    for case in CATALOGUE:
        built |= set(case.build.__code__.co_names)
    helpers = {name for name in public if name.endswith("State")} | {"AbstractSystem"}
    assert public - helpers <= built


@every_system
def test_shapes_are_those_of_times_and_position(case):
    trajectory = run(case)
    assert trajectory.t.shape == (401,)
    assert trajectory.x.shape == trajectory.v.shape == (401, 2)
    assert trajectory.objective.shape == (401,)
    assert trajectory.result.ok
    assert trajectory.system.order == case.order


@every_system
def test_first_output_is_the_start(case):
    trajectory = run(case)
    np.testing.assert_array_equal(trajectory.x[0], X0)
    if case.order == 2:
        np.testing.assert_allclose(trajectory.v[0], 0, atol=1e-15)


@every_system
def test_velocity_is_the_derivative_of_position(case):
    trajectory = run(case)
    h = trajectory.t[1] - trajectory.t[0]
    x = trajectory.x
    slope = (x[:-4] - 8 * x[1:-3] + 8 * x[3:-1] - x[4:]) / (12 * h)
    # The difference quotient is exact to h^4 and to 1e-9 / h.
    np.testing.assert_allclose(trajectory.v[2:-2], slope, atol=2e-6)


@every_third_class
def test_second_call_with_other_numbers_does_not_trace(case):
    traces = []

    def counted(x):
        traces.append(1)
        return smooth_valley(x)

    times = jnp.array([0.0, 0.3, 1.0])
    times = case.t0 + times
    ds.simulate(case.system(counted), X0, t0=case.t0, t1=1.5, times=times)
    first = len(traces)
    assert first > 0
    ds.simulate(
        case.build(counted, 1.1 * case.parameter),
        2 * X0,
        t0=case.t0 and 0.35,
        t1=1.6,
        times=times + 0.1,
        rtol=1e-5,
        atol=1e-8,
    )
    assert len(traces) == first


@every_third_class
def test_runs_under_jit_and_vmap_as_alone(case):
    parameters = case.parameter * jnp.array([1.0, 1.2, 1.5])
    starts = jnp.stack([X0, 2 * X0, -X0])
    one = lambda parameter, x0: end(case, parameter, x0)
    batch = jax.jit(jax.vmap(one))(parameters, starts)
    alone = [one(c, x0) for c, x0 in zip(parameters, starts, strict=True)]
    # Compiled alone and in a batch, sums are rounded differently.
    np.testing.assert_allclose(batch, jnp.stack(alone), rtol=1e-9, atol=1e-11)


@pytest.mark.slow
@every_class
def test_reverse_mode_agrees_with_differences(case):
    def loss(parameter, x0):
        return smooth_valley(end(case, parameter, x0))

    gradient = jax.grad(loss, argnums=(0, 1))(case.parameter, X0)
    h = 1e-5
    by_parameter = loss(case.parameter + h, X0) - loss(case.parameter - h, X0)
    step = jnp.array([h, 0.0])
    by_start = loss(case.parameter, X0 + step) - loss(case.parameter, X0 - step)
    # The step sizes are held fixed in the derivative, so it is exact to the tolerance.
    np.testing.assert_allclose(gradient[0], by_parameter / (2 * h), atol=2e-7)
    np.testing.assert_allclose(gradient[1][0], by_start / (2 * h), atol=2e-7)


@every_third_class
def test_pytree_position_gives_the_same_path(case):
    def on_tree(x):
        return smooth_valley(jnp.concatenate([x["a"], x["b"][0]]))

    tree = {"a": X0[:1], "b": (X0[1:],)}
    nested = ds.simulate(case.system(on_tree), tree, t0=case.t0, **OPTIONS)
    assert jax.tree.structure(nested.x) == jax.tree.structure(tree)
    joined = jnp.concatenate([nested.x["a"], nested.x["b"][0]], axis=1)
    np.testing.assert_allclose(joined, run(case).x, atol=1e-8)


@every_variant
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_field_may_be_traced_for_any_position_and_keeps_its_dtype(case, dtype):
    on_tree = lambda x: smooth_valley(jnp.concatenate([x["a"], x["b"][0]]))
    x = {"a": jnp.ones(1, dtype), "b": (jnp.ones(1, dtype),)}

    def look(parameter, t, x):
        system = case.build(on_tree, parameter)
        state = system.initial_state(t, x, x)
        scalars = jax.tree.leaves(system.feedback(t))
        slope = system.vector_field(t, state)
        return state, slope, system.velocity(t, state), scalars

    parameter, t = jnp.asarray(case.parameter), jnp.asarray(0.7, dtype)
    state, slope, v, scalars = jax.eval_shape(look, parameter, t, x)
    assert slope == state
    assert v == jax.eval_shape(lambda: x)
    assert all(one.shape == () and one.dtype == dtype for one in scalars)


@every_singular_system
def test_start_at_the_singular_time_is_refused_with_the_reason(case):
    with pytest.raises(ValueError, match="larger `t0`.*/ t`, which must be at least 0"):
        run(case, t0=0.0)


@every_system
def test_rests_at_the_minimiser(case):
    trajectory = run(case, jnp.zeros(2))
    np.testing.assert_array_equal(trajectory.x, jnp.zeros((401, 2)))
    np.testing.assert_array_equal(trajectory.v, jnp.zeros((401, 2)))


@every_third_class
def test_float32_stays_float32(case):
    trajectory = run(case, X0.astype(jnp.float32), rtol=None, atol=None)
    outputs = (trajectory.t, trajectory.x, trajectory.v, trajectory.final_state)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(outputs)}
    assert dtypes == {jnp.dtype(jnp.float32)}
    # The defaults of float32 are rtol 1e-4 and atol 1e-6.
    np.testing.assert_allclose(trajectory.x[-1], run(case).x[-1], atol=2e-3)


@every_system
def test_initial_velocity_is_taken_or_refused_with_the_reason(case):
    if case.order == 1:
        with pytest.raises(ValueError, match="of first order"):
            run(case, X0, X0)
    elif case.from_rest_only:
        with pytest.raises(ValueError, match="from rest only"):
            run(case, X0, X0)
    else:
        np.testing.assert_allclose(run(case, X0, -2 * X0).v[0], -2 * X0, rtol=1e-12)


@every_third_class
def test_continues_from_its_final_state(case):
    first = run(case, t1=0.8)
    second = run(case, first.final_state, t0=0.8)
    np.testing.assert_allclose(second.x[-1], run(case).x[-1], atol=1e-8)


@every_class
def test_compiled_program_has_no_host_callback(case):
    program = jax.jit(lambda x0: run(case, x0)).lower(X0).as_text()
    assert "while" in program
    assert "callback" not in program


@pytest.mark.parametrize("case", CATALOGUE[::3], ids=ids)
def test_another_diffrax_solver_gives_the_same_path(case):
    explicit = run(case, solver=diffrax.Tsit5())
    assert explicit.stats.solver == "Tsit5"
    assert explicit.stats.reason == "asked for"
    np.testing.assert_allclose(explicit.x, run(case).x, atol=1e-7)

"""What is wrong with an ensemble is said before anything is computed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsys as ds

STARTS = np.ones((4, 2))


def case(x0):
    return ds.DIN(lambda x: jnp.sum(x**2), 1.0, 0.1), x0


def run(case=case, **options):
    options = {"t1": 1.0, "x0": STARTS} | options
    return ds.simulate_ensemble(case, **options)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"case": 3}, TypeError, "`case` must be callable"),
        ({"reduce": 3}, TypeError, "`reduce` must be callable"),
        ({"case": lambda x0: x0}, TypeError, r"must return \(system, x0\)"),
        ({"case": lambda x0: (x0, x0)}, TypeError, "must be a dynsys system"),
        ({"case": lambda y: case(y)}, TypeError, "x0"),
        ({"x0": 1.0}, ValueError, "`x0` must be an array with one entry a member"),
        ({"x0": jax.random.split(jax.random.key(0), 3)}, TypeError, "key_data"),
        ({"x0": np.array(["a", "b"])}, TypeError, "must hold numbers or booleans"),
        ({"x0": STARTS[:0]}, ValueError, "first axis of the arrays is empty"),
        ({"x0": np.full((4, 2), np.nan)}, ValueError, "member 0: The objective"),
        ({"batch": {"x0": STARTS}}, ValueError, r"\['x0'\] are given in `batch` and"),
        ({"width": 12}, ValueError, "`width` must be a positive multiple of 8"),
        ({"width": True}, ValueError, "`width` must be a positive multiple of 8"),
        ({"t1": -1.0}, ValueError, "`t1` must be larger than `t0`"),
        ({"times": [0.5, 0.2]}, ValueError, "`times` must increase"),
        ({"rtol": 0.0}, ValueError, "`rtol` must be positive"),
        ({"max_steps": 0}, ValueError, "`max_steps` must be at least 1"),
        ({"inclusion": "frechet"}, ValueError, "`inclusion` must be one of"),
        ({"stop": -1.0}, ValueError, "`stop` must be positive"),
        ({"solver": "Tsit5"}, TypeError, "`solver` must be a diffrax solver"),
        ({"times": 10**8}, ValueError, "Ask for fewer `times`"),
        ({"times": 10**8, "reduce": len}, ValueError, "outputs of 4 members"),
        ({"dense": True, "max_steps": 10**7}, ValueError, "dense output of 10000000 steps"),
    ],
)
def test_message(options, error, text):
    options = {"throw": True} | options
    with pytest.raises(error, match=text):
        run(**options)


def test_points_of_different_lengths_are_shown():
    two = lambda x0, alpha: (ds.DIN(lambda x: jnp.sum(x**2), alpha, 0.1), x0)
    with pytest.raises(ValueError, match=r"{'x0': \[4\], 'alpha': \[3\]}"):
        run(two, alpha=np.ones(3))


def test_no_points_are_refused():
    with pytest.raises(ValueError, match="There are no points"):
        ds.simulate_ensemble(lambda: case(STARTS[0]), t1=1.0)


def test_what_cannot_be_traced_is_said():
    def looks(x0):
        return case(x0 if x0[0] > 0 else -x0)

    with pytest.raises(TypeError, match="`case` cannot be traced"):
        run(looks)


def test_streams_and_devices_have_no_place_inside_of_a_program():
    with pytest.raises(ValueError, match="leave `devices` and `stream` out"):
        jax.jit(lambda x0: run(x0=x0, stream=True))(STARTS)


def test_a_batch_has_no_member_beyond_its_end():
    batch = jax.vmap(lambda x0: ds.simulate(*case(x0), t1=1.0, times=2))(STARTS)
    np.testing.assert_array_equal(batch[1:3].x, batch.x[1:3])
    with pytest.raises(IndexError, match="There are 4 members, so there is no 4"):
        batch[4]
    with pytest.raises(IndexError, match="This is one trajectory"):
        batch[0][0]

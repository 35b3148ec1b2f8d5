"""Where a kink is: its operation, the line of the code and the entry of its array."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsys.nonsmooth import NotPiecewiseSmooth, kinks

X = jnp.array([0.3, -1.2, 2.0])


def line(offset=0):
    """The line that calls this, further down by some lines."""
    return inspect.stack()[1].lineno + offset


def test_a_place_is_an_operation_a_line_and_an_entry():
    found = kinks(lambda x: jnp.sum(jnp.abs(x)), X)
    where = f"`abs` at test_source_lines.py:{line(-1)}"
    assert found.places == tuple(f"{where}, entry {i}" for i in range(3))
    assert found.pieces.places == found.places
    assert found.pieces.place(2) == f"{where}, entry 2"


def test_a_scalar_has_no_entry():
    found = kinks(lambda x: jnp.abs(x[0]), X)
    assert found.places == (f"`abs` at test_source_lines.py:{line(-1)}",)


def test_an_entry_of_a_matrix_has_two_indices():
    data = np.array([[1.0, 2.0, 3.0], [5.0, 7.0, 11.0]])
    found = kinks(lambda x: jnp.sum(jnp.abs(x - data)), X[None])
    assert [place.split(", entry ")[1] for place in found.places] == [
        f"({i}, {j})" for i in range(2) for j in range(3)
    ]


OPENED = {
    "max": (lambda x: jnp.max(x), "max"),
    "clip": (lambda x: jnp.clip(x[0], -1, 1), "max"),
    "clamp": (lambda x: jax.lax.clamp(-1.0, x[0], 1.0), "max"),
    "relu": (lambda x: jax.nn.relu(x[0]), "max"),
    "relu6": (lambda x: jax.nn.relu6(x[0]), "max"),
    "jit": (lambda x: jax.jit(jnp.abs)(x[0]), "abs"),
    "vmap": (lambda x: jnp.sum(jax.vmap(jnp.abs)(x)), "abs"),
    "cond": (lambda x: jax.lax.cond(x[0] > 0, jnp.sin, jnp.tan, x[0]), "gt"),
    "scan": (lambda x: jax.lax.scan(lambda c, a: (c + jnp.abs(a), None), 0.0, x)[0], "abs"),
    "all": (lambda x: jnp.where(jnp.all(x > 0), x[0] * x[1] * x[2], 0.0), "gt"),
}


@pytest.mark.parametrize("name", OPENED)
def test_what_is_opened_keeps_its_line(name):
    loss, operation = OPENED[name]
    found = kinks(loss, X)
    at = inspect.getsourcelines(loss)[1]
    assert found.places
    assert found.places[0].startswith(f"`{operation}` at test_source_lines.py:{at}")


def test_kinks_print_a_table():
    found = kinks(lambda x: jnp.sum(jnp.abs(x)) + jax.nn.relu(x[2] - 5), X)
    at = f"test_source_lines.py:{line(-1)}"
    table = str(found).splitlines()
    assert table[0].split() == ["kink", "operation", "entry", "value", "side"]
    assert table[1].split() == ["0", "`abs`", "at", at, "0", "0.3", "+"]
    assert table[2].split() == ["1", "`abs`", "at", at, "1", "-1.2", "-"]
    assert table[4].split() == ["3", "`max`", "at", at, "-3", "-"]
    assert repr(found) == str(found)


def test_a_table_says_what_is_a_joint_and_what_is_traced():
    huber = lambda x: jnp.where(jnp.abs(x) < 1, 0.5 * x**2, jnp.abs(x) - 0.5)
    assert str(kinks(huber, 0.2)).splitlines()[1].endswith("joint")
    tables = []
    jax.jit(lambda x: tables.append(str(kinks(huber, x))) or x)(0.2)
    assert "traced" in tables[0]


def test_no_kinks_print_so():
    assert str(kinks(lambda x: x @ x, X)) == "no kinks"


def test_a_refusal_names_the_line():
    with pytest.raises(NotPiecewiseSmooth) as refusal:
        kinks(lambda x: x[jnp.argmax(x)], X)
    assert f"`argmax` at test_source_lines.py:{line(-1)} " in str(refusal.value)


def test_a_loss_of_jax_itself_has_no_line():
    with pytest.raises(NotPiecewiseSmooth, match=r"a cone: `sqrt` is not"):
        kinks(jnp.std, X)

"""Programs are forgotten before a process runs out of memory maps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsys import memory_maps
from dynsys.cached_call import cached_call


@pytest.fixture
def counted():
    """A function that counts how often it is compiled."""
    traces = []

    @cached_call
    def double(x):
        traces.append(x.shape)
        return 2 * x

    return double, traces


def test_programs_are_forgotten_once_there_is_little_room(counted, monkeypatch):
    double, traces = counted
    small, large = np.ones(2), np.ones(3)
    for array in (small, large, small):
        np.testing.assert_array_equal(double(array), 2 * array)
    assert len(traces) == 2
    with monkeypatch.context() as patch:
        patch.setattr("dynsys.cached_call.is_short_of_maps", lambda: True)
        double(np.ones(4))
    assert len(traces) == 3
    np.testing.assert_array_equal(double(small), 2 * small)
    assert len(traces) == 4
    double(small)
    assert len(traces) == 4


def test_nothing_is_forgotten_while_another_program_is_traced(counted, monkeypatch):
    double, traces = counted
    jax.jit(lambda x: double(x) - 1)(np.ones(2))
    with monkeypatch.context() as patch:
        patch.setattr("dynsys.cached_call.is_short_of_maps", lambda: True)
        double(np.ones(3))
    jax.jit(lambda x: double(x) + 1)(np.ones(2))
    assert len(traces) == 2
    double(np.ones(2))
    assert len(traces) == 3


def test_room_is_counted_in_maps(tmp_path, monkeypatch):
    maps, most = tmp_path / "maps", tmp_path / "most"
    monkeypatch.setattr(memory_maps, "MAPS", maps)
    monkeypatch.setattr(memory_maps, "MOST", most)
    assert not memory_maps.is_short_of_maps()
    most.write_text("25\n")
    maps.write_text("map\n" * 5)
    assert not memory_maps.is_short_of_maps()
    maps.write_text("map\n" * 6)
    assert memory_maps.is_short_of_maps()


def test_maps_of_forgotten_programs_are_given_back(counted, monkeypatch):
    if not memory_maps.MAPS.exists():
        pytest.skip("the system does not tell its maps")
    count = lambda: len(memory_maps.MAPS.read_bytes().splitlines())
    double, _ = counted
    before = count()
    for i in range(1, 9):
        double(jnp.ones(i))
    grown = count()
    monkeypatch.setattr("dynsys.cached_call.is_short_of_maps", lambda: True)
    double(jnp.ones(9))
    double(jnp.ones(10))
    assert grown > before
    assert count() < grown

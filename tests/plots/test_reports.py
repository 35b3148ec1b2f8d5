import numpy as np
import pytest
from matplotlib.figure import Figure

from dynsys.analysis import Bound, EnergyReport
from dynsys.plots import bound_along_time, energy_along_time

T = np.linspace(0.0, 2.0, 5)
BOUND = Bound(T, np.exp(-T) - np.exp(-2 * T), np.exp(-T), 0.0, {}, (), "an example")
ENERGY = EnergyReport("mine", T, np.exp(-T), -np.exp(-T), T, 0 * T, "always", "no paper")


def axes():
    return Figure().subplots()


def test_bounds_are_dashed_in_the_colour_of_what_they_bound():
    ax = bound_along_time(BOUND, BOUND, ax=axes())
    lines = ax.lines
    assert [line.get_linestyle() for line in lines] == ["-", "--"] * 2
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color()
    # What is 0 at the start cannot be on a log scale.
    assert np.isnan(lines[0].get_ydata()[0])
    np.testing.assert_array_equal(lines[1].get_ydata(), BOUND.bound)


def test_energies_have_their_names_for_labels():
    ax = energy_along_time(ENERGY, ENERGY, labels=["one", "two"], ax=axes())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    alone = energy_along_time(ENERGY, ax=axes())
    assert alone.get_legend() is None
    assert alone.lines[0].get_label() == "$E$ of mine"


def test_other_things_are_refused():
    with pytest.raises(ValueError, match="got nothing to draw"):
        energy_along_time(ax=axes())
    with pytest.raises(TypeError, match=r"draws a `dynsys.analysis.Bound`"):
        bound_along_time(ENERGY, ax=axes())
    with pytest.raises(ValueError, match="one entry a report"):
        bound_along_time(BOUND, labels=["one", "two"], ax=axes())

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

import dynsys as ds

DRAWINGS = {
    "level_lines": ds.plots.level_lines,
    "objective_along_time": lambda _, *paths, **options: ds.plots.objective_along_time(
        *paths, **options
    ),
    "phase_portrait": lambda _, *paths, **options: ds.plots.phase_portrait(
        *paths, **options
    ),
    "distance_along_time": lambda _, *paths, **options: ds.plots.distance_along_time(
        *paths, reference=paths[0], **options
    ),
}
"""Every function that draws on one axes; a new one is one line here."""


@pytest.mark.parametrize("name", DRAWINGS)
def test_draws_on_the_given_axes_and_returns_it(name, objective, trajectory, ax):
    assert DRAWINGS[name](objective, trajectory, ax=ax) is ax
    assert ax.lines
    assert ax.get_xlabel()
    assert ax.get_ylabel()


@pytest.mark.parametrize("name", DRAWINGS)
def test_makes_an_axes_when_none_is_given(name, objective, trajectory):
    import matplotlib.pyplot as plt

    ax = DRAWINGS[name](objective, trajectory)
    assert ax.lines
    plt.close(ax.figure)


@pytest.mark.parametrize("name", DRAWINGS)
def test_several_axes_are_refused(name, objective, trajectory):
    axes = Figure().subplots(1, 2)
    with pytest.raises(TypeError, match=r"pass one: `ax=axes\[0\]`"):
        DRAWINGS[name](objective, trajectory, ax=axes)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_single_trajectory_has_no_legend_unless_asked(name, objective, trajectory, ax):
    assert DRAWINGS[name](objective, trajectory, ax=ax).get_legend() is None
    DRAWINGS[name](objective, trajectory, ax=ax, legend=True, labels=["again"])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["DIN", "again"]


@pytest.mark.parametrize("name", DRAWINGS)
def test_several_trajectories_have_a_legend_of_their_systems(
    name, objective, trajectory, gradient_flow, ax
):
    DRAWINGS[name](objective, trajectory, gradient_flow, ax=ax)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["DIN", "Gradient flow"]


def test_comparison_has_a_column_a_trajectory(objective, trajectory, gradient_flow):
    figure = Figure()
    axes = ds.plots.comparison(objective, trajectory, gradient_flow, figure=figure)
    assert axes.shape == (2, 2)
    assert all(ax.figure is figure for ax in axes.flat)
    assert [ax.get_title() for ax in axes[0]] == ["DIN", "Gradient flow"]
    assert axes[0, 0].get_xlim() == axes[0, 1].get_xlim()
    levels = [ax.collections[0].levels for ax in axes[0]]
    np.testing.assert_array_equal(*levels)


def test_comparison_makes_a_figure_when_none_is_given(objective, trajectory):
    import matplotlib.pyplot as plt

    axes = ds.plots.comparison(objective, trajectory)
    assert axes.shape == (2, 1)
    plt.close(axes[0, 0].figure)


IMPORTS = """
import sys
import dynsys as ds
assert "matplotlib" not in sys.modules
from matplotlib.figure import Figure
f = ds.objectives.LogCosh([1.0, 2.0])
ds.plots.level_lines(f, limits=((-1, 1), (-1, 1)), ax=Figure().subplots())
assert "matplotlib.pyplot" not in sys.modules
"""


def test_matplotlib_is_imported_with_the_plots_only_and_pyplot_not_at_all():
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)

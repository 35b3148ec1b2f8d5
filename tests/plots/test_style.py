import itertools

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import dynsys as ds
from dynsys.plots.style import LOOKS, resolve_looks, save
from dynsys.systems import AbstractSystem

PUBLISHED = {
    "GradientFlow": "#009E73",
    "ContinuousNewton": "#0072B2",
    "LevenbergMarquardt": "#CC79A7",
    "HeavyBall": "#E69F00",
    "AVD": "#56B4E9",
    "DIN": "#D55E00",
    "DINAVD": "#701C00",
    "GDIN": "#8C00FC",
    "VMDINAVD": "#000000",
    "InertialNewton": "#1C1C8C",
}

# Machado, Oliveira, Fernandes (2009), severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def lab(color, vision):
    """CIELAB coordinates of a colour as it is seen."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ np.clip(vision @ linear, 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_colours_of_systems_are_fixed():
    assert {name: one.color for name, one in LOOKS.items()} == PUBLISHED


@pytest.mark.parametrize("vision", VISION)
def test_colours_of_systems_are_told_apart_by_every_reader(vision):
    seen = [lab(one.color, VISION[vision]) for one in LOOKS.values()]
    pairs = itertools.combinations(seen, 2)
    assert min(np.linalg.norm(a - b) for a, b in pairs) > 16


def test_the_table_names_systems_that_exist():
    for name in LOOKS:
        assert issubclass(getattr(ds, name), AbstractSystem)


def test_a_system_outside_the_table_is_labelled_by_its_class():
    class Odd(ds.GradientFlow):
        pass

    assert ds.plots.look(Odd(lambda x: x**2)).label == "Odd"


def test_a_label_replaces_the_name_of_the_system(trajectory):
    assert ds.plots.look(trajectory.system, "mine").label == "mine"
    (one,) = resolve_looks([trajectory], labels=["mine"])
    assert one == ds.plots.look(trajectory.system)._replace(label="mine")


def test_two_trajectories_of_one_system_differ_in_line_style(trajectory, gradient_flow):
    first, other, second = resolve_looks([trajectory, gradient_flow, trajectory])
    assert first.color == second.color != other.color
    assert first.linestyle != second.linestyle
    assert [first.label, other.label, second.label] == [
        "DIN (1)",
        "Gradient flow",
        "DIN (2)",
    ]


def test_context_leaves_the_settings_of_the_user_as_they_were():
    before = dict(mpl.rcParams)
    with ds.plots.context():
        assert mpl.rcParams["font.family"] == ["STIXGeneral"]
    assert dict(mpl.rcParams) == before


def test_a_figure_saved_twice_has_the_same_bytes(objective, trajectory, tmp_path):
    for name in ("first", "second.v1"):
        with ds.plots.context():
            figure = Figure(figsize=(3.4, 2.4), layout="constrained")
            ds.plots.level_lines(objective, trajectory, ax=figure.subplots())
        ds.plots.save(figure, tmp_path / "new" / name)
    for suffix in ("pdf", "png"):
        first = (tmp_path / "new" / f"first.{suffix}").read_bytes()
        second = (tmp_path / "new" / f"second.v1.{suffix}").read_bytes()
        assert first == second
        assert b"CreationDate" not in first


def test_save_refuses_a_suffix_a_folder_and_axes(tmp_path):
    figure = Figure()
    for path in (tmp_path / "x.png", tmp_path / "x.pdf", tmp_path):
        with pytest.raises(ValueError, match="without suffix"):
            save(figure, path)
    with pytest.raises(TypeError, match="axes.figure"):
        save(figure.add_subplot(), tmp_path / "x")

"""How things look: one colour and line style a system, settings for print, saving."""

import contextlib
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from dynsys.systems.system import AbstractSystem
from dynsys.trajectory import Trajectory


class Look(NamedTuple):
    """How one trajectory is drawn.

    Args:
        color: Any matplotlib colour.
        linestyle: Any matplotlib line style.
        label: What the legend says.
        linewidth: Width of the line in points; `None` for that of matplotlib's settings.
    """

    color: str
    linestyle: Any
    label: str
    linewidth: float | None = None


DASHED = (0, (5, 2))
DOTTED = (0, (1, 1.5))
DASH_DOTTED = (0, (6, 1.5, 1, 1.5))

LOOKS: dict[str, Look] = {
    "GradientFlow": Look("#009E73", DASH_DOTTED, "Gradient flow"),
    "ContinuousNewton": Look("#0072B2", DASHED, "Continuous Newton"),
    "LevenbergMarquardt": Look("#CC79A7", (0, (3, 1.2)), "Levenberg–Marquardt"),
    "HeavyBall": Look("#E69F00", DASH_DOTTED, "Heavy ball"),
    "AVD": Look("#56B4E9", DASH_DOTTED, "AVD"),
    "DIN": Look("#D55E00", "-", "DIN"),
    "DINAVD": Look("#701C00", "-", "DIN-AVD"),
    "GDIN": Look("#8C00FC", "-", "g-DIN"),
    "VMDINAVD": Look("#000000", "-", "VM-DIN-AVD"),
    "InertialNewton": Look("#1C1C8C", "-", "Inertial Newton"),
}
"""By name of the class. The first seven colours in use are those of Okabe and Ito
(2008) without yellow, which is faint on paper. The other three keep the smallest CIELAB
distance between any two colours, simulated for protanopia, deuteranopia and
tritanopia, at the 16 of the seven."""

LINES = ("#0072B2", "#D55E00", "#009E73", "#000000", "#CC79A7", "#E69F00")
"""Okabe and Ito (2008), without the two that are faint on paper."""

OTHER = Look("#7F7F7F", "-", "")
"""For systems outside the table; the name of the class is the label."""

REPEATS = ("-", DASHED, DOTTED, DASH_DOTTED)
"""Line styles of the first, second, ... trajectory of the same system."""

SETTINGS: Any = {
    "axes.grid": False,
    "axes.labelsize": 9,
    "axes.linewidth": 0.6,
    "axes.titlesize": 9,
    "figure.dpi": 100,
    "font.family": "STIXGeneral",
    "font.size": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.2,
    "mathtext.fontset": "stix",
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
    "xtick.direction": "in",
    "xtick.labelsize": 8,
    "xtick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.direction": "in",
    "ytick.labelsize": 8,
    "ytick.major.width": 0.6,
    "ytick.minor.width": 0.4,
}
"""Text of 8 to 9 points at the size of the figure: no smaller than a footnote in print.
STIX matches Times, and matplotlib ships it, so a figure looks the same everywhere."""


def context() -> contextlib.AbstractContextManager[None]:
    """Settings for figures in print, as a context.

    Returns:
        A context manager; figures made inside it have the settings.

    Example:
        >>> from matplotlib.figure import Figure
        >>> with context():
        ...     figure = Figure(figsize=(3.4, 2.4))
        >>> float(figure.dpi)
        100.0
    """
    return mpl.rc_context(SETTINGS)


def look(system: AbstractSystem, label: str | None = None) -> Look:
    """The colour, line style and label that a system has in every figure.

    Args:
        system: A system, such as `dynsys.DIN(f, alpha=1.0, beta=0.1)`.
        label: Label to use instead of the name of the system.

    Returns:
        Its look.

    Example:
        >>> import dynsys as ds
        >>> look(ds.GradientFlow(lambda x: x**2)).color
        '#009E73'
    """
    name = type(system).__name__
    found = LOOKS.get(name, OTHER._replace(label=name))
    return found if label is None else found._replace(label=label)


def resolve_looks(
    trajectories: Sequence[Trajectory],
    labels: Sequence[str] | None = None,
    given: Sequence[Look] | None = None,
) -> list[Look]:
    """Looks of trajectories that share axes: a repeated system changes line style.

    Args:
        trajectories: What is drawn.
        labels: One label a trajectory, instead of the names of the systems.
        given: One look a trajectory, instead of those of the systems.

    Returns:
        One look a trajectory.

    Raises:
        ValueError: `labels` or `given` has another length than `trajectories`.
    """
    for name, values in (("labels", labels), ("looks", given)):
        if values is not None and len(values) != len(trajectories):
            raise ValueError(
                f"`{name}` must have one entry a trajectory, but has {len(values)} for "
                f"{len(trajectories)}."
            )
    if given is None:
        given = _tell_apart([look(trajectory.system) for trajectory in trajectories])
    if labels is None:
        return list(given)
    pairs = zip(given, labels, strict=True)
    return [one._replace(label=label) for one, label in pairs]


def _tell_apart(found: list[Look]) -> list[Look]:
    return [
        _number(one, found[:i].count(one)) if found.count(one) > 1 else one
        for i, one in enumerate(found)
    ]


def _number(one: Look, earlier: int) -> Look:
    style = REPEATS[earlier % len(REPEATS)]
    return one._replace(linestyle=style, label=f"{one.label} ({earlier + 1})")


def save(figure: Figure, path: str | pathlib.Path) -> None:
    """Write a figure as PDF (vectors) and as PNG; a rerun gives the same bytes.

    Args:
        figure: The figure.
        path: Where to, without suffix. Missing folders are made.

    Raises:
        TypeError: `figure` is not a figure.
        ValueError: `path` has a suffix, or is a folder.

    Example:
        >>> import pathlib, tempfile
        >>> from matplotlib.figure import Figure
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(Figure(), f"{folder}/empty")
        ...     sorted(file.name for file in pathlib.Path(folder).iterdir())
        ['empty.pdf', 'empty.png']
    """
    path = pathlib.Path(path)
    if not isinstance(figure, Figure):
        raise TypeError(
            f"`figure` must be a matplotlib figure, but is a {type(figure).__name__}. The "
            f"figure of some axes is `axes.figure`."
        )
    if path.suffix in (".pdf", ".png") or path.is_dir():
        raise ValueError(
            f"`path` must be a file name without suffix, since a PDF and a PNG are "
            f"written, but is {str(path)!r}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with context():
        # Dates and versions would change the file with the day and the machine.
        dateless = {"CreationDate": None, "Producer": None, "Creator": None}
        figure.savefig(f"{path}.pdf", metadata=dateless)
        figure.savefig(f"{path}.png", metadata={"Software": None})

"""An energy along time."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from dynsys.analysis.energies.along_trajectory import EnergyReport
from dynsys.plots.axes import add_legend, axes_or_new
from dynsys.plots.checks import require_reports
from dynsys.plots.style import LINES


def energy_along_time(
    *reports: EnergyReport,
    labels: Sequence[str] | None = None,
    legend: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw energies $E(t)$ along trajectories.

    Args:
        *reports: What `dynsys.analysis.energy` returned.
        labels: One label a report, instead of the names of the energies.
        legend: Whether to draw a legend; left out, for more than one report.
        ax: Axes to draw on; left out, those of a new figure.

    Returns:
        The axes.

    Raises:
        TypeError: An argument is no report of an energy, or `ax` no axes.
        ValueError: There is no report, or `labels` does not fit.

    Example:
        >>> import dynsys as ds
        >>> from matplotlib.figure import Figure
        >>> f = ds.objectives.Quadratic([[1.0, 0.0], [0.0, 9.0]])
        >>> run = ds.simulate(ds.GDIN(f, 1.0, 0.1), [1.0, 1.0], t1=9.0, dense=True)
        >>> ax = energy_along_time(ds.analysis.energy(run), ax=Figure().subplots())
        >>> ax.get_ylabel()
        '$E(t)$'
    """
    require_reports("energy_along_time", reports, EnergyReport, labels)
    labels = [f"$E$ of {one.name}" for one in reports] if labels is None else labels
    ax = axes_or_new(ax)
    for i, (report, label) in enumerate(zip(reports, labels, strict=True)):
        ax.plot(report.t, report.value, color=LINES[i % len(LINES)], label=label)
    ax.set(xlabel="$t$", ylabel="$E(t)$")
    add_legend(ax, legend, len(reports))
    return ax

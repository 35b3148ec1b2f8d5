"""A measured quantity along time, under the bound that was proved for it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from dynsys.analysis.report import Bound
from dynsys.plots.axes import add_legend, axes_or_new
from dynsys.plots.checks import require_reports
from dynsys.plots.style import LINES


def bound_along_time(
    *bounds: Bound,
    labels: Sequence[str] | None = None,
    legend: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what was measured as lines, and the bounds dashed in the same colours.

    Args:
        *bounds: What a function of `dynsys.analysis` returned, such as
            `newton_distance`.
        labels: One label a bound; left out, `measured` and `proved`.
        legend: Whether to draw a legend; left out, always.
        ax: Axes to draw on; left out, those of a new figure.

    Returns:
        The axes, with a logarithmic vertical scale.

    Raises:
        TypeError: An argument is no bound, or `ax` no axes.
        ValueError: There is no bound, or `labels` does not fit.

    Example:
        >>> from matplotlib.figure import Figure
        >>> t = np.linspace(0.0, 1.0, 3)
        >>> bound = Bound(t, np.exp(-t) / 2, np.exp(-t), 0.0, {}, (), "an example")
        >>> ax = bound_along_time(bound, ax=Figure().subplots())
        >>> len(ax.lines), ax.get_yscale()
        (2, 'log')
    """
    require_reports("bound_along_time", bounds, Bound, labels)
    labels = ["measured"] * len(bounds) if labels is None else labels
    ax = axes_or_new(ax)
    for i, (one, label) in enumerate(zip(bounds, labels, strict=True)):
        color = LINES[i % len(LINES)]
        # What is 0, as a distance at the start, a log scale cannot show.
        positive = np.where(one.measured > 0, one.measured, np.nan)
        ax.plot(one.t, positive, color=color, label=label)
        proved = "proved" if i == len(bounds) - 1 else None
        ax.plot(one.t, one.bound, color=color, linestyle="--", label=proved)
    ax.set(xlabel="$t$", yscale="log")
    add_legend(ax, True if legend is None else legend, len(bounds))
    return ax

"""The axes that a plot is drawn on."""

from matplotlib.axes import Axes


def axes_or_new(ax: Axes | None) -> Axes:
    """The axes given, or those of a new figure that pyplot shows.

    Raises:
        TypeError: `ax` is not a matplotlib axes.
    """
    if ax is None:
        # Only here: pyplot picks a graphical backend, which a script may not have.
        import matplotlib.pyplot as plt

        return plt.subplots(layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise TypeError(
            f"`ax` must be a matplotlib Axes, but has type {type(ax).__name__}. Of "
            f"several axes, pass one: `ax=axes[0]`."
        )
    return ax


def add_legend(ax: Axes, wanted: bool | None, count: int) -> None:
    """A legend if it is wanted; left open, if there are several lines to tell apart."""
    if wanted or (wanted is None and count > 1):
        ax.legend()

"""What a comparison of INNA with other optimisers says in words."""

from collections.abc import Sequence

import numpy as np

from scripts.learning.optimisers import OPTIMISERS
from scripts.learning.tuning import Budget, Tuned
from scripts.measured import listed, power

RANKS = ("first", "second", "third", "fourth", "fifth", "last")


def label_of(one: Tuned) -> str:
    """Its name, for INNA with both dampings."""
    label = OPTIMISERS[one.optimiser].label
    if one.optimiser != "inna":
        return label
    return f"{label} ({one.hyper.alpha:g}, {one.hyper.beta:g})"


def numbers(
    found: Sequence[Tuned], schedules: Sequence[Tuned], budget: Budget, images: int
) -> str:
    """What came out, and where each INNA of `found` is not the best.

    Args:
        found: The optimisers.
        schedules: INNA with several exponents.
        budget: What each of them got.
        images: How many images the test has.
    """
    names = [label_of(one) for one in found if one.optimiser == "inna"]
    losses = {label_of(one): one.history.final_loss for one in found}
    errors = {label_of(one): 1 - one.history.final_accuracy for one in found}
    order = sorted(losses, key=lambda name: losses[name].mean())
    ends = [label_of(one) for one in found if one.at_end]
    rates = listed(f"{label_of(one)} {one.hyper.rate:g}" for one in found)
    each = listed(
        f"{name} {100 * error.mean():.1f}% ({100 * error.min():.1f} to "
        f"{100 * error.max():.1f})"
        for name, error in errors.items()
    )
    return (
        f"training loss after {budget.epochs} epochs, mean over {budget.seeds} seeds with "
        f"least and largest: {listed(f'{name} {_range(losses[name])}' for name in order)}. "
        f"{_standings(names, losses, 'training loss')} Test error, where one of the "
        f"{images} images is {100 / images:.2f}%: {each}. "
        f"{_standings(names, errors, 'test error')} Tuned $\\gamma_0$: {rates}; "
        f"{listed(ends) + ' at an end' if ends else 'none at an end'} of the candidates, "
        f"which go from {budget.rates[0]:g} to {budget.rates[-1]:g}. {_powers(schedules)}"
    )


def _standings(names: Sequence[str], values: dict[str, np.ndarray], what: str) -> str:
    return " ".join(standing(name, values, what) for name in names)


def standing(name: str, values: dict[str, np.ndarray], what: str) -> str:
    """Where one is among all by its mean, and by whose seeds that is not settled.

    Args:
        name: Whose place is told.
        values: One entry a seed for each, less is better.
        what: What the values are.
    """
    mine = values[name]
    order = sorted(values, key=lambda one: values[one].mean())
    place = RANKS[-1] if order[-1] == name else RANKS[order.index(name)]
    lower = order[: order.index(name)]
    apart = lambda other: other.max() < mine.min() or mine.max() < other.min()
    mixed = [one for one in order if one != name and not apart(values[one])]
    beaten = f"; lower: {listed(lower)}" if lower else ""
    if not mixed:
        unsure = "; no overlap"
    elif len(mixed) == len(values) - 1 > 1:
        unsure = "; its seeds overlap with those of all others"
    else:
        unsure = f"; its seeds overlap with those of {listed(mixed)}"
    return f"By the mean {what} {name} is {place} of {len(values)}{beaten}{unsure}."


def _powers(schedules: Sequence[Tuned]) -> str:
    """The training loss of INNA for each exponent."""
    each = listed(
        f"{_range(one.history.final_loss)} for $q = 1/{1 / one.hyper.decay_power:g}$ "
        f"($\\gamma_0 = {one.hyper.rate:g}${', an end' if one.at_end else ''})"
        for one in schedules
    )
    return f"{label_of(schedules[0])} ends at {each}."


def _range(values: np.ndarray) -> str:
    """Mean, least and largest."""
    if not np.isfinite(values).all():
        return f"diverged for {np.sum(~np.isfinite(values))} seeds"
    mean, low, high = (power(float(one)) for one in _three(values))
    return f"${mean}$ (${low}$ to ${high}$)"


def _three(values: np.ndarray) -> tuple[float, float, float]:
    return values.mean(), values.min(), values.max()

"""When a mode ends: a free kink is reached, or the multiplier of a held one its bound."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from dynsys.integrators.engine.log import put
from dynsys.integrators.inclusion.piece_system import PieceSystem
from dynsys.systems.system import State
from dynsys.trees import Time

DEGREE = 8
"""Degree of the polynomials that stand for the guards in a step. The dense output is of
degree 4, and a guard makes little more of it in a step whose error is small."""

SHALLOW = 0.1
"""A dip between two nodes is looked into if it goes below this part of the guards there."""

HALVES = 4
"""One look in this many halves the bracket, whatever the guards are like."""

LONGEST_SEARCH = 300
"""Looks into one bracket after which a search ends in any case."""

ON_SURFACE = 0.1
"""Part of the slack within which the end of a bracket is close enough."""


def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Chebyshev nodes of [0, 1] with both ends, and values there to slopes there."""
    nodes = 0.5 - 0.5 * np.cos(np.pi * np.arange(DEGREE + 1) / DEGREE)
    differences = nodes[:, None] - nodes + np.eye(DEGREE + 1)
    weights = 1 / differences.prod(1)
    slopes = weights / weights[:, None] / differences
    np.fill_diagonal(slopes, 0.0)
    np.fill_diagonal(slopes, -slopes.sum(1))
    return nodes, slopes


NODES, SLOPES = _nodes()


class Crossing(NamedTuple):
    """Where a guard first turns negative in a step.

    Args:
        found: Whether one does.
        t: When.
        which: Its index among all guards.
        last: The guards at the end of the step.
        slope: Their rates there.
    """

    found: Bool[Array, ""]
    t: Time
    which: Int[Array, ""]
    last: Float[Array, " kinks"]
    slope: Float[Array, " kinks"]


class Bracket(NamedTuple):
    """Where a search stands, in parts of the step.

    Args:
        low: No guard is negative here.
        above: The smallest of them there.
        high: Here one is negative, if `found`; otherwise all has been looked at up to here.
        below: The smallest of them there.
        which: Its index.
        found: Whether one is negative.
        side: How often in a row `high` (positive) or `low` (negative) has moved.
        tries: Looks into the bracket.
    """

    low: Any
    above: Any
    high: Any
    below: Any
    which: Int[Array, ""]
    found: Bool[Array, ""]
    side: Int[Array, ""]
    tries: Int[Array, ""]


class Looks(NamedTuple):
    """Where the guards were looked at: first at the nodes, then for a bracket.

    Args:
        number: How often.
        part: Where to look next, in parts of the step.
        goes_on: Whether to.
        values: The guards at the nodes.
        slopes: The rates there of the polynomial through them.
        bracket: The bracket.
    """

    number: Int[Array, ""]
    part: Any
    goes_on: Bool[Array, ""]
    values: Float[Array, "nodes kinks"]
    slopes: Float[Array, "nodes kinks"]
    bracket: Bracket


def first_crossing(
    system: PieceSystem, start: Time, end: Time, path: Callable[[Time], State]
) -> Crossing:
    """The earliest time in a step at which a guard is negative, on the dense output.

    Where to look is read off polynomials through the guards at some nodes; what is there is
    told by the guards themselves.

    Args:
        system: The system in its mode.
        start: Start of the step.
        end: Its end.
        path: The dense output of the step.
    """
    margin = system.slack(path(start))
    span = end - start
    time = lambda part: jnp.where(part == 1, end, start + part * span)
    resolution = float(jnp.finfo(start.dtype).eps)
    resolution = resolution * jnp.maximum(1, jnp.abs(end) / jnp.where(span == 0, 1, span))
    nodes = jnp.asarray(NODES, start.dtype)
    weights = jnp.asarray(SLOPES.T, margin.dtype)

    def look(looks: Looks) -> Looks:
        number, part, _, values, slopes, bracket = looks
        t = time(part)
        # The guards in units of their slack, and that much above 0.
        there = system.guards(t, path(t)) / margin + 1
        is_node = number <= DEGREE
        row = jnp.minimum(number, DEGREE)
        values = put(values, jnp.where(is_node, there, values[row]), row)
        share = weights[row][:, None] * there[None]
        slopes = slopes + jnp.where(is_node, share, 0)
        smallest = jnp.min(values, axis=1)
        node = jnp.sum(nodes < part) - 1
        moved = _moved(bracket, part, there, nodes[node], smallest[node])
        begin = bracket._replace(above=smallest[0], below=smallest[0])
        bracket = jax.tree.map(lambda a, b: jnp.where(is_node, a, b), begin, moved)
        to_node = lambda: (nodes[jnp.minimum(number + 1, DEGREE)], jnp.asarray(True))
        search = lambda: _next(nodes, values, slopes, bracket, resolution)
        part, goes_on = jax.lax.cond(number < DEGREE, to_node, search)
        return Looks(number + 1, part, goes_on, values, slopes, bracket)

    zero, none, no = jnp.zeros_like(start), jnp.asarray(0), jnp.asarray(False)
    empty = jnp.zeros((DEGREE + 1, len(margin)), margin.dtype)
    least = jnp.zeros_like(margin[0])
    bracket = Bracket(zero, least, zero, least, none, no, none, none)
    begin = Looks(none, zero, jnp.asarray(True), empty, empty, bracket)
    looks = jax.lax.while_loop(lambda looks: looks.goes_on, look, begin)
    last, slope = (looks.values[-1] - 1) * margin, looks.slopes[-1] * margin / span
    bracket = looks.bracket
    return Crossing(bracket.found, time(bracket.high), bracket.which, last, slope)


def _next(nodes: Any, values: Any, slopes: Any, bracket: Bracket, resolution: Any) -> Any:
    """Where to look next, and whether to.

    Args:
        nodes: The nodes.
        values: The guards there.
        slopes: Their rates there.
        bracket: The bracket.
        resolution: The narrowest bracket.
    """
    dips = _dips(nodes, values, slopes)
    below_zero = jnp.where(jnp.min(values[1:], axis=1) < 0, nodes[1:], jnp.inf)
    after = lambda places: jnp.min(jnp.where(places > bracket.high, places, jnp.inf))
    following = jnp.minimum(after(dips), after(below_zero))
    is_wide = bracket.high - bracket.low > resolution
    is_coarse = (bracket.below < -ON_SURFACE) & is_wide
    more = jnp.where(bracket.found, is_coarse, jnp.isfinite(following))
    part = jnp.where(bracket.found, _between(bracket), following)
    return part, more & (bracket.tries < LONGEST_SEARCH)


def _dips(
    nodes: Float[Array, " nodes"],
    values: Float[Array, "nodes kinks"],
    slopes: Float[Array, "nodes kinks"],
) -> Float[Array, "intervals kinks"]:
    """Minima between two nodes that may be negative, of cubics; infinite where none is."""
    length = jnp.diff(nodes)[:, None]
    low, rise = values[:-1], jnp.diff(values, axis=0)
    first, last = length * slopes[:-1], length * slopes[1:]
    a, b = 3 * (first + last - 2 * rise), 2 * (3 * rise - 2 * first - last)
    turns = (first < 0) & (last > 0)
    root = jnp.sqrt(jnp.maximum(b**2 - 4 * a * first, 0))
    part = -2 * first / jnp.where(turns, b + root, 1)
    lowest = low + part * (first + part * (b / 2 + part * a / 3))
    is_deep = lowest < SHALLOW * jnp.minimum(low, values[1:])
    return jnp.where(turns & is_deep, nodes[:-1, None] + length * part, jnp.inf)


def _between(bracket: Bracket) -> Any:
    """Where to look in a bracket: regula falsi with the Illinois rule, safeguarded."""
    low, above, high, below, _, _, side, tries = bracket
    # The aim is between 0 and what is close enough, so that `high` is soon that close.
    aim = 0.5 * ON_SURFACE
    often = jnp.abs(side) - 1
    weight = jnp.where(often > 0, jnp.exp2(-often.astype(low.dtype)), 1)
    upper = (above + aim) * jnp.where(side > 0, weight, 1)
    lower = (below + aim) * jnp.where(side < 0, weight, 1)
    part = low + (high - low) * upper / jnp.where(upper == lower, 1, upper - lower)
    is_inside = (part > low) & (part < high) & (tries % HALVES != HALVES - 1)
    return jnp.where(is_inside, part, 0.5 * (low + high))


def _moved(bracket: Bracket, part: Any, there: Any, node: Any, smallest: Any) -> Bracket:
    """The bracket after a look at the guards.

    Args:
        bracket: The bracket before.
        part: Where they were looked at.
        there: The guards there.
        node: The last node before it.
        smallest: The smallest guard at that node.
    """
    low, above, high, below, which, found, side, tries = bracket
    value = jnp.min(there)
    negative, first = value < 0, (value < 0) & ~found
    # All nodes before the first place where a guard is negative are fine.
    from_node = first & (node > low)
    low_moves, high_moves = ~negative, negative | ~found
    choose = lambda new, old: jnp.where(low_moves, new, jnp.where(from_node, *old))
    step = jnp.where(negative, 1, -1)
    return Bracket(
        choose(part, (node, low)),
        choose(value, (smallest, above)),
        jnp.where(high_moves, part, high),
        jnp.where(high_moves, value, below),
        jnp.where(negative, jnp.argmin(there), which),
        found | negative,
        jnp.where(found, jnp.where(side * step > 0, side + step, step), 0),
        tries + found.astype(tries.dtype),
    )

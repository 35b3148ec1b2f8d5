"""When a mode ends: a free kink is reached, or the multiplier of a held one its bound."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.integrators.inclusion.mode import PieceSystem, multipliers
from dynsys.systems.system import State

Time = Float[Array, ""]

SAMPLES = 16
"""Places in a step at which the guards are looked at, besides the extrema between them."""

BISECTIONS = 50


class Crossing(NamedTuple):
    """Where a guard first turns negative in a step.

    Args:
        found: Whether one does.
        t: When.
        which: Its index among all guards.
    """

    found: Bool[Array, ""]
    t: Time
    which: Int[Array, ""]


def guards(system: PieceSystem, t: Time, state: State) -> Float[Array, " kinks"]:
    r"""What is positive while the mode lasts: $s_iz_i$ of free kinks, $1-|w_i|$ of held."""
    signature = multipliers(system, t, state)
    z = system.objective.switching(system.position(state), signature)
    held = system.mode.held
    return jnp.where(held, 1 - jnp.abs(signature), system.mode.signature * z)


def slack(system: PieceSystem, state: State) -> Float[Array, " kinks"]:
    """How far below 0 rounding may bring a guard."""
    x = system.position(state)
    sizes = [jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(x) if leaf.size]
    size = 1 + jnp.max(jnp.stack(sizes))
    # In 64 bits 5e-12 of a position and 1e-10 of a multiplier.
    unit = float(jnp.finfo(size.dtype).eps)
    return jnp.where(system.mode.held, unit**0.64, unit**0.72 * size)


def first_crossing(
    system: PieceSystem, start: Time, end: Time, path: Callable[[Time], State]
) -> Crossing:
    """The earliest time in a step at which a guard is negative, on the dense output.

    Args:
        system: The system in its mode.
        start: Start of the step.
        end: Its end.
        path: The dense output of the step.
    """
    margin = slack(system, path(start))
    at = lambda t: guards(system, t, path(t)) + margin
    both = lambda t: jax.jvp(at, (t,), (jnp.ones_like(t),))
    kinks = jnp.arange(len(margin))

    def dips_between(low: Time, high: Time, slopes: Any) -> tuple[Any, Any]:
        """Minima between two samples that are fine, looked for where the slope turns."""
        turn = (slopes[0] < 0) & (slopes[1] > 0)
        fraction = slopes[0] / jnp.where(turn, slopes[0] - slopes[1], 1)
        inner = low + (high - low) * fraction
        lowest = jax.vmap(at)(jnp.where(turn, inner, low))[kinks, kinks]
        return turn & (lowest < 0), inner

    def look(state: Any) -> Any:
        i, low, slopes, _, _ = state
        after = start + (end - start) * ((i + 1).astype(start.dtype) / SAMPLES)
        high = jnp.where(i == SAMPLES - 1, end, after)
        values, new = both(high)
        turns = jnp.any((slopes < 0) & (new > 0))
        none = lambda: (jnp.zeros_like(kinks, bool), jnp.full_like(margin, end, low.dtype))
        look_inside = lambda: dips_between(low, high, (slopes, new))
        dips, inner = jax.lax.cond(turns, look_inside, none)
        found = jnp.any(dips | (values < 0))
        first = jnp.minimum(high, jnp.min(jnp.where(dips, inner, end)))
        reached = jnp.where(found, low, high)
        return i + 1, reached, new, found, jnp.where(found, first, high)

    goes_on = lambda state: (state[0] < SAMPLES) & ~state[3]
    begin = (jnp.asarray(0), start, both(start)[1], jnp.asarray(False), end)
    _, low, _, found, high = jax.lax.while_loop(goes_on, look, begin)

    def halve(_: Any, bracket: tuple[Time, Time]) -> tuple[Time, Time]:
        low, high = bracket
        middle = 0.5 * (low + high)
        negative = jnp.any(at(middle) < 0)
        return jnp.where(negative, low, middle), jnp.where(negative, middle, high)

    count = jnp.where(found, BISECTIONS, 0)
    low, high = jax.lax.fori_loop(0, count, halve, (low, high))
    return Crossing(found, high, jnp.argmin(at(high)))

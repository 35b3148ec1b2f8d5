"""The times at which the coefficients of a system switch."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.schedules import Exponential, PowerLaw, evaluate
from dynsys.switches.read import Kind, Reading, read
from dynsys.switches.window import resolution, schedules_of
from dynsys.systems.system import AbstractSystem
from dynsys.trees import Time

MOST = 1024
"""Switches on an interval that are followed."""

SAMPLES = 512
"""Parts of an interval in which numbers that are not affine are looked at."""

FEW = 4
"""Integers that are crossed in each part of an interval that other switches have cut."""

BISECTIONS = 64
"""Halvings that bring the bracket of a switch from the interval to rounding."""

JUMP = 1e-6
"""A change within rounding, relative to the largest value, from which on it is a jump."""


class SwitchTimes(NamedTuple):
    """Where coefficients switch.

    Args:
        times: The times in order, after the start and up to the end; infinite where there
            are fewer. Differentiable in what the coefficients are made of.
        too_many: Whether there are more.
        jumps: Whether a jump was seen that could not be read.
        margin: How near to a switch a time may be on either side of it.
    """

    times: Float[Array, " switches"]
    too_many: Bool[Array, ""]
    jumps: Bool[Array, ""]
    margin: Time


class Brackets(NamedTuple):
    """Where numbers cross what they cross.

    Args:
        low: Before it; infinite where there is none.
        high: After it.
        target: The number that is crossed.
        which: The index of the number that crosses it.
    """

    low: Array
    high: Array
    target: Array
    which: Int[Array, "..."]


def switch_times(system: AbstractSystem, t0: Time, t1: Time) -> SwitchTimes | None:
    """Where the coefficients of a system switch; `None` where all are seen to be smooth.

    Args:
        system: The system.
        t0: Start of the interval.
        t1: Its end.
    """
    schedules = [
        schedule
        for schedule in schedules_of(system).values()
        if not isinstance(schedule, PowerLaw | Exponential)
    ]
    looks = [
        lambda t, s=schedule: read(lambda t: evaluate(s, t), t) for schedule in schedules
    ]
    shapes = [_structure(look, t0) for look in looks]
    switches = [switch for shape in shapes for switch in shape.switches]
    unread = [s for s, shape in zip(schedules, shapes, strict=True) if shape.unread]
    if not switches and not unread:
        return None
    every = lambda t: [switch for look in looks for switch in look(t).switches]
    start, end = jax.lax.stop_gradient((t0, t1))
    margin = resolution(start, end)
    # A switch at the end counts: a run that goes on from there starts after it.
    beyond = end + 4 * margin
    times, too_many = jnp.zeros(0, t0.dtype), jnp.asarray(False)
    for level in sorted({switch.level for switch in switches}):
        inner = jnp.concatenate([start[None], jax.lax.stop_gradient(times), beyond[None]])
        for kind, counts in itertools.product((Kind.AFFINE, Kind.SMOOTH), (False, True)):
            like = lambda s, l=level, k=kind, c=counts: (
                (s.level, s.kind, s.counts) == (l, k, c)
            )
            if not any(like(switch) for switch in switches):
                continue
            values = lambda t, like=like: jnp.concatenate(
                [switch.values for switch in every(t) if like(switch)]
            ).astype(t0.dtype)
            found, more = _roots(values, jnp.minimum(inner, beyond), margin, kind, counts)
            too_many = too_many | more
            times = jnp.concatenate([times, found])
        times, more = _in_order(times, start, end, margin)
        too_many = too_many | more
    jumps = [
        _jumps(lambda t, s=schedule: evaluate(s, t), start, end) for schedule in unread
    ]
    seen = jnp.any(jnp.stack([jnp.asarray(False), *jumps]))
    return SwitchTimes(times, too_many, seen, margin)


def at_ends_of_steps(switches: SwitchTimes, ends: Float[Array, " ends"]) -> SwitchTimes:
    """Switches moved, by rounding, to times at which steps end in any case.

    Between two ends that are the same up to rounding no coefficient could be looked at.

    Args:
        switches: The switches.
        ends: Those times, in any order.
    """
    ends = jnp.sort(ends)
    times = jax.lax.stop_gradient(switches.times)
    after = jnp.minimum(jnp.searchsorted(ends, times), len(ends) - 1)
    before = jnp.maximum(after - 1, 0)
    is_after = jnp.abs(ends[after] - times) < jnp.abs(ends[before] - times)
    nearest = jax.lax.stop_gradient(jnp.where(is_after, ends[after], ends[before]))
    is_near = jnp.abs(nearest - times) <= 4 * switches.margin
    shift = jnp.where(is_near, nearest - times, 0)
    # The derivative is that of the switch.
    return switches._replace(
        times=jnp.where(is_near, switches.times + shift, switches.times)
    )


def _structure(look: Callable[[Any], Reading], t: Time) -> Reading:
    """What is the same at all times of what a function switches by."""
    kept: list[Reading] = []

    def run(t: Any) -> None:
        kept.append(look(t))

    jax.eval_shape(run, t)
    return kept[0]


def _roots(
    values: Callable[[Any], Any], cuts: Array, margin: Time, kind: Kind, counts: bool
) -> tuple[Array, Bool[Array, ""]]:
    """Where some numbers cross 0 or integers in the parts of an interval.

    Args:
        values: The numbers at a time.
        cuts: The ends of the parts, in order.
        margin: How far inside of a part is far enough.
        kind: What the numbers are in a part.
        counts: Whether they cross integers.
    """
    fixed = lambda t: jax.lax.stop_gradient(values(t))
    inside = jnp.full_like(cuts, margin)
    if kind == Kind.SMOOTH:
        parts = max(SAMPLES // (len(cuts) - 1), 16)
        fraction = jnp.arange(parts, dtype=cuts.dtype) / parts
        fine = cuts[:-1, None] + (cuts[1:] - cuts[:-1])[:, None] * fraction[None]
        cuts = jnp.append(fine.reshape(-1), cuts[-1])
        # Between them nothing switches: what is looked at leaves no gap.
        inside = jnp.where(jnp.arange(len(cuts)) % parts == 0, margin, 0)
    low, high = cuts[:-1] + inside[:-1], cuts[1:] - inside[1:]
    at_low, at_high = jax.vmap(fixed)(low), jax.vmap(fixed)(high)
    is_real = (high > low)[:, None]
    if counts:
        room = MOST if len(low) == 1 else FEW
        least = jnp.floor(jnp.minimum(at_low, at_high))
        smallest = least + 1
        number = jnp.floor(jnp.maximum(at_low, at_high)) - least
        each = jnp.arange(room, dtype=low.dtype)[None, None]
        target = smallest[..., None] + each
        is_one = (each < number[..., None]) & is_real[..., None]
        too_many = jnp.any(is_real & (number > room))
    else:
        target = jnp.zeros((*at_low.shape, 1), low.dtype)
        is_one = (is_real & _crosses(at_low, at_high))[..., None]
        # Where neighbours cross, others may have crossed twice in one part.
        crowded = jnp.any(is_one[1:] & is_one[:-1]) if kind == Kind.SMOOTH else False
        too_many = jnp.asarray(crowded)
    too_many = too_many | (jnp.sum(is_one) > MOST)
    share = (target - at_low[..., None]) / _nonzero(at_high - at_low)[..., None]
    shape = target.shape
    length = (high - low)[:, None, None]
    first = low[:, None, None] + jnp.clip(share, 0, 1) * length
    which = jnp.broadcast_to(jnp.arange(shape[1])[:, None], shape)
    order = jnp.argsort(jnp.where(is_one, first, jnp.inf).reshape(-1))[:MOST]
    pick = lambda leaf: jnp.broadcast_to(leaf, shape).reshape(-1)[order]
    valid, which, target, guess = map(pick, (is_one, which, target, first))
    if kind == Kind.SMOOTH:
        ends = pick(low[:, None, None]), pick(high[:, None, None])
        guess = _bisect(fixed, *ends, which, target)
    guess = jnp.where(valid, guess, 0.5 * (cuts[0] + cuts[-1]))
    return jnp.where(
        valid, _differentiable(values, guess, which, target), jnp.inf
    ), too_many


def _crosses(low: Array, high: Array) -> Bool[Array, "..."]:
    """Whether numbers change their sign, of which 0 has that of what is above it."""
    return ((low < 0) != (high < 0)) & ~jnp.isnan(low) & ~jnp.isnan(high)


def _bisect(fixed: Any, low: Array, high: Array, which: Array, target: Array) -> Array:
    """Roots in brackets, all at once."""
    own = jax.vmap(lambda t, i, m: fixed(t)[i] - m)
    rises = own(high, which, target) >= 0

    def halve(_: Any, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = low + 0.5 * (high - low)
        is_after = (own(middle, which, target) >= 0) == rises
        return jnp.where(is_after, low, middle), jnp.where(is_after, middle, high)

    return jax.lax.fori_loop(0, BISECTIONS, halve, (low, high))[1]


def _differentiable(values: Any, found: Array, which: Array, target: Array) -> Array:
    """Roots as functions of what the numbers are made of, by implicit differentiation."""
    found = jax.lax.stop_gradient(found)

    def root(t: Time, i: Any, m: Any) -> Time:
        height, slope = jax.jvp(lambda t: values(t)[i] - m, (t,), (jnp.ones_like(t),))
        return t - (height - jax.lax.stop_gradient(height)) / jax.lax.stop_gradient(
            _nonzero(slope)
        )

    return jax.vmap(root)(found, which, target)


def _in_order(
    times: Array, start: Time, end: Time, margin: Time
) -> tuple[Array, Bool[Array, ""]]:
    """Times in order, each once, at most so many."""
    order = jnp.argsort(times)
    times = times[order]
    before = jnp.concatenate([start[None], times[:-1]])
    is_new = (times - before > 4 * margin) & (times <= end + margin)
    # A switch at the end does not move it.
    times = jnp.where(is_new, jnp.where(times < end, times, end), jnp.inf)
    times = times[jnp.argsort(times)]
    return times[:MOST], jnp.any(jnp.isfinite(times[MOST:]))


def _jumps(function: Callable[[Any], Any], start: Time, end: Time) -> Bool[Array, ""]:
    """Whether a function is seen to jump: where it changes most, ever more closely."""
    grid = start + (end - start) * jnp.linspace(0, 1, 4 * SAMPLES + 1, dtype=start.dtype)
    values = jax.lax.stop_gradient(jax.vmap(function)(grid))
    at = jnp.argmax(jnp.abs(jnp.diff(values)))

    def halve(_: Any, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = low + 0.5 * (high - low)
        there = jax.lax.stop_gradient(function(middle))
        first = jnp.abs(there - function(low)) >= jnp.abs(function(high) - there)
        return jnp.where(first, low, middle), jnp.where(first, middle, high)

    low, high = jax.lax.fori_loop(0, BISECTIONS, halve, (grid[at], grid[at + 1]))
    change = jnp.abs(function(high) - function(low))
    return jax.lax.stop_gradient(change) > JUMP * jnp.max(jnp.abs(values))


def _nonzero(values: Array) -> Array:
    return jnp.where(values == 0, 1, values)

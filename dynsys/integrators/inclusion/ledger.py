"""What happened at the kinks, line by line."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsys.integrators.engine.log import put
from dynsys.integrators.inclusion.mode import Mode
from dynsys.trees import Time

CROSS, SLIDE, LEAVE = 0, 1, 2

NEAR = 1e3
"""Precisions of time within which an event is at a stop, not after it."""


class Ledger(NamedTuple):
    """What happened at the kinks.

    Args:
        turns: Number of turns.
        lines: Number of lines.
        t: Time of each line.
        turn: The turn that it belongs to; 0 is the start.
        kink: Its kink.
        kind: What happened to it.
    """

    turns: Int[Array, ""]
    lines: Int[Array, ""]
    t: Float[Array, " events"]
    turn: Int[Array, " events"]
    kink: Int[Array, " events"]
    kind: Int[Array, " events"]


def empty_ledger(length: int, t0: Time) -> Ledger:
    """A ledger with room for a number of lines."""
    padding = jnp.full(length, -1)
    zero = jnp.zeros((), int)
    times = jnp.full(length, jnp.inf, t0.dtype)
    return Ledger(zero, zero, times, padding, padding, padding)


def write_events(
    ledger: Ledger,
    times: Float[Array, " kinks"],
    before: Mode,
    after: Mode,
    meeting: Bool[Array, " kinks"],
    bends: Bool[Array, " kinks"],
    fatal: Bool[Array, " kinks"],
) -> Ledger:
    """The ledger with what happened to each kink that met here.

    A kink without a jump of the gradient is no event.

    Args:
        ledger: The ledger before.
        times: When, by each kink.
        before: The mode before.
        after: The mode after.
        meeting: The kinks that met.
        bends: Those across which the gradient jumps.
        fatal: Those at which the run ends.
    """
    slides = meeting & after.held & ~before.held
    leaves = meeting & before.held & ~after.held
    same = jnp.sign(before.signature) == jnp.sign(after.signature)
    crosses = meeting & ~before.held & ~after.held & ~same
    kind = jnp.where(slides, SLIDE, jnp.where(leaves, LEAVE, CROSS))
    happened = (slides | leaves | crosses) & (bends | leaves) | fatal
    room = len(ledger.kink)
    goes_on = lambda loop: jnp.any(loop[1]) & (loop[0].lines < room)

    def write(loop: tuple[Ledger, Any]) -> tuple[Ledger, Any]:
        """The line of the first kink of those that are left."""
        ledger, left = loop
        i = jnp.argmax(left)
        at = ledger.lines
        written = ledger._replace(
            lines=at + 1,
            t=put(ledger.t, times[i], at),
            turn=put(ledger.turn, ledger.turns, at),
            kink=put(ledger.kink, i, at),
            kind=put(ledger.kind, kind[i], at),
        )
        return written, left & (jnp.arange(len(left)) != i)

    written, _ = jax.lax.while_loop(goes_on, write, (ledger, happened))
    return written._replace(lines=ledger.lines + jnp.sum(happened))


def up_to(ledger: Ledger, end: Time) -> Ledger:
    """The ledger without what was noted at the end of a step that a stop ended before."""
    near = NEAR * jnp.finfo(end.dtype).eps * jnp.abs(end)
    kept = jax.lax.stop_gradient(ledger.t <= end + near)
    blank = empty_ledger(len(ledger.t), end)
    columns = {
        name: jnp.where(kept, getattr(ledger, name), getattr(blank, name))
        for name in ("t", "turn", "kink", "kind")
    }
    return ledger._replace(lines=jnp.minimum(ledger.lines, jnp.sum(kept)), **columns)

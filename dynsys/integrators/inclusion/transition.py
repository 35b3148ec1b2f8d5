r"""What happens at a surface: cross, slide or leave.

The signs $w_i$ of the kinks that meet there solve a complementarity problem in the rates
$\rho_i(w) = \langle\nabla z_i, \dot x(w)\rangle$: either $w_i = 1$ and $\rho_i \ge 0$, or
$w_i = -1$ and $\rho_i \le 0$, or $-1 < w_i < 1$ and $\rho_i = 0$. Of a regular loss it has
one solution, the projection of the momentum onto the subdifferential.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from dynsys.integrators.inclusion.mode import Mode, PieceSystem, rates_of
from dynsys.systems.system import State
from dynsys.trees import dimension

Time = Float[Array, ""]

SWEEPS = 100
"""Passes over all kinks that meet; one is enough where they do not interact."""

LINEARISATIONS = 100
"""Newton steps where kinks are nested; that they settle is proved by none, but checked."""


class Transition(NamedTuple):
    """The mode after an event, and whether it is the only one that is consistent."""

    mode: Mode
    unique: Bool[Array, ""]


def transition(
    system: PieceSystem,
    t: Time,
    state: State,
    meeting: Bool[Array, " kinks"],
    fixed: Bool[Array, " kinks"],
) -> Transition:
    """The consistent mode where kinks meet.

    Args:
        system: The system in the mode before.
        t: Time.
        state: State, on the surfaces of the kinks that meet.
        meeting: The kinks whose switching value is 0.
        fixed: Those among them that leave to the side of their signature.
    """
    before = system.mode
    number = min(len(meeting), dimension(system.position(state)) + 2)
    which = jnp.nonzero(meeting, size=number, fill_value=0)[0]
    valid = jnp.arange(number) < jnp.sum(meeting)
    moves = valid & ~fixed[which]

    def linearise(signature: Any) -> tuple[Any, Any]:
        rates, slopes = rates_of(system, t, state, signature, which)
        start = signature[which]
        signs, unique = solve_complementarity(rates, slopes, start, moves)
        return signature.at[which].add(jnp.where(moves, signs - start, 0)), unique

    signature, unique = linearise(before.signature)
    if system.objective.program.nested:
        signature, unique = _repeat(linearise, signature, unique)
    inside = meeting & ~fixed & (jnp.abs(signature) < 1 - 1e-10)
    sides = jnp.where(signature >= 0, 1, -1).astype(signature.dtype)
    return Transition(Mode(jnp.where(inside, signature, sides), inside), unique)


def _repeat(linearise: Any, signature: Any, unique: Any) -> tuple[Any, Any]:
    """Linearise until nothing changes: the rates of nested kinks are multilinear."""

    def again(loop: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any]:
        signature, _, _, count = loop
        new, unique = linearise(signature)
        return new, unique, jnp.max(jnp.abs(new - signature)), count + 1

    def goes_on(loop: tuple[Any, Any, Any, Any]) -> Any:
        return (loop[2] > 1e-13) & (loop[3] < LINEARISATIONS)

    change = jnp.full((), jnp.inf, signature.dtype)
    begin = (signature, unique, change, 1)
    signature, unique, change, _ = jax.lax.while_loop(goes_on, again, begin)
    return signature, unique & (change <= 1e-13)


def solve_complementarity(
    rates: Any, slopes: Any, start: Any, moves: Any
) -> tuple[Any, Any]:
    """Sweep over the kinks, each in turn solved with the others held fixed.

    Args:
        rates: Rates at the signs to start from.
        slopes: Their derivatives in the signs.
        start: Signs to start from.
        moves: Whether a sign may change.

    Returns:
        The signs, and whether no sign could as well be the opposite one.
    """

    def relax(i: Any, loop: tuple[Any, Any]) -> tuple[Any, Any]:
        w, unique = loop
        rate = rates[i] + slopes[i] @ (w - start)
        slope = slopes[i, i]
        low, high = rate + slope * (-1 - w[i]), rate + slope * (1 - w[i])
        scale = 1e-12 * (jnp.abs(low) + jnp.abs(high))
        root = w[i] - rate / jnp.where(slope == 0, 1, slope)
        slides = (low > scale) & (high < -scale)
        up, down = (low >= -scale) & (high > scale), (low < -scale) & (high <= scale)
        branches = (low < -scale) & (high > scale)
        side = jnp.where(w[i] >= 0, 1, -1).astype(w.dtype)
        new = jnp.where(slides, root, jnp.where(up, 1, jnp.where(down, -1, side)))
        new = jnp.where(moves[i], new, w[i])
        return w.at[i].set(new), unique & ~(branches & moves[i])

    def sweep(loop: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any]:
        w, _, _, count = loop
        new, unique = jax.lax.fori_loop(0, len(w), relax, (w, jnp.asarray(True)))
        return new, unique, jnp.max(jnp.abs(new - w)), count + 1

    def goes_on(loop: tuple[Any, Any, Any, Any]) -> Any:
        return (loop[2] > 1e-14) & (loop[3] < SWEEPS)

    begin = (start, jnp.asarray(True), jnp.full((), jnp.inf, start.dtype), 0)
    w, unique, _, _ = jax.lax.while_loop(goes_on, sweep, begin)
    return w, unique

r"""Branches that are not taken, kept from spoiling the gradient of the one that is.

The gradient of `where(x < 4, x**2, sqrt(x))` is NaN at $x < 0$, because 0 times the slope
of the root is NaN. Where a case is not taken and its function is not defined,
the function is evaluated at a harmless point instead. What is taken stays untouched.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.nonsmooth.flat_program.conditions import Condition, conditions, in_order
from dynsys.nonsmooth.intervals.bounds import Bounds, Interval


class Domain(NamedTuple):
    """Where a function and its slope are finite.

    Args:
        low: The lower end of it.
        high: The upper end.
        safe: A number in it.
        has_pole: Whether the function is infinite at 0, which is inside.
        operand: The index of its argument.
    """

    low: float
    high: float
    safe: float
    has_pole: bool = False
    operand: int = 0

    def holds(self, x: Any) -> Any:
        """Of each number whether it is inside."""
        high = 0.99 * np.log(jnp.finfo(x.dtype).max) if self.high == LARGE else self.high
        inside = (x > self.low) & (x < high)
        return inside & (x != 0) if self.has_pole else inside

    def surely_holds(self, bounds: Interval) -> bool:
        """Whether all numbers between some bounds are inside."""
        high = 80.0 if self.high == LARGE else self.high
        inside = (bounds.low > self.low) | np.isneginf(self.low)
        inside &= (bounds.high < high) | np.isinf(high)
        apart = (bounds.low > 0) | (bounds.high < 0)
        return bool(np.all(inside & apart if self.has_pole else inside))


LARGE = 1e300
"""Stands for the largest number whose exponential is finite."""

POSITIVE = Domain(0.0, np.inf, 1.0)
INSIDE = Domain(-1.0, 1.0, 0.0)
NOT_ZERO = Domain(-np.inf, np.inf, 1.0, has_pole=True)
EXPONENT = Domain(-np.inf, LARGE, 0.0)

DOMAINS = {
    "acos": INSIDE,
    "acosh": Domain(1.0, np.inf, 2.0),
    "asin": INSIDE,
    "atanh": INSIDE,
    "cbrt": NOT_ZERO,
    "digamma": POSITIVE,
    "div": NOT_ZERO._replace(operand=1),
    "erf_inv": INSIDE,
    "exp": EXPONENT,
    "exp2": EXPONENT,
    "expm1": EXPONENT,
    "integer_pow": NOT_ZERO,
    "lgamma": POSITIVE,
    "log": POSITIVE,
    "log1p": Domain(-1.0, np.inf, 0.0),
    "pow": POSITIVE,
    "rsqrt": POSITIVE,
    "sqrt": POSITIVE,
}
"""Functions that are not finite everywhere, and where they are."""

Guards = tuple[tuple[int, tuple[Condition, ...]], ...]
"""Equations by their index, and on which conditions they are needed."""


def guarded(jaxpr: Any, active: set[Any], bounds: Bounds) -> tuple[Any, Guards]:
    """The program in an order in which predicates come first, and what they guard.

    Args:
        jaxpr: A flat program.
        active: Variables that depend on its argument.
        bounds: Between which bounds its variables stay.
    """
    needed = conditions(jaxpr)
    found: dict[int, frozenset[Condition]] = {}
    for i, equation in enumerate(jaxpr.eqns):
        is_partial = equation.primitive.name in DOMAINS
        if not is_partial or equation.outvars[0] not in active:
            continue
        when = needed.get(equation.outvars[0], frozenset())
        if when and not _is_defined(equation, bounds):
            found[i] = when
    earlier = {i: {c.predicate for c in when} for i, when in found.items()}
    order = in_order(jaxpr.eqns, earlier)
    if order is None or not found:
        return jaxpr, ()
    place = {old: new for new, old in enumerate(order)}
    guards = sorted((place[i], tuple(when)) for i, when in found.items())
    return jaxpr.replace(eqns=[jaxpr.eqns[i] for i in order]), tuple(guards)


def _is_defined(equation: Any, bounds: Bounds) -> bool:
    """Whether the argument of an equation never leaves its domain."""
    name = equation.primitive.name
    if name == "integer_pow" and equation.params["y"] >= 0:
        return True
    domain = DOMAINS[name]
    return domain.surely_holds(bounds.of(equation.invars[domain.operand]))


def safely(
    equation: Any,
    values: Sequence[Any],
    when: Sequence[Condition],
    read: Callable[[Any], Any],
) -> list[Any]:
    """Operands of an equation that are in its domain, unless it is taken.

    Args:
        equation: The equation.
        values: Its operands.
        when: The conditions on which it is taken.
        read: Values of predicates, or their weights.
    """
    domain = DOMAINS[equation.primitive.name]
    x = values[domain.operand]
    use = domain.holds(jax.lax.stop_gradient(x))
    taken = [_is_taken(read(c.predicate), c.case) for c in when]
    use |= jnp.broadcast_to(jnp.stack(jnp.broadcast_arrays(*taken)).all(0), use.shape)
    safe = jnp.where(use, x, jnp.asarray(domain.safe, x.dtype))
    return [safe if i == domain.operand else v for i, v in enumerate(values)]


def _is_taken(which: Any, case: int) -> Any:
    """Whether a selection takes a case, at least in part."""
    which = jax.lax.stop_gradient(which)
    if jnp.issubdtype(which.dtype, jnp.floating):
        return which > 0 if case else which < 1
    if which.dtype == jnp.bool_:
        return which if case else ~which
    return which == case

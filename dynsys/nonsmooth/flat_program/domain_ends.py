r"""Ends of the domains of functions at which they are finite, but their slope is not.

Where the argument of a square root becomes negative, the loss is not defined. Where it
reaches 0 without becoming negative, the root has a cone: that of $\|x\|^2$ at the origin.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal

from dynsys.checks import is_concrete
from dynsys.nonsmooth.flat_program.conditions import Condition, conditions
from dynsys.nonsmooth.flat_program.refusals import refuse
from dynsys.nonsmooth.intervals.bounds import Bounds, Interval, point
from dynsys.nonsmooth.intervals.rules import RULES
from dynsys.programs.dataflow import is_in

SCALES = tuple(10.0**k for k in sorted(range(-9, 13), key=abs))
"""Distances from the position at which a root is looked for that is not defined."""

PLACED = frozenset({"broadcast_in_dim", "convert_element_type", "reshape", "squeeze"})
"""Primitives that do not change numbers."""

DOMAINS = {"acos": (-1.0, 1.0), "asin": (-1.0, 1.0), "acosh": (1.0, np.inf)}
POWERS = {
    "igamma": ((0.0, np.inf),),
    "igammac": ((0.0, np.inf),),
    "regularized_incomplete_beta": ((0.0, np.inf), (-np.inf, 1.0)),
}
"""Functions that behave like a power at the end of the domain of their last operand, whose
other operands are the exponents."""

ROOTS = frozenset({"sqrt", "rsqrt"})
AWAY = "Keep its argument away from the end, as in `jnp.sqrt(s + 1e-6)`"


class Ends:
    """The ends of domains in a program.

    Args:
        jaxpr: The program.
        consts: What it closes over.
        leaves: A point like those that it takes.
        bounds: Between which bounds its variables stay.
        active: Variables that depend on the argument.
        kinked: Variables that depend on a switch.
    """

    def __init__(
        self,
        jaxpr: Any,
        consts: Sequence[Any],
        leaves: Sequence[Any],
        bounds: Bounds,
        active: set[Any],
        kinked: set[Any],
    ) -> None:
        self.jaxpr, self.consts, self.leaves, self.bounds = jaxpr, consts, leaves, bounds
        self.active, self.kinked = active, kinked
        self._needed: dict[Any, frozenset[Condition]] | None = None
        self._samples: list[Bounds] | None = None

    def is_root(self, equation: Any) -> bool:
        """Whether an equation may be a cone, if the loss is not even in it.

        Raises:
            NotPiecewiseSmooth: It reaches an end, and is no square root.
        """
        name = equation.primitive.name
        if name == "div" and self._is_guarded_quotient(equation):
            raise refuse(
                equation,
                "is guarded where its denominator is 0, and may have a cone there",
                "Keep the denominator away from 0, as in `a / (b + 1e-9)`",
            )
        if name in DOMAINS and self.touches(equation, *DOMAINS[name]):
            raise refuse(
                equation, "is finite at the end of its domain, where its slope is not", AWAY
            )
        if name in POWERS and self._is_rough_at_an_end(equation):
            raise refuse(
                equation, "is finite at the end of its domain, where its slope is not", AWAY
            )
        if name == "pow":
            return self._is_root_of_power(equation)
        return name in ROOTS and self._reaches_zero(equation)

    def _is_rough_at_an_end(self, equation: Any) -> bool:
        """Whether a function that is like a power at an end has an infinite slope there."""
        v = equation.invars[-1]
        for exponent, (least, most) in zip(
            equation.invars, POWERS[equation.primitive.name], strict=False
        ):
            fine = self._is_smooth_power(v, self.bounds.of(exponent))
            if not np.all(fine) and self.touches(equation, least, most, -1):
                return True
        return False

    def _is_smooth_power(self, base: Any, power: Interval) -> Any:
        """Whether powers of what is nowhere negative have a continuous slope.

        |grad u|^2 <= 2 L u if u >= 0 has a Lipschitz gradient: u^c is C^1 for c > 1/2.
        """
        return (power.low > 0.5) & ((power.low >= 1) | (base not in self.kinked))

    def _is_root_of_power(self, equation: Any) -> bool:
        base, exponent = equation.invars
        if not is_in(base, self.active):
            return False
        power = self.bounds.of(exponent)
        fine = self._is_smooth_power(base, power)
        fine |= (power.high < 0) & power.is_point
        if np.all(fine) or not self._reaches_zero(equation):
            return False
        if power.is_point and np.all(np.asarray(power.low) == 0.5):
            return True
        raise refuse(
            equation, "is finite where its base is 0, where its slope is not", AWAY
        )

    def under(self, v: Any, result: Any) -> Interval:
        """The bounds of a variable where the loss depends on a result."""
        if self._needed is None:
            self._needed = conditions(self.jaxpr, compared=False)
        return self.bounds.under(v, self._needed.get(result, ()))

    def _reaches_zero(self, equation: Any) -> bool:
        """Whether what is under a root may be 0 without being negative next to it."""
        v, result = equation.invars[0], equation.outvars[0]
        if np.all(self.under(v, result).low > 0):
            return False
        is_zero_there = equation.primitive.name != "rsqrt"
        if is_zero_there and np.all(self.under(result, result).low > 0):
            return False
        return not self._leaves(v, 0.0, np.inf)

    def touches(
        self, equation: Any, least: float, most: float = np.inf, operand: int = 0
    ) -> bool:
        """Whether an argument may reach the end of its domain without leaving it.

        Args:
            equation: The equation.
            least: The lower end of its domain.
            most: The upper end.
            operand: The index of its argument.
        """
        v = equation.invars[operand]
        if not is_in(v, self.active):
            return False
        if np.all(_is_inside(self.under(v, equation.outvars[0]), least, most)):
            return False
        return not self._leaves(v, least, most)

    def _leaves(self, v: Any, least: float, most: float) -> bool:
        """Whether each entry of a variable is outside of its domain at some point.

        What is a product does not leave it where an even factor is 0.
        """
        if least == 0 and self._has_even_factor(v):
            return False
        outside = np.zeros(v.aval.shape, bool)
        bounds = self.bounds.of(v)
        inside = _is_inside(bounds, least, most)
        if np.all((bounds.low >= least) & (bounds.high <= most)):
            return False
        for sample in self.samples():
            low, high = sample.of(v)
            outside |= (high < least) | (low > most)
            if np.all(outside | inside):
                return True
        return False

    def _has_even_factor(self, v: Any) -> bool:
        """Whether a product has a factor that is 0 somewhere, and negative nowhere."""
        several = Counter(self._factors(v))
        for factor, times in several.items():
            low, high = self.bounds.of(factor)
            may_be_0 = np.any((low <= 0) & (high >= 0))
            if may_be_0 and (times % 2 == 0 or np.all(low >= 0)):
                return True
        return False

    def _factors(self, v: Any) -> list[Any]:
        """The factors of a product of products that depend on the position."""
        if not is_in(v, self.active):
            return []
        made = self.bounds.made.get(v)
        if made is None:
            return [v]
        name = made.primitive.name
        if name == "mul":
            return [f for u in made.invars for f in self._factors(u)]
        return self._factors(made.invars[0]) if name == "div" or name in PLACED else [v]

    def samples(self) -> Iterator[Bounds]:
        """The program at single points, near the position and far from it."""
        if self._samples is None:
            self._samples = []
        random = np.random.default_rng(0)
        for i, scale in enumerate(SCALES):
            if i == len(self._samples):
                at = [point(_near(leaf, scale, random)) for leaf in self.leaves]
                consts = [_stand_in(c, random) for c in self.consts]
                self._samples.append(Bounds(self.jaxpr, consts, RULES, at))
            yield self._samples[i]

    def _is_guarded_quotient(self, equation: Any) -> bool:
        """Whether a denominator reaches 0, and something else is taken there.

        As in `where(n == 0, 0, a / n)`, or `a / where(n == 0, 1, n)`.
        """
        v = equation.invars[1]
        if isinstance(v, Literal) or not np.any(np.asarray(self.bounds.of(v).low) == 0):
            return False
        if np.all(self.under(v, equation.outvars[0]).low > 0):
            return False
        made = self.bounds.made.get(v)
        needed = (self._needed or {}).get(equation.outvars[0], ())
        chosen_by = {condition.predicate for condition in needed}
        if made is not None and made.primitive.name == "select_n":
            chosen_by.add(made.invars[0])
        return any(is_in(v, self.active) for v in chosen_by)


def _is_inside(bounds: Interval, least: float, most: float) -> Any:
    """Whether entries are surely inside of a domain; at infinity it has no end."""
    above = (bounds.low > least) | np.isinf(least)
    return above & ((bounds.high < most) | np.isinf(most))


def _near(leaf: Any, scale: float, random: np.random.Generator) -> np.ndarray:
    base = np.asarray(leaf, float) if is_concrete(leaf) else np.zeros(leaf.shape)
    return base + scale * random.normal(size=leaf.shape)


def _stand_in(value: Any, random: np.random.Generator) -> Any:
    """Numbers for data that are traced."""
    if is_concrete(value) or not jax.numpy.issubdtype(value.dtype, jax.numpy.floating):
        return value
    return np.abs(random.normal(size=value.shape))

r"""Bounded functions of what is infinite at a finite point, which hide a kink or a jump.

The loss itself may be infinite somewhere: a barrier is no kink. But $\arctan(1 / x)$ jumps
at 0, $x \tanh(1 / x)$ has a kink there, and $\exp(\log(x^2) / 2)$ is $|x|$. So the bounded
functions, and the exponential where its exponent may be minus infinity, are refused unless
there is no pole before them. Not refused are $\exp(-1 / x^2)$, which has all derivatives 0
at 0, and $\exp(-1 / x)$, which has them on the side where it is not infinite.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.extend.core import Literal

from dynsys.nonsmooth.flat_program.domain_ends import Ends
from dynsys.nonsmooth.flat_program.refusals import refuse
from dynsys.nonsmooth.flat_program.source_lines import place
from dynsys.nonsmooth.intervals.bounds import Interval
from dynsys.programs.dataflow import upstream
from dynsys.programs.primitives import MOVES

BOUNDED = frozenset({"atan", "erf", "erfc", "logistic", "tanh"})
PERIODIC = frozenset({"cos", "sin"})
EXPONENTIAL = frozenset({"exp", "exp2", "expm1"})
LOGARITHMIC = frozenset({"log", "log1p", "sqrt"})
RISING = frozenset({"asinh", "cbrt", "sinh"})
HIDING = BOUNDED | PERIODIC | EXPONENTIAL

UNITED = MOVES | frozenset(
    {
        "add",
        "add_any",
        "convert_element_type",
        "cumsum",
        "max",
        "min",
        "reduce_precision",
        "reduce_sum",
        "reduce_window_sum",
        "select_n",
    }
)
"""Primitives that are infinite where an operand is, and in the same way."""

NOWHERE, EVEN, ODD, ROUGH = 0, 1, 2, 3
"""How something is infinite at a point: not at all, with the same sign on both sides, with
opposite signs, or in another way."""


class Poles(NamedTuple):
    """How a variable may be infinite at finite points.

    Args:
        above: How it may be plus infinity.
        below: How it may be minus infinity.
        made: An equation that makes it so.
    """

    above: int
    below: int
    made: Any = None

    @property
    def turned(self) -> "Poles":
        """The poles of the negative."""
        return Poles(self.below, self.above, self.made)

    @property
    def rough(self) -> "Poles":
        """Those of a function that is infinite in another way."""
        return Poles(ROUGH * bool(self.above), ROUGH * bool(self.below), self.made)

    @property
    def both(self) -> "Poles":
        """Those of a product with what has any sign."""
        any_ = ROUGH if self.above or self.below else NOWHERE
        return Poles(any_, any_, self.made)

    def times(self, factor: Interval) -> "Poles":
        """Those of a product with numbers between some bounds."""
        if not (self.above or self.below) or np.all(factor.low >= 0):
            return self
        return self.turned if np.all(factor.high <= 0) else self.both


NONE = Poles(NOWHERE, NOWHERE)


def united(poles: Sequence[Poles]) -> Poles:
    """The poles of a sum."""
    made = next((p.made for p in poles if p.made is not None), None)
    high = max((p.above for p in poles), default=NOWHERE)
    return Poles(high, max((p.below for p in poles), default=NOWHERE), made)


def refuse_hidden_poles(jaxpr: Any, seen: Sequence[int], ends: Ends) -> None:
    """Refuse bounded functions of what may be infinite at a finite point.

    Args:
        jaxpr: The program.
        seen: Equations that the value depends on, and that depend on the position.
        ends: The ends of domains in it.

    Raises:
        NotPiecewiseSmooth: There is one.
    """
    hiding = [i for i in seen if jaxpr.eqns[i].primitive.name in HIDING]
    found: dict[Any, Poles] = {}
    for i in upstream({i: jaxpr.eqns[i] for i in seen}, hiding):
        equation = jaxpr.eqns[i]
        operands = [
            NONE if isinstance(v, Literal) else found.get(v, NONE) for v in equation.invars
        ]
        _check(equation, operands)
        poles = united([_carried(equation, operands, ends), _own(equation, ends)])
        if poles.above or poles.below:
            found.update(dict.fromkeys(equation.outvars, poles))


def _check(equation: Any, operands: Sequence[Poles]) -> None:
    """Refuse a function that hides a pole."""
    name = equation.primitive.name
    if name not in HIDING:
        return
    (poles,) = operands
    hidden = poles.below if name in EXPONENTIAL else max(poles.above, poles.below)
    accepted = ODD if name in EXPONENTIAL else NOWHERE if name in PERIODIC else EVEN
    if hidden <= accepted:
        return
    raise refuse(
        equation,
        f"is finite where {place(poles.made)}, on which it depends, is infinite, and may "
        f"jump or have a kink there",
        "Keep what is divided by, or what the logarithm is taken of, away from 0, as in "
        "`x / (1e-6 + y**2)`, `x / jnp.exp(y)` or `jnp.log(1e-6 + y**2)`",
    )


def _carried(equation: Any, operands: Sequence[Poles], ends: Ends) -> Poles:
    """The poles of the result that those of the operands make."""
    name, every = equation.primitive.name, united(operands)
    if not (every.above or every.below):
        return NONE
    if name in EXPONENTIAL | LOGARITHMIC:
        return every.rough._replace(below=NOWHERE)
    if name in HIDING:
        return NONE
    if name in UNITED:
        return every
    return CARRIED.get(name, _rough)(equation, operands, ends)


def _rough(equation: Any, operands: Sequence[Poles], _: Ends) -> Poles:
    """Those of a function that may change the sign."""
    every = united(operands)
    return every.rough if equation.primitive.name in RISING else every.both


def _negative(_equation: Any, operands: Sequence[Poles], _: Ends) -> Poles:
    return operands[0].turned


def _difference(_equation: Any, operands: Sequence[Poles], _: Ends) -> Poles:
    return united([operands[0], operands[1].turned])


def _product(equation: Any, operands: Sequence[Poles], ends: Ends) -> Poles:
    a, b = equation.invars
    of = ends.bounds.of
    left = operands[0].times(of(b))
    if equation.primitive.name == "div":
        return left
    if a is b:
        return _power(equation, [left])
    return united([left, operands[1].times(of(a))])


def _power(equation: Any, operands: Sequence[Poles], _: Ends | None = None) -> Poles:
    """Even functions are plus infinity wherever their argument is infinite."""
    poles, exponent = operands[0], equation.params.get("y", 2)
    if exponent <= 0:
        return NONE
    if exponent % 2:
        return poles
    return Poles(max(poles.above, poles.below), NOWHERE, poles.made)


CARRIED = {
    "div": _product,
    "mul": _product,
    "neg": _negative,
    "sub": _difference,
    **dict.fromkeys(("abs", "cosh", "integer_pow", "square"), _power),
}
"""How results are infinite where operands are."""


def _own(equation: Any, ends: Ends) -> Poles:
    """The poles that an equation makes itself."""
    name = equation.primitive.name
    if name == "div":
        return _of_quotient(equation, ends)
    if name == "integer_pow" and equation.params["y"] < 0:
        base = ends.under(equation.invars[0], equation.outvars[0])
        if equation.params["y"] % 2 == 0:
            base = Interval(np.where(base.low > 0, base.low, 0), np.inf)
        one = Interval(np.ones(()), np.ones(()))
        return _inverse(equation, one, base)
    if name in ("log", "log1p") and ends.touches(equation, float(-(name == "log1p"))):
        return Poles(NOWHERE, ROUGH, equation)
    if name in ("atanh", "erf_inv") and ends.touches(equation, -1.0, 1.0):
        return Poles(ROUGH, ROUGH, equation)
    if name in ("rsqrt", "pow") and ends.touches(equation, 0.0):
        is_inverse = name == "rsqrt" or np.any(ends.bounds.of(equation.invars[1]).low < 0)
        return Poles(ROUGH * bool(is_inverse), NOWHERE, equation)
    return _of_special(equation, ends)


def _of_special(equation: Any, ends: Ends) -> Poles:
    """The poles of tan, and of functions that have some at 0 and below it."""
    name = equation.primitive.name
    if name not in ("digamma", "lgamma", "polygamma", "tan", "zeta"):
        return NONE
    low, high = ends.under(equation.invars[-1], equation.outvars[0])
    quarter = np.pi / 2
    inside = (low > -quarter) & (high < quarter) if name == "tan" else low > 0
    if np.all(inside):
        return NONE
    return Poles(ROUGH, NOWHERE if name == "lgamma" else ROUGH, equation)


def _of_quotient(equation: Any, ends: Ends) -> Poles:
    above, below = equation.invars
    if isinstance(below, Literal) or below not in ends.active:
        return NONE
    bottom = ends.under(below, equation.outvars[0])
    return _inverse(equation, ends.bounds.of(above), bottom)


def _inverse(equation: Any, top: Interval, bottom: Interval) -> Poles:
    """The poles of a quotient of numbers between some bounds."""
    reaches = (bottom.low <= 0) & (bottom.high >= 0)
    if not np.any(reaches):
        return NONE
    positive, negative = bottom.low >= 0, bottom.high <= 0
    has_sign = (top.low >= 0) | (top.high <= 0)
    if np.any(reaches & ~has_sign):
        return Poles(ROUGH, ROUGH, equation)
    if np.any(reaches & ~(positive | negative)):
        return Poles(ODD, ODD, equation)
    same = (positive & (top.low >= 0)) | (negative & (top.high <= 0))
    return Poles(int(np.any(reaches & same)), int(np.any(reaches & ~same)), equation)

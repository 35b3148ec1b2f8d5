"""A flat program in another arithmetic than that of floats, with given signs.

Sums, products and quotients are taken as such; a comparison is a weight between 0 and 1, of
which `and`, `or`, `not` and selections are polynomials.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from dynsys.checks import is_concrete
from dynsys.equations import ENTRYWISE, called, programs_inside
from dynsys.nonsmooth import moves
from dynsys.nonsmooth.flat import apply, is_in
from dynsys.nonsmooth.functions import EXPONENTIAL, LOGARITHMIC
from dynsys.nonsmooth.residues import Rows

SAME = frozenset(
    {"copy", "copy_p", "optimization_barrier", "reduce_precision", "stop_gradient"}
)
FLIPPED = frozenset({"le", "lt"})
"""Comparisons whose weight grows against the sign of the difference of their operands."""

ENTRYWISE_ALL = (
    ENTRYWISE
    | SAME
    | frozenset(
        {"add_any", "digamma", "erf_inv", "igamma", "igammac", "lgamma", "polygamma"}
    )
)

Choose = Callable[[Any, Rows], Rows]
"""Signs of a switch, for its switching values."""


class Scope(NamedTuple):
    """Values of variables.

    Args:
        known: Numbers that depend on no unknown.
        rows: Values of the others, in the arithmetic.
        exact: The numbers in the arithmetic, as far as they were asked for.
    """

    known: Mapping[Any, np.ndarray]
    rows: MutableMapping[Any, Rows]
    exact: dict[Any, Rows]


class NormalForm:
    """A flat program whose equations are evaluated in any arithmetic.

    Args:
        program: The program.
        consts: What it closes over; what is traced is unknown.
    """

    def __init__(self, program: Any, consts: Sequence[Any]) -> None:
        self.program = program
        self.jaxpr = jaxpr = program.jaxpr
        self.traced = {
            v: c for v, c in zip(jaxpr.constvars, consts, strict=True) if not is_concrete(c)
        }
        self.known = {
            v: np.asarray(c)
            for v, c in zip(jaxpr.constvars, consts, strict=True)
            if is_concrete(c)
        }
        self.switches = {switch.equation: switch for switch in program.switches}
        self.passed = dict(program.passed)
        self.sources: dict[int, Any] = {}
        counts = [switch.stop - switch.start for switch in program.switches]
        self.of_entry = np.repeat([s.equation for s in program.switches], counts)
        self._downstream: dict[Any, list[int]] = {}
        self.active = _active(jaxpr)
        self.open = [i for i, e in enumerate(jaxpr.eqns) if not self._settle(e)]
        self.upstream = self._upstream()
        self.levels = self.levels_of(self.open)

    def _settle(self, equation: Any) -> bool:
        """Evaluate an equation for good if nothing in it is unknown."""
        if not all(isinstance(v, Literal) or v in self.known for v in equation.invars):
            return False
        real = [v.val if isinstance(v, Literal) else self.known[v] for v in equation.invars]
        self.known.update(_evaluated(equation, real))
        return True

    def _upstream(self) -> list[int]:
        """The equations that switching values depend on, and those of the switches."""
        needed: set[Any] = set()
        which = []
        for i in reversed(self.open):
            equation = self.jaxpr.eqns[i]
            if i in self.switches or needed.intersection(equation.outvars):
                needed |= {v for v in equation.invars if not isinstance(v, Literal)}
                which.append(i)
        return which[::-1]

    def levels_of(self, which: Iterable[int]) -> int:
        """How many primes of a chain the functions in some equations need."""
        names = set(_names(self.jaxpr.eqns[i] for i in which))
        return 1 + bool(names & EXPONENTIAL) + bool(names & LOGARITHMIC)

    def scope(self, field: Any) -> Scope:
        """Unknowns, drawn anew."""
        unknown = (*self.jaxpr.invars, *self.traced)
        rows = {v: field.draw(v.aval.shape) for v in unknown}
        return Scope(self.known, rows, {})

    def run(
        self, field: Any, scope: Scope, choose: Choose, which: Iterable[int] | None = None
    ) -> Rows:
        """Evaluate equations, all of them if none are named; the value."""
        self.steps(field, scope, choose, self.open if which is None else which)
        return self.read(field, scope, self.jaxpr.outvars[0])

    def steps(
        self, field: Any, scope: Scope, choose: Choose, which: Iterable[int]
    ) -> None:
        """Evaluate some equations."""
        for i in which:
            self.step(field, scope, choose, i)

    def step(self, field: Any, scope: Scope, choose: Choose, i: int) -> None:
        """Evaluate one equation."""
        equation = self.jaxpr.eqns[i]
        read = lambda v: self.read(field, scope, v)
        shape = equation.outvars[0].aval.shape
        if i in self.switches:
            values = [_ranked(read(v), len(shape)) for v in equation.invars]
            results = [switched(field, self.switches[i], values, choose)]
        elif i in self.passed:
            results = [_ranked(read(equation.invars[self.passed[i]]), len(shape))]
        else:
            results = self.equation(field, scope, equation)
        _store(scope, equation, results)

    def downstream(
        self, start: frozenset[int], variables: frozenset[Any] = frozenset()
    ) -> list[int]:
        """Some equations and those whose results depend on theirs, or on variables."""
        if (start, variables) not in self._downstream:
            reached: set[Any] = set(variables)
            which = []
            for i in self.open:
                equation = self.jaxpr.eqns[i]
                if variables.intersection(equation.outvars):
                    continue
                if i in start or any(is_in(v, reached) for v in equation.invars):
                    reached |= set(equation.outvars)
                    which.append(i)
            self._downstream[start, variables] = which
        return self._downstream[start, variables]

    def read(self, field: Any, scope: Scope, v: Any) -> Rows:
        """The value of a variable in an arithmetic."""
        if not isinstance(v, Literal) and v in scope.rows:
            return scope.rows[v]
        key = id(v) if isinstance(v, Literal) else v
        if key not in scope.exact:
            value = np.asarray(v.val if isinstance(v, Literal) else scope.known[v])
            whole = not jnp.issubdtype(value.dtype, jnp.inexact)
            scope.exact[key] = field.integers(value) if whole else field.exact(value)
        return scope.exact[key]

    def equation(self, field: Any, scope: Scope, equation: Any) -> list[Rows]:
        """The results of an equation that is no switch."""
        name = equation.primitive.name
        rank = len(equation.outvars[0].aval.shape)
        read = lambda i: self.read(field, scope, equation.invars[i])
        entry = lambda i: _ranked(read(i), rank)
        operand = entry if name in ENTRYWISE_ALL else read
        call = Call(self, field, scope, equation, operand)
        rule = RULES.get(name)
        found = rule(call) if rule else None
        if found is None:
            found = _program(call) if _has_program(equation) else None
        if found is None and name in moves.INDEXED:
            found = _moved(call)
        if found is None and name in ENTRYWISE_ALL:
            found = field.function(
                equation, [entry(i) for i in range(len(equation.invars))]
            )
        if found is None:
            found = field.opaque(equation, [read(i) for i in range(len(equation.invars))])
        return found if isinstance(found, list) else [found]


class Call(NamedTuple):
    """An equation with its operands."""

    form: NormalForm
    field: Any
    scope: Scope
    equation: Any
    rows: Callable[[int], Rows]

    def known(self, i: int) -> np.ndarray | None:
        """An operand that depends on no unknown."""
        v = self.equation.invars[i]
        return np.asarray(v.val) if isinstance(v, Literal) else self.scope.known.get(v)

    def is_bool(self, i: int = 0) -> bool:
        return self.equation.invars[i].aval.dtype == bool


def switched(field: Any, switch: Any, values: list[Rows], choose: Choose) -> Rows:
    """The result of a switch."""
    name = switch.name
    z = values[0] if name in ("abs", "sign") else field.sub(values[0], values[1])
    z = np.broadcast_to(z, (*z.shape[: moves.LEAD], *switch.shape))
    sign = choose(switch, z)
    if name == "sign":
        return sign
    if name == "abs":
        return field.mul(sign, z)
    up = field.half(field.add(field.one(sign), sign))
    down = field.half(field.sub(field.one(sign), sign))
    if name in ("max", "min"):
        return field.blend(up if name == "max" else down, values[1], values[0])
    return down if name in FLIPPED else up


def _ranked(a: Rows, rank: int) -> Rows:
    """A scalar beside arrays gets axes."""
    if a.ndim == moves.LEAD and rank:
        return a.reshape(*a.shape, *(1,) * rank)
    return a


def _store(scope: Scope, equation: Any, results: Sequence[Rows]) -> None:
    for v, value in zip(equation.outvars, results, strict=True):
        shape = (*value.shape[: moves.LEAD], *v.aval.shape)
        scope.rows[v] = value if value.shape == shape else np.broadcast_to(value, shape)


def _evaluated(equation: Any, values: Sequence[Any]) -> dict[Any, np.ndarray]:
    """The results of an equation of numbers, without JAX, which would compile it, if easy."""
    name = equation.primitive.name
    if name in moves.SIMPLE and len(equation.outvars) == 1:
        arrays = [np.asarray(value)[None, None] for value in values]
        return {equation.outvars[0]: moves.SIMPLE[name](equation, *arrays)[0, 0]}
    with jax.ensure_compile_time_eval():
        results = apply(equation, values)
    pairs = zip(equation.outvars, results, strict=True)
    return {v: np.asarray(value) for v, value in pairs if value is not None}


def _active(jaxpr: Any) -> set[Any]:
    """Variables that depend on the position."""
    active = set(jaxpr.invars)
    for equation in jaxpr.eqns:
        if any(not isinstance(v, Literal) and v in active for v in equation.invars):
            active |= set(equation.outvars)
    return active


def _names(equations: Iterable[Any]) -> Iterator[str]:
    """Primitives at any depth."""
    for equation in equations:
        yield equation.primitive.name
        for program in programs_inside(equation):
            yield from _names(program.eqns)


def _has_program(equation: Any) -> bool:
    return any(True for _ in programs_inside(equation))


LONGEST = 256
"""Passes of a loop without switches that are evaluated one by one."""


def _program(call: Call) -> list[Rows] | None:
    """A call, a loop of few passes or a branch that is known."""
    equation, params = call.equation, call.equation.params
    name = equation.primitive.name
    values = [_value(call, i) for i in range(len(equation.invars))]
    closed = called(equation)
    if closed is None and name == "cond" and not isinstance(values[0], tuple):
        closed = params["branches"][int(np.clip(values[0], 0, len(params["branches"]) - 1))]
        values = values[1:]
    if closed is not None:
        return _inside(call, closed, values)
    if name == "scan" and params["length"] <= LONGEST:
        return _loop(call, values)
    return None


def _value(call: Call, i: int) -> Any:
    """A number, or a value in the arithmetic in a tuple."""
    known = call.known(i)
    return (call.rows(i),) if known is None else known


def _inside(call: Call, closed: Any, values: Sequence[Any]) -> list[Rows]:
    """The results of a program."""
    scope = Scope({}, {}, {})
    form, field = call.form, call.field
    inputs = zip(
        (*closed.jaxpr.constvars, *closed.jaxpr.invars),
        (*closed.consts, *values),
        strict=True,
    )
    known: dict[Any, np.ndarray] = {}
    scope = Scope(known, {}, {})
    for v, value in inputs:
        if isinstance(value, tuple):
            scope.rows[v] = value[0]
        else:
            known[v] = np.asarray(value)
    is_known = lambda v: isinstance(v, Literal) or v in known
    for equation in closed.jaxpr.eqns:
        if all(map(is_known, equation.invars)):
            real = [v.val if isinstance(v, Literal) else known[v] for v in equation.invars]
            known.update(_evaluated(equation, real))
        else:
            _store(scope, equation, form.equation(field, scope, equation))
    return [form.read(field, scope, v) for v in closed.jaxpr.outvars]


def _loop(call: Call, values: list[Any]) -> list[Rows]:
    """The passes of a scan, one by one."""
    params = call.equation.params
    consts, carried = params["num_consts"], params["num_carry"]
    fixed, carry = values[:consts], values[consts : consts + carried]
    series = values[consts + carried :]
    order = range(params["length"])
    collected: list[Any] = [None] * params["length"]
    part = lambda s, i: (s[0][:, :, i],) if isinstance(s, tuple) else s[i]
    for i in reversed(order) if params["reverse"] else order:
        results = _inside(
            call, params["jaxpr"], [*fixed, *carry, *(part(s, i) for s in series)]
        )
        carry = [(r,) for r in results[:carried]]
        collected[i] = results[carried:]
    first = [c[0] if isinstance(c, tuple) else call.field.exact(c) for c in carry]
    stacked = [_stack(column) for column in zip(*collected, strict=True)]
    return [*first, *stacked]


def _stack(column: Sequence[Rows]) -> Rows:
    turns = max(a.shape[0] for a in column)
    return np.stack([np.broadcast_to(a, (turns, *a.shape[1:])) for a in column], moves.LEAD)


def _moved(call: Call) -> Any:
    """A move, if its indices are known."""
    equation = call.equation
    operands = [
        i
        for i, v in enumerate(equation.invars)
        if moves.is_data(v) or call.known(i) is None
    ]
    if any(
        call.known(i) is None and not moves.is_data(equation.invars[i]) and i
        for i in operands
    ):
        return None
    known = [None if i in operands else call.known(i) for i in range(len(equation.invars))]
    cache = call.form.sources
    key = id(equation)
    if key not in cache:
        cache[key] = moves.sources(equation, known)
    if cache[key] is None:
        return None
    rows = [call.rows(i) for i in operands]
    absent = call.field.exact(np.nan)
    return [moves.take(indices, rows, absent) for indices in cache[key]]


def _select(call: Call) -> Any:
    if len(call.equation.invars) != 3 or not call.is_bool():
        return None
    known = call.known(0)
    if known is not None:
        return np.where(known, call.rows(2), call.rows(1))
    return call.field.blend(call.rows(0), call.rows(1), call.rows(2))


def _equal(call: Call) -> Any:
    """Floats that depend on the position are generically different."""
    a, b = call.rows(0), call.rows(1)
    same = (a == b).all(axis=1, keepdims=True)
    v = call.equation.invars
    is_active = any(not isinstance(u, Literal) and u in call.form.active for u in v)
    if call.is_bool():
        product = call.field.mul(a, b)
        both = call.field.add(a, b)
        weight = call.field.sub(
            call.field.one(a), call.field.sub(both, call.field.add(product, product))
        )
    elif is_active and jnp.issubdtype(v[0].aval.dtype, jnp.inexact):
        weight = np.zeros_like(a)
    else:
        weight = call.field.relation("eq", a, b)
    weight = np.where(same, call.field.one(weight), weight)
    differs = call.equation.primitive.name == "ne"
    return call.field.sub(call.field.one(weight), weight) if differs else weight


def _order(call: Call) -> Any:
    """A comparison of data that are traced: an unknown weight."""
    name, field = call.equation.primitive.name, call.field
    a, b = call.rows(0), call.rows(1)
    left, right = (a, b) if name in ("gt", "le") else (b, a)
    weight = field.relation("gt", left, right)
    return weight if name in ("gt", "lt") else field.sub(field.one(weight), weight)


def _both(call: Call) -> Any:
    return call.field.mul(call.rows(0), call.rows(1)) if call.is_bool() else None


def _either(call: Call) -> Any:
    if not call.is_bool():
        return None
    a, b = call.rows(0), call.rows(1)
    return call.field.sub(call.field.add(a, b), call.field.mul(a, b))


def _one_of(call: Call) -> Any:
    if not call.is_bool():
        return None
    a, b = call.rows(0), call.rows(1)
    product = call.field.mul(a, b)
    return call.field.sub(call.field.add(a, b), call.field.add(product, product))


def _not(call: Call) -> Any:
    a = call.rows(0)
    return call.field.sub(call.field.one(a), a) if call.is_bool() else None


def _converted(call: Call) -> Any:
    source, target = call.equation.invars[0].aval.dtype, call.equation.params["new_dtype"]
    rounds = jnp.issubdtype(source, jnp.inexact) and not jnp.issubdtype(target, jnp.inexact)
    return None if rounds else call.rows(0)


def _running(call: Call) -> Any:
    axis, a = call.equation.params["axis"], call.rows(0)
    if not call.equation.params["reverse"]:
        return call.field.running_total(a, axis)
    at = axis + moves.LEAD
    return np.flip(call.field.running_total(np.flip(a, at), axis), at)


def _multiplied(call: Call) -> Any:
    """A product over axes."""
    a = call.rows(0)
    axes = [i + moves.LEAD for i in call.equation.params["axes"]]
    rest = [i for i in range(a.ndim) if i not in axes]
    a = a.transpose(*rest, *axes).reshape(*(a.shape[i] for i in rest), -1)
    while a.shape[-1] > 1:
        half = a.shape[-1] // 2
        pairs = call.field.mul(a[..., :half], a[..., half : 2 * half])
        a = np.concatenate([pairs, a[..., 2 * half :]], axis=-1)
    return a[..., 0] if a.shape[-1] else call.field.one(a[..., 0:0].sum(axis=-1))


def _dot(call: Call) -> Any:
    return call.field.bilinear(moves.dot(call.equation), call.rows(0), call.rows(1))


def _convolution(call: Call) -> Any:
    product = moves.convolution(call.equation)
    if product is None:
        return None
    return call.field.bilinear(product, call.rows(0), call.rows(1))


def _power(call: Call) -> Any:
    c = call.known(1)
    if c is None or c.size == 0 or not (c == c.reshape(-1)[0]).all():
        return None
    return call.field.raised_to(call.rows(0), float(c.reshape(-1)[0]))


def _simple(call: Call) -> Any:
    move = moves.SIMPLE[call.equation.primitive.name]
    if call.equation.primitive.name == "broadcast_in_dim" and len(call.equation.invars) > 1:
        return None
    return move(call.equation, *(call.rows(i) for i in range(len(call.equation.invars))))


_ring = lambda name: lambda call: getattr(call.field, name)(call.rows(0), call.rows(1))

RULES: dict[str, Callable[[Call], Any]] = {
    **dict.fromkeys(SAME, lambda call: call.rows(0)),
    **dict.fromkeys(moves.SIMPLE, _simple),
    **dict.fromkeys(("eq", "ne"), _equal),
    **dict.fromkeys(("ge", "gt", "le", "lt"), _order),
    **dict.fromkeys(("add", "add_any"), _ring("add")),
    "and": _both,
    "conv_general_dilated": _convolution,
    "convert_element_type": _converted,
    "cumsum": _running,
    "div": _ring("div"),
    "dot_general": _dot,
    "integer_pow": lambda call: call.field.power(call.rows(0), call.equation.params["y"]),
    "is_finite": lambda call: call.field.one(call.rows(0)),
    "mul": _ring("mul"),
    "neg": lambda call: call.field.neg(call.rows(0)),
    "not": _not,
    "or": _either,
    "pow": _power,
    "reduce_prod": _multiplied,
    "reduce_sum": lambda call: call.field.total(call.rows(0), call.equation.params["axes"]),
    "select_n": _select,
    "square": lambda call: call.field.mul(call.rows(0), call.rows(0)),
    **dict.fromkeys(("max",), _either),
    **dict.fromkeys(("min",), _both),
    "sub": _ring("sub"),
    "xor": _one_of,
}

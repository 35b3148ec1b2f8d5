"""How much a loss changes with the sign of a kink at points given in floats."""

from collections import ChainMap
from typing import Any, NamedTuple

import numpy as np
from jax.extend.core import Literal

from dynsys.nonsmooth.arithmetic.normal_form import NormalForm
from dynsys.nonsmooth.arithmetic.scope import Scope
from dynsys.nonsmooth.flat_program.conditions import ways


class Selected(NamedTuple):
    """What is selected, with a kink on either side, in each entry at some points.

    Args:
        upper: With the sign 1.
        lower: With the sign -1.
        reached: Whether what is selected by changes with the sign.
    """

    upper: np.ndarray
    lower: np.ndarray
    reached: np.ndarray


class Difference(NamedTuple):
    """What changes with the sign of a kink at some points.

    Args:
        local: The largest change of what is selected.
        size: The size of it.
        whole: The loss on both sides.
        infinite: Whether one side is infinite.
    """

    local: np.ndarray
    size: np.ndarray
    whole: Selected
    infinite: np.ndarray


class SignedRun:
    """The program at some points, with the signs of its switching values."""

    def __init__(
        self,
        form: NormalForm,
        groups: np.ndarray,
        side: np.ndarray,
        scope: Scope,
        field: Any,
    ) -> None:
        self.form, self.scope, self.field = form, scope, field
        self.groups, self.side = groups, side
        self.z: list[np.ndarray] = []
        self.signs: dict[int, np.ndarray] = {}

    def _choose(self, switch: Any, z: np.ndarray) -> np.ndarray:
        self.z.append(z.reshape(z.shape[1], -1))
        value, slope = self.field.split(z)
        sign = self.field.join(np.where(value >= 0, 1.0, -1.0), np.zeros_like(slope))
        self.signs[switch.equation] = sign
        return sign

    def all(self) -> None:
        self.value = self.form.run(self.field, self.scope, self._choose)

    def until(self, last: int) -> None:
        for i in self.form.open:
            if i <= last:
                self.form.step(self.field, self.scope, self._choose, i)

    def difference(self, g: int) -> Difference:
        """Turn the sign of one group round."""
        rows = len(self.field.rows)
        selected, whole = self.sides(g)
        local, size = np.zeros((2, rows))
        infinite, broken = np.zeros((2, rows), bool)
        for a, b, _ in selected:
            infinite |= (np.isinf(a) != np.isinf(b)).any(axis=1)
            broken |= (np.isnan(a) | np.isnan(b)).any(axis=1)
            differs = ~((a == b) | np.isnan(a) | np.isnan(b))
            gap = np.where(differs, np.abs(a - b), 0).max(axis=1, initial=0)
            here = np.where(differs, np.abs(a) + np.abs(b), 0).max(axis=1, initial=0)
            # The selection with the largest relative change counts.
            more = gap * np.maximum(size, 1e-300) >= local * np.maximum(here, 1e-300)
            local, size = np.where(more, gap, local), np.where(more, here, size)
        a, b, _ = whole
        infinite &= np.isinf(a[:, 0]) != np.isinf(b[:, 0])
        local = np.where(broken, np.nan, local)
        return Difference(local, size, whole, infinite)

    def sides(self, g: int) -> tuple[list[Selected], Selected]:
        """All that the sign of one group selects, and the loss, with it on either side."""
        rows = len(self.field.rows)
        entries = np.flatnonzero(self.groups == g)
        equations = frozenset(self.form.of_entry[entries].tolist())
        ends = [self._turned(g, end, equations) for end in (1.0, -1.0)]
        selected = []
        for v, weights in self._selections(equations):
            a, b = (end.rows[v].reshape(rows, -1) for end in ends)
            selected.append(Selected(a, b, self._reached(v, weights, ends)))
        out = self.form.jaxpr.outvars[0]
        values = (self.form.read(self.field, end, out).reshape(-1, 1) for end in ends)
        a, b = (np.broadcast_to(value, (rows, 1)) for value in values)
        return selected, Selected(a, b, a != b)

    def held(self, g: int, end: float) -> np.ndarray:
        """The signs of all switching values, with those of one group held."""
        found = []

        def choose(switch: Any, z: np.ndarray) -> np.ndarray:
            span = slice(switch.start, switch.stop)
            mine = (self.groups[span] == g).reshape(switch.shape)
            side = end * self.side[span].reshape(switch.shape)
            sign = np.where(mine, side, np.where(z >= 0, 1.0, -1.0))
            found.append(sign.reshape(z.shape[1], -1))
            return sign

        self.form.run(self.field, self.scope, choose)
        return np.concatenate(found, axis=1)

    def _reached(self, v: Any, weights: list[Any], ends: list[Scope]) -> np.ndarray:
        """Of each entry whether it is selected otherwise; that of a kink always is."""
        rows, size = len(self.field.rows), int(v.aval.size)
        found = np.full((rows, size), not weights)
        for w in weights:
            changes = ends[0].rows[w].reshape(rows, -1) != ends[1].rows[w].reshape(rows, -1)
            is_each = w.aval.shape in ((), v.aval.shape)
            found |= changes if is_each else changes.any(axis=1, keepdims=True)
        return found

    def _turned(self, g: int, end: float, equations: frozenset[int]) -> Scope:
        scope = self.scope._replace(rows=ChainMap({}, self.scope.rows))

        def choose(switch: Any, _: np.ndarray) -> np.ndarray:
            span = slice(switch.start, switch.stop)
            sign = self.signs[switch.equation]
            if switch.equation not in equations:
                return sign
            mine = (self.groups[span] == g).reshape(switch.shape)
            turned = self.field.exact(end * self.side[span].reshape(switch.shape))
            return np.where(mine, turned, sign)

        self.form.run(self.field, scope, choose, self.form.downstream(equations))
        return scope

    def _selections(self, equations: frozenset[int]) -> list[tuple[Any, list[Any]]]:
        """The last variables in which the weights of switches meet what they select.

        With them the weights, of which absolute values and the like have none. A selection
        whose result passes through others on all ways to the loss is judged there: the
        inner one of `where(x < 1, 0, 1 / where(x < 1, 1, x))` may jump.
        """
        found = {}
        weights: set[Any] = set()
        changed: set[Any] = set()
        for i in self.form.downstream(equations):
            equation = self.form.jaxpr.eqns[i]
            operands = [v for v in equation.invars if not isinstance(v, Literal)]
            changing = [v for v in operands if v in changed]
            is_switch = i in equations and not changing
            name = equation.primitive.name
            kinked = i in equations and self.form.switches[i].name in ("abs", "max", "min")
            others = [v for v in operands if v not in weights]
            is_weight = not kinked and name != "select_n" and (is_switch or not others)
            by = [v for v in changing if v in weights]
            first = by if name == "select_n" else len(by) == len(changing)
            if not is_weight and (kinked or first):
                found[equation.outvars[0]] = [] if kinked else by
            if is_weight:
                weights |= set(equation.outvars)
            changed |= set(equation.outvars)
        out = self.form.jaxpr.outvars[0]
        if out in weights:
            found[out] = [out]
        return [(v, found[v]) for v in self._last(found, changed)]

    def _last(self, found: Any, changed: set[Any]) -> list[Any]:
        """The variables from which some way leads to the loss through no other one."""
        seen = ways(self.form.jaxpr, frozenset(found))
        return [v for v in found if v in seen and v in changed]

"""How much a loss changes with the sign of a kink at points given in floats."""

from collections import ChainMap
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jax.extend.core import Literal

from dynsys.nonsmooth.floats import Floats
from dynsys.nonsmooth.normal_form import NormalForm
from dynsys.nonsmooth.scope import Scope


class Difference(NamedTuple):
    """What changes with the sign of a kink at some points.

    Args:
        local: The largest change of what is selected.
        size: The size of it.
        whole: The change of the loss.
        value: The size of the loss.
        infinite: Whether one side is infinite.
    """

    local: np.ndarray
    size: np.ndarray
    whole: np.ndarray
    value: np.ndarray
    infinite: np.ndarray


class SignedRun:
    """The program at some points, with the signs of its switching values."""

    def __init__(
        self,
        form: NormalForm,
        groups: np.ndarray,
        side: np.ndarray,
        scope: Scope,
        noise: float = 0.0,
    ) -> None:
        self.form, self.scope = form, scope
        self.groups, self.side = groups, side
        self.field = Floats(next(iter(scope.rows.values())).shape[1], noise=noise)
        self.z: list[np.ndarray] = []
        self.signs: dict[int, np.ndarray] = {}

    def _choose(self, switch: Any, z: np.ndarray) -> np.ndarray:
        self.z.append(z.reshape(z.shape[1], -1))
        sign = np.where(z >= 0, 1.0, -1.0)
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
        entries = np.flatnonzero(self.groups == g)
        equations = frozenset(self.form.of_entry[entries].tolist())
        ends = [self._turned(g, end, equations) for end in (1.0, -1.0)]
        rows = len(self.field.rows)
        local, size = np.zeros((2, rows))
        infinite, broken = np.zeros((2, rows), bool)
        for v in self._selected(equations):
            a, b = (end.rows[v].reshape(rows, -1) for end in ends)
            infinite |= (np.isinf(a) != np.isinf(b)).any(axis=1)
            broken |= (np.isnan(a) | np.isnan(b)).any(axis=1)
            differs = ~((a == b) | np.isnan(a) | np.isnan(b))
            gap = np.where(differs, np.abs(a - b), 0).max(axis=1, initial=0)
            here = np.where(differs, np.abs(a) + np.abs(b), 0).max(axis=1, initial=0)
            # The selection with the largest relative change counts.
            more = gap * np.maximum(size, 1e-300) >= local * np.maximum(here, 1e-300)
            local, size = np.where(more, gap, local), np.where(more, here, size)
        out = self.form.jaxpr.outvars[0]
        a, b = (self.form.read(self.field, end, out).reshape(-1) for end in ends)
        infinite &= np.isinf(a) != np.isinf(b)
        whole = np.broadcast_to(a - b, (rows,))
        local = np.where(broken, np.nan, local)
        return Difference(local, size, whole, np.abs(a) + np.abs(b), infinite)

    def _turned(self, g: int, end: float, equations: frozenset[int]) -> Scope:
        scope = self.scope._replace(rows=ChainMap({}, self.scope.rows))

        def choose(switch: Any, _: np.ndarray) -> np.ndarray:
            span = slice(switch.start, switch.stop)
            sign = self.signs[switch.equation]
            if switch.equation not in equations:
                return sign
            mine = (self.groups[span] == g).reshape(switch.shape)
            return np.where(mine, end * self.side[span].reshape(switch.shape), sign)

        self.form.run(self.field, scope, choose, self.form.downstream(equations))
        return scope

    def _selected(self, equations: frozenset[int]) -> Iterator[Any]:
        """Variables in which the weights of switches first meet what they select."""
        weights: set[Any] = set()
        changed: set[Any] = set()
        for i in self.form.downstream(equations):
            equation = self.form.jaxpr.eqns[i]
            operands = [v for v in equation.invars if not isinstance(v, Literal)]
            changing = [v for v in operands if v in changed]
            is_switch = i in equations and not changing
            name = equation.primitive.name
            kinked = is_switch and self.form.switches[i].name in ("abs", "max", "min")
            others = [v for v in operands if v not in weights]
            is_weight = not kinked and name != "select_n" and (is_switch or not others)
            if all(v in weights for v in changing) and not is_weight:
                yield equation.outvars[0]
            if is_weight:
                weights |= set(equation.outvars)
            changed |= set(equation.outvars)
        out = self.form.jaxpr.outvars[0]
        if out in weights:
            yield out

"""Square roots that reach 0: cones, unless the loss is the same with the other root."""

import numpy as np

from dynsys.nonsmooth.arithmetic.scope import Scope
from dynsys.nonsmooth.finder.turned_signs import Base, equal_at_a_level
from dynsys.nonsmooth.flat_program.flatten import NotPiecewiseSmooth, place


def refuse_cones(base: Base) -> None:
    """Refuse a square root that reaches 0, unless the loss is the same with -sqrt.

    Args:
        base: The program modulo primes.

    Raises:
        NotPiecewiseSmooth: The loss has a cone.
    """
    for root in base.form.program.roots:
        if np.all(equal_at_a_level(base.field, base.value, _with_other_root(base, root))):
            continue
        raise NotPiecewiseSmooth(
            f"The loss has a cone: {place(base.form.jaxpr.eqns[root])} is not "
            f"differentiable where its argument is 0, as the Euclidean norm at the "
            f"origin, and a cone is not a kink between two pieces. Use the 1-norm or "
            f"the largest entry, or round it off, as in `jnp.sqrt(s + 1e-6)`; "
            f"`inclusion='autodiff'` integrates as long as the tip is not reached."
        )


def _with_other_root(base: Base, root: int) -> np.ndarray:
    """The value with a square root times -1."""
    form, field = base.form, base.field
    (v,) = form.jaxpr.eqns[root].outvars
    scope = Scope(base.scope.known, dict(base.scope.rows), base.scope.exact)
    scope.rows[v] = field.neg(scope.rows[v])
    after = [i for i in form.downstream(frozenset({root})) if i != root]
    return form.run(field, scope, base.choose, after)

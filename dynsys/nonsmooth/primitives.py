"""Primitives of JAX by what a finder of kinks must know of them.

What is in none of these sets is refused by name where a loss depends on it.
"""

from typing import Any

COMPARISONS = frozenset({"lt", "le", "gt", "ge"})
SWITCHES = frozenset({"abs", "max", "min", "sign"}) | COMPARISONS
"""Switch between smooth pieces; a comparison does so in a selection."""

PAIRS = {
    "reduce_and": "and",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_or": "or",
    "reduce_window_max": "max",
    "reduce_window_min": "min",
}
"""Do so over axes or windows, and become trees of pairs."""

MOVES = frozenset(
    {
        "broadcast_in_dim",
        "concatenate",
        "copy",
        "copy_p",
        "dynamic_slice",
        "dynamic_update_slice",
        "expand_dims",
        "gather",
        "optimization_barrier",
        "pad",
        "reshape",
        "rev",
        "scatter",
        "scatter-add",
        "scatter-mul",
        "scatter-sub",
        "scatter_add",
        "scatter_mul",
        "scatter_sub",
        "slice",
        "split",
        "squeeze",
        "stack",
        "stop_gradient",
        "tile",
        "transpose",
        "unstack",
    }
)
"""Put entries elsewhere; indices among their operands must not depend on the position."""

INDICES = {
    "dynamic_slice": slice(1, None),
    "dynamic_update_slice": slice(2, None),
    "gather": slice(1, 2),
    "scatter": slice(1, 2),
    "scatter-add": slice(1, 2),
    "scatter-mul": slice(1, 2),
    "scatter-sub": slice(1, 2),
    "scatter_add": slice(1, 2),
    "scatter_mul": slice(1, 2),
    "scatter_sub": slice(1, 2),
}
"""Of moves the operands that say where."""

LINEAR_ON_INTEGERS = frozenset(
    {"add", "add_any", "cumsum", "mul", "neg", "reduce_sum", "square", "sub"}
)
"""Mean the same for integers as for the floats that stand for them."""

SMOOTH = frozenset(
    {
        "add",
        "add_any",
        "asinh",
        "atan",
        "complex",
        "conj",
        "conv_general_dilated",
        "cos",
        "cosh",
        "cumlogsumexp",
        "cumprod",
        "cumsum",
        "dot_general",
        "erf",
        "erfc",
        "exp",
        "exp2",
        "expm1",
        "fft",
        "imag",
        "logistic",
        "mul",
        "neg",
        "ragged_dot_general",
        "real",
        "reduce_precision",
        "reduce_prod",
        "reduce_sum",
        "reduce_window_sum",
        "sin",
        "sinh",
        "square",
        "sub",
        "tanh",
    }
)
"""Smooth on the whole space."""

IN_DOMAIN = frozenset(
    {
        "acosh",
        "atan2",
        "atanh",
        "cholesky",
        "digamma",
        "div",
        "erf_inv",
        "igamma",
        "igammac",
        "integer_pow",
        "lgamma",
        "log",
        "log1p",
        "polygamma",
        "regularized_incomplete_beta",
        "rsqrt",
        "tan",
        "triangular_solve",
        "tridiagonal_solve",
        "zeta",
    }
)
"""Smooth on their domain, at whose ends they are infinite or not a number."""

FACTORS = frozenset({"lu", "lu_pivots_to_permutation"})
"""Jump where other pivots are chosen, but a solution that is made of them does not."""

SOLVERS = FACTORS | {"custom_linear_solve"}
"""Solve linear equations."""

LOGIC = frozenset({"and", "eq", "is_finite", "ne", "not", "or", "select_n", "xor"})
"""Predicates, and selections by them."""


def indices_of(equation: Any) -> slice:
    """The operands of an equation that are indices, as a part of all."""
    return INDICES.get(equation.primitive.name, slice(0, 0))


PLAIN = MOVES | SMOOTH | IN_DOMAIN | SOLVERS | {"convert_element_type"}
"""May stay inside of a program that is not opened."""

"""The names of primitives of JAX, by what is true of them.

What a primitive means to one part of the library is a rule there, in a table by its name.
"""

CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "custom_vmap_call": "call",
}
"""Call a program, which has this name among their parameters."""

LOOPS = frozenset({"cond", "scan", "while"})
"""Run programs several times, or one of several."""

COMPARISONS = frozenset({"ge", "gt", "le", "lt"})

SWITCHES = frozenset({"abs", "max", "min", "sign"}) | COMPARISONS
"""Switch between smooth pieces; a comparison does so in a selection."""

LOGIC = frozenset({"and", "eq", "is_finite", "ne", "not", "or", "select_n", "xor"})
"""Predicates, and selections by them."""

ROUNDINGS = frozenset({"ceil", "floor", "round"})

TOTAL_ORDER = frozenset({"le_to", "lt_to"})
"""Comparisons by which searching in a vector orders NaN, too."""

ELEMENTARY = frozenset(
    {
        "asinh",
        "atan",
        "cos",
        "cosh",
        "erf",
        "erfc",
        "exp",
        "exp2",
        "expm1",
        "logistic",
        "sin",
        "sinh",
        "tanh",
    }
)
"""Functions of a number that are smooth everywhere."""

WITH_POLES = frozenset({"acosh", "atan2", "atanh", "div", "log", "log1p", "rsqrt", "tan"})
"""Functions of numbers that are smooth where they are finite."""

STEEP = frozenset({"acos", "asin", "cbrt", "pow", "sqrt"})
"""Functions of numbers whose slope may be infinite where they are not."""

ENTRYWISE = (
    SWITCHES
    | LOGIC
    | ROUNDINGS
    | ELEMENTARY
    | WITH_POLES
    | STEEP
    | frozenset({"add", "add_any", "clamp", "convert_element_type", "integer_pow", "mul"})
    | frozenset({"neg", "rem", "shift_left", "shift_right_arithmetic"})
    | frozenset({"shift_right_logical", "square", "sub"})
)
"""Arithmetic on each entry alone."""

SMOOTH = ELEMENTARY | frozenset(
    {
        "add",
        "add_any",
        "complex",
        "conj",
        "conv_general_dilated",
        "cumlogsumexp",
        "cumprod",
        "cumsum",
        "dot_general",
        "fft",
        "imag",
        "mul",
        "neg",
        "ragged_dot_general",
        "real",
        "reduce_precision",
        "reduce_prod",
        "reduce_sum",
        "reduce_window_sum",
        "square",
        "sub",
    }
)
"""Smooth on the whole space."""

IN_DOMAIN = WITH_POLES | frozenset(
    {
        "cholesky",
        "digamma",
        "erf_inv",
        "igamma",
        "igammac",
        "integer_pow",
        "lgamma",
        "polygamma",
        "regularized_incomplete_beta",
        "triangular_solve",
        "tridiagonal_solve",
        "zeta",
    }
)
"""Smooth on their domain, at whose ends they are infinite or not a number."""

COPIES = frozenset({"copy", "copy_p", "optimization_barrier"})
"""Give back what they are given."""

SCATTERS = frozenset({"scatter", "scatter-add", "scatter-mul", "scatter-sub"})
"""Change entries of an array, or add to them and the like."""

REARRANGEMENTS = frozenset(
    {
        "broadcast_in_dim",
        "concatenate",
        "dynamic_slice",
        "dynamic_update_slice",
        "gather",
        "pad",
        "reshape",
        "rev",
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
"""Put entries elsewhere."""

MOVES = COPIES | REARRANGEMENTS | SCATTERS

INDICES = {
    "dynamic_slice": slice(1, None),
    "dynamic_update_slice": slice(2, None),
    "gather": slice(1, 2),
    **dict.fromkeys(SCATTERS, slice(1, 2)),
}
"""Of moves the operands that say where."""

REDUCTIONS = frozenset(
    {
        "argmax",
        "argmin",
        "reduce_and",
        "reduce_max",
        "reduce_min",
        "reduce_or",
        "reduce_prod",
        "reduce_sum",
    }
)
"""Make one number of the entries along axes."""

CUMULATIVE = frozenset({"cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum"})
"""Do so with the entries up to each."""

FACTORS = frozenset({"lu", "lu_pivots_to_permutation"})
"""Jump where other pivots are chosen, but a solution that is made of them does not."""

SOLVERS = FACTORS | {"custom_linear_solve"}
"""Solve linear equations."""

LIBRARIES = frozenset(
    {
        "cholesky",
        "custom_linear_solve",
        "eig",
        "eigh",
        "geqrf",
        "householder_product",
        "lu",
        "qr",
        "schur",
        "svd",
        "triangular_solve",
        "tridiagonal_solve",
    }
)
"""Call a library of linear algebra for the last two axes of an array. Two such calls for
batches at once on a processor can wait for each other for ever, inside of XLA
(`dynsys.lapack`)."""

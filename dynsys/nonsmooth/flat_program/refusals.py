"""What a user is told of an operation that the finder of kinks cannot follow."""

from typing import Any

from dynsys.nonsmooth.flat_program.source_lines import place


class NotPiecewiseSmooth(ValueError):
    """A loss is discontinuous, or has kinks that cannot be looked into."""


MAXIMUM = (
    "Use `jnp.max(x)` for the largest entry and `jnp.min(x)` for the smallest: their kinks "
    "are followed"
)
JUMP = (
    "Pieces that meet can be written with `jnp.where`, `jnp.maximum` or `jnp.clip`; what "
    "does not depend on the position can be computed before"
)
SPECTRUM = (
    "Use a function of all of them that is smooth, such as a trace, a sum of squares or "
    "`jnp.linalg.slogdet`"
)
REMEDIES = {
    "argmax": ("chooses an index by the position, and jumps", MAXIMUM),
    "argmin": ("chooses an index by the position, and jumps", MAXIMUM),
    "sort": ("has kinks wherever two entries are equal", MAXIMUM),
    "top_k": ("has kinks wherever two entries are equal", MAXIMUM),
    "approx_top_k": ("has kinks wherever two entries are equal", MAXIMUM),
    "cummax": ("has kinks that are not followed", MAXIMUM),
    "cummin": ("has kinks that are not followed", MAXIMUM),
    "floor": ("jumps", JUMP),
    "ceil": ("jumps", JUMP),
    "round": ("jumps", JUMP),
    "rem": ("jumps", JUMP),
    "nextafter": ("works on the bits of numbers", JUMP),
    "bitcast_convert_type": (
        "works on the bits of numbers, as `copysign` and `signbit` do",
        "Use `jnp.abs` and `jnp.sign`",
    ),
    "lt_to": ("finds a place in a table by the position, and jumps", JUMP),
    "le_to": ("finds a place in a table by the position, and jumps", JUMP),
    "atan2": (
        "jumps by a full turn where its second argument is negative",
        "Use the angle itself as a variable, or an x that stays positive, as in "
        "`jnp.arctan2(y, jnp.exp(s))`, or the cosine of the angle, "
        "`x / jnp.sqrt(x**2 + y**2 + 1e-9)`",
    ),
    "eigh": ("has kinks where eigenvalues are equal", SPECTRUM),
    "eig": ("has kinks where eigenvalues are equal", SPECTRUM),
    "svd": ("has kinks where singular values are equal, or 0", SPECTRUM),
    "while": (
        "is a loop whose length is not known",
        "Use `jax.lax.scan`, or `jax.lax.fori_loop` with a number of passes",
    ),
    "scan": (
        "switches inside, and has more passes than are written out one by one",
        "Use fewer passes, or `jax.vmap` if they do not depend on each other",
    ),
    "cbrt": (
        "is finite at 0, where its slope is not",
        "Use `x * (x**2 + 1e-9) ** (-1 / 3)`, or keep its argument away from 0",
    ),
}
"""Of some primitives why they are refused, and what to use instead."""


def refuse(
    equation: Any, why: str = "", remedy: str = "", *, is_wall: bool = False
) -> NotPiecewiseSmooth:
    """The error for an operation that is not followed.

    Args:
        equation: The operation.
        why: What it does that is no piece of a smooth function.
        remedy: What to do instead.
        is_wall: Whether the gradients of JAX would lead on through a wall.
    """
    known, instead = REMEDIES.get(
        equation.primitive.name, ("is not among the operations that are followed", JUMP)
    )
    told = (
        f"The loss jumps, or has kinks that are not looked into: {place(equation)} "
        f"{why or known}. {remedy or instead}."
    )
    by_jax = " Or pass `inclusion='autodiff'` to take gradients as JAX gives them."
    return NotPiecewiseSmooth(told if is_wall else told + by_jax)

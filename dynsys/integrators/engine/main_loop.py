"""The loop over the steps of a solve, marked so that it can be found in a program."""

from collections.abc import Callable
from typing import Any

import jax

MAIN_LOOP = "steps_of_a_solve"
"""Name of the program in which the last loop is the one over the steps."""


def main_loop(loop: Callable[..., Any], *args: Any) -> Any:
    """Call a function in which the last loop is the one over the steps of a solve."""

    def steps_of_a_solve(*args: Any) -> Any:
        return loop(*args)

    return jax.jit(steps_of_a_solve)(*args)

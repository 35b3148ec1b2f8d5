"""A compiled function of pytrees that hold more than arrays, at a small cost a call.

The arrays of the arguments are traced; all else (functions, solvers, strings) is static,
and must be equal for a compiled program to be used again. `equinox.filter_jit` means
the same, but took 0.1 ms longer for a call of `simulate` that takes 0.35 ms.
"""

import functools
import gc
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.extend.core import get_opaque_trace_state

from dynsys.interrupts import none_lost
from dynsys.kernel_outcome import refused
from dynsys.memory_maps import is_short_of_maps

ARRAYS = (jax.Array, np.ndarray, np.generic)

QUICK: dict[str, Any] = {"xla_cpu_use_fusion_emitters": False}
"""Options of XLA: where fusions are not emitted by MLIR, programs for a processor compile
in three quarters of the time. On small arrays they are as fast."""

SMALL = 8192
"""Entries of the arguments up to which arrays are small. With 100,000 of them a run took a
quarter longer."""

OUTSIDE = get_opaque_trace_state()
"""The state of JAX in which no program is being traced."""


OF_KERNELS = ("UNIMPLEMENTED", "INTERNAL: Failed to materialize symbols")
"""How errors of XLA begin that a kernel may cause: an operation that it does not hold, or a
call of a library, which is not linked to it."""

_compiled: list[Any] = []
"""All functions whose programs are kept here."""

_is_full = threading.Event()
"""Set when there is little room left for programs."""

_are_unknown = threading.Event()
"""Set when XLA does not know the options that programs are compiled with."""


@jax.tree_util.register_static
@dataclass(frozen=True)
class Fixed:
    """What a pytree holds besides arrays.

    Args:
        structure: Its structure.
        leaves: Its leaves, with `None` where an array was.
    """

    structure: Any
    leaves: tuple[Any, ...]


def cached_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled once for all arguments that differ in numbers only.

    Args:
        function: A function of pytrees to a pytree.
    """
    quick, usual = _on_arrays(function, QUICK), _on_arrays(function, {})
    refusals = Refusals()

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        _make_room()
        arrays, fixed = split(args)
        # A part of another program has no options.
        is_quick = not _is_tracing() and sum(array.size for array in arrays) <= SMALL

        def run(reason: str) -> Any:
            return _with_options(quick if is_quick else usual, usual, arrays, fixed, reason)

        with none_lost():
            return join(*refusals.without_kernels_if_refused(run, fixed))

    return call


def prepared_call(
    function: Callable[..., Any], **compiler_options: Any
) -> Callable[..., tuple[Callable[..., Any], Any]]:
    """From arguments to the program for arguments like these, to be called in any thread.

    With it comes what it returns, with `None` for arrays.

    What decides about a program besides its arguments, such as `jax.enable_x64`, is that of
    the thread that prepares it. It cannot be a part of another program.

    Args:
        function: A function of pytrees to a pytree.
        **compiler_options: Options of XLA.
    """
    best, usual = _on_arrays(function, compiler_options), _on_arrays(function, {})
    refusals = Refusals()

    def prepare(*args: Any) -> tuple[Callable[..., Any], Any]:
        _make_room()
        arrays, fixed = split(args)
        ways = [lambda *args, way=way: way.lower(*args).compile() for way in (best, usual)]
        build = lambda reason: _with_options(*ways, arrays, fixed, reason)
        # One program even where JAX is told to compile none, of which it calls none either.
        with none_lost(), jax.disable_jit(False):
            compiled = refusals.without_kernels_if_refused(build, fixed)
        empty = [None] * compiled.out_tree.num_leaves
        arrays, rest = jax.tree.unflatten(compiled.out_tree, empty)

        def run(*args: Any) -> Any:
            with jax.disable_jit(False):
                return join(*compiled(split(args)[0]))

        return run, join(arrays, rest)

    return prepare


class Refusals:
    """The programs of a function in which XLA refuses kernels, and why.

    A program is known by its fixed part, so that one that was refused once has no kernels
    as a part of another program either, where nobody sees that it is refused.
    """

    def __init__(self) -> None:
        self.reasons: dict[Fixed, str] = {}

    def without_kernels_if_refused(
        self, attempt: Callable[[str], Any], fixed: Fixed
    ) -> Any:
        """Compile a program, and if XLA refuses the kernels in it, once more without.

        Args:
            attempt: Compiles it, given a reason for none; with an empty one it has some.
            fixed: Its fixed part.
        """
        # Most often there are none, and to look for one takes time in each call.
        reason = self.reasons.get(fixed, "") if self.reasons else ""
        try:
            return attempt(reason)
        except jax.errors.JaxRuntimeError as error:
            if reason or not str(error).startswith(OF_KERNELS):
                raise
            reason = f"XLA refuses it, {str(error).splitlines()[0]}"
        result = attempt(reason)
        self.reasons[fixed] = reason
        return result


def _with_options(best: Any, usual: Any, *args: Any) -> Any:
    """Call a function that has options of XLA, or where XLA does not know them another.

    They are not part of what JAX promises.
    """
    if _are_unknown.is_set():
        return usual(*args)
    try:
        return best(*args)
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" not in str(error):
            raise
    _are_unknown.set()
    return usual(*args)


def _on_arrays(function: Callable[..., Any], compiler_options: Any) -> Any:
    """The function of the arrays among its arguments, of the rest, and of a reason.

    With a reason, it has no kernels.
    """

    def on_arrays(arrays: list[Any], fixed: Fixed, reason: str) -> tuple[list[Any], Fixed]:
        if is_short_of_maps():
            _is_full.set()
        with refused(reason):
            return split(function(*join(arrays, fixed)))

    options = compiler_options or None
    compiled = jax.jit(on_arrays, static_argnums=(1, 2), compiler_options=options)
    _compiled.append(compiled)
    return compiled


def _is_tracing() -> bool:
    """Whether a program is being traced, of which all that is computed is a part."""
    return get_opaque_trace_state() != OUTSIDE


def _make_room() -> None:
    """Forget all programs if there is little room for more.

    Not while one is being traced that others are a part of.
    """
    if _is_full.is_set() and not _is_tracing():
        _is_full.clear()
        for compiled in _compiled:
            compiled.clear_cache()
        gc.collect()


def split(tree: Any) -> tuple[list[Any], Fixed]:
    """The arrays of a pytree, and the rest.

    Args:
        tree: A pytree, in which anything may be a leaf.
    """
    rest, structure = jax.tree.flatten(tree)
    arrays = []
    for place, leaf in enumerate(rest):
        if isinstance(leaf, ARRAYS):
            arrays.append(leaf)
            rest[place] = None
    return arrays, Fixed(structure, tuple(rest))


def join(arrays: list[Any], fixed: Fixed) -> Any:
    """The inverse of `split`.

    Args:
        arrays: The arrays, or whatever stands for them.
        fixed: The rest.
    """
    remaining = iter(arrays)
    leaves = [next(remaining) if leaf is None else leaf for leaf in fixed.leaves]
    return jax.tree.unflatten(fixed.structure, leaves)

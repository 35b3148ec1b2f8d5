"""The compiled part of an ensemble: a block of members, on one device.

Devices share nothing but the queue of blocks. One program for all of them would have to be
another program than that for one, and what the compiler makes of it rounds in another way.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsys.cached_call import QUICK, Fixed, join, prepared_call, split
from dynsys.integrators.engine.main_loop import MAIN_LOOP
from dynsys.integrators.ensemble.member import Choices, Numbers, member
from dynsys.integrators.unchecked import unchecked
from dynsys.kernel import as_one_kernel
from dynsys.kernel_outcome import outcomes_of_loops
from dynsys.lanes import side_by_side
from dynsys.lapack import calls_in_batches
from dynsys.programs.equations import all_equations
from dynsys.trajectory import Stats

LARGEST_KERNEL = 2**22
"""Entries of the state of a block, which are copied, up to which it is one kernel."""

PATIENT = 2**17
"""Members from which on a loop of any length is one kernel."""

LONG = 4000
"""Operations of a program above which its loop is one kernel for very many members only.

LLVM takes the loops of a kernel together, longer than in proportion: for the function of
the talk 30 s instead of 11 s, which 1.3e-4 s a member make up for after 140,000 members."""

COPIED = 2**26
"""Bytes of what is the same for all members up to which each is given a copy."""


class Layout(NamedTuple):
    """How the members of an ensemble are laid out.

    Args:
        lanes: Members that a program computes side by side.
        block: Members that it is given; those that wait take the place of those that are
            done.
        is_cpu: Whether it runs on a processor.
        is_patient: Whether members are so many that a program may take long to compile.
    """

    lanes: int
    block: int
    is_cpu: bool
    is_patient: bool = False


class Block(NamedTuple):
    """What comes out for a block of members.

    Args:
        varying: Leaves of the result with the members as a first axis.
        same: The others, which are the same for all.
        varies: Of each leaf, in order, whether it is one of the first.
        rest: What of the result is no array.
        takes_batches: Whether the program calls libraries for batches of matrices. Two of
            them at once on a processor can wait for each other for ever, inside of XLA.
    """

    varying: list[Any]
    same: list[Any]
    varies: tuple[bool, ...]
    rest: Fixed
    takes_batches: bool

    def on_host(self, count: int) -> "Block":
        """Its first members, in the memory of the process."""
        varying = [np.asarray(leaf)[:count] for leaf in self.varying]
        return self._replace(varying=varying, same=[np.asarray(a) for a in self.same])

    def value(self, count: int) -> Any:
        """The result for a number of members; what is the same for all is not copied."""
        varying, same = map(iter, (self.varying, self.same))
        repeat = lambda leaf: np.broadcast_to(leaf, (count, *leaf.shape))
        copy = lambda leaf: jnp.asarray(leaf) if leaf.nbytes <= COPIED else leaf
        with unchecked():
            leaves = [
                jnp.asarray(next(varying)) if varies else copy(repeat(next(same)))
                for varies in self.varies
            ]
        return join(leaves, self.rest)


def compute_block(
    case: Callable[..., Any],
    numbers: Numbers,
    points: list[Any],
    fixed: tuple[Choices, Layout],
) -> Block:
    """The results of a block of members.

    Args:
        case: What to simulate at a point.
        numbers: The numbers that all members share.
        points: The points: one array a parameter, with the members as its first axis.
        fixed: What is fixed.
    """
    choices, layout = fixed
    found: dict[str, Any] = {}

    shared, rest = split((case, numbers))
    leaves, structure = jax.tree.flatten(points)

    def on_leaves(arrays: list[Any], leaves: list[Any]) -> list[Any]:
        case, numbers = join(arrays, rest)
        point = structure.unflatten(leaves)
        named = dict(zip(choices.names, point, strict=True))
        outputs, found["rest"] = split(member(case, numbers, choices, named))
        return outputs

    first = [jax.ShapeDtypeStruct(a.shape[1:], a.dtype) for a in leaves]
    closed = jax.make_jaxpr(on_leaves)(shared, first)
    length = sum(1 for _ in all_equations(closed.jaxpr))
    obstacle = ""
    if length > LONG and not layout.is_patient:
        obstacle = f"its {length:,} operations are many for fewer than {PATIENT:,} members"
    with outcomes_of_loops() as loops:
        outputs, varies = side_by_side(
            closed,
            shared,
            leaves,
            lanes=layout.lanes,
            main=MAIN_LOOP,
            wrap=lambda run, arrays: as_one_kernel(
                run, *arrays, largest=LARGEST_KERNEL, obstacle=obstacle
            ),
        )
    pairs = list(zip(outputs, varies, strict=True))
    varying = [output for output, v in pairs if v]
    same = [output for output, v in pairs if not v]
    takes_batches = calls_in_batches(closed.jaxpr)
    kept = _with_loop(found["rest"], loops[-1]) if loops else found["rest"]
    return Block(varying, same, tuple(varies), kept, takes_batches)


def _with_loop(rest: Fixed, loop: str) -> Fixed:
    """What of a result is no array, where its statistics tell of the loop of the block."""
    # Anything may stand for the arrays, only not `None`, which is none of the leaves.
    tree = join([...] * len(rest.leaves), rest)
    is_stats = lambda node: isinstance(node, Stats)
    tell = lambda node: dataclasses.replace(node, loop=loop) if is_stats(node) else node
    told = jax.tree.map(tell, tree, is_leaf=is_stats)
    return Fixed(jax.tree.structure(told), rest.leaves)


on_processors = prepared_call(compute_block, xla_cpu_prefer_vector_width=512, **QUICK)
"""Vectors of 512 bits: XLA takes half of that, and on processors that have them a step of
the ensembles that were measured takes half as long. Elsewhere it changes nothing."""

on_accelerators = prepared_call(compute_block)

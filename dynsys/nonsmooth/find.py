"""Which switches of a loss are kinks, and which are smooth, equal or discontinuous."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from dynsys.nonsmooth.pieces import Pieces
from dynsys.nonsmooth.probe import Probe
from dynsys.nonsmooth.program import Program, program_of


def find_pieces(loss: Callable[[Any], Any], x: Any) -> Pieces:
    """A loss with its kinks.

    Args:
        loss: A scalar function.
        x: A point like those that it takes; its values do not matter.

    Raises:
        NotPiecewiseSmooth: The loss jumps, or has kinks that cannot be looked into.
    """
    return pieces_of(*program_of(loss, x), x)


def pieces_of(
    program: Program,
    consts: list[Any],
    x: Any,
    terms: Sequence[Callable[[Any], Any]] = (),
) -> Pieces:
    """The kinks among the switches of a program.

    Args:
        program: The program of a loss.
        consts: What the loss closes over.
        x: A point like those that it takes; its values do not matter.
        terms: The functions whose sum or mean the loss is, if kinks of theirs are to be
            kept that cancel in it.

    Raises:
        NotPiecewiseSmooth: The loss jumps, or has a cone.
    """
    if program.size == 0 and not program.roots:
        return Pieces(consts, program, (), (), (), (), (), ())
    with jax.ensure_compile_time_eval():
        probe = Probe(program, consts, x)
        probe.refuse_cones()
        if program.size == 0:
            return Pieces(consts, program, (), (), (), (), (), ())
        of_terms = [Probe(*program_of(term, x), x) for term in terms]
        member, side, first, mixed = probe.kinks(of_terms)
        joint = probe.joints(member, side, first)
    unproved = (False,) * len(first)
    return Pieces(consts, program, member, side, first, joint, mixed, unproved)


def is_smooth(program: Program, consts: list[Any], x: Any) -> bool:
    """Whether no switch of a program is a kink, however many switches there are.

    Args:
        program: The program of a loss.
        consts: What the loss closes over.
        x: A point like those that it takes; its values do not matter.
    """
    with jax.ensure_compile_time_eval():
        return not program.roots and Probe(program, consts, x).is_smooth()

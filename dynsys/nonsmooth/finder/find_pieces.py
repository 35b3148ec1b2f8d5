"""Which switches of a loss are kinks, and which are smooth, equal or discontinuous."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from dynsys.nonsmooth.arithmetic.identities import Field
from dynsys.nonsmooth.arithmetic.normal_form import NormalForm
from dynsys.nonsmooth.finder.cones import refuse_cones
from dynsys.nonsmooth.finder.equal_kinks import Kinds
from dynsys.nonsmooth.finder.jumps import joints
from dynsys.nonsmooth.finder.mixed_kinks import mixed_kinks
from dynsys.nonsmooth.finder.repeated_signs import repeated
from dynsys.nonsmooth.finder.smooth_switches import differing
from dynsys.nonsmooth.finder.smooth_switches import is_smooth as changes_nowhere
from dynsys.nonsmooth.finder.turned_signs import Base
from dynsys.nonsmooth.flat_program.broken_powers import under_powers
from dynsys.nonsmooth.flat_program.loss_program import Program, program_of
from dynsys.nonsmooth.pieces import Pieces

MANY_POINTS = 16
"""Points modulo each prime where a root may come out with the right sign by chance."""


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
        form = NormalForm(program, consts)
        kinds = _kinds(form, x, bool(terms))
        groups, side = kinds.of(form)
        bases = _bases(form, groups, side)
        refuse_cones(bases[0])
        number = kinds.number
        mixed = mixed_kinks(kinds, number, terms, x) if terms else np.zeros(number, bool)
        kinked = np.flatnonzero(differing(bases) | mixed)
        joint, unproved = joints(form, groups, side, kinked, x)
        bent = repeated(bases, kinked)
    names = np.full(len(groups) + 1, -1)
    names[kinked] = np.arange(len(kinked))
    first = tuple(map(int, bases[0].first[kinked]))
    member, side = tuple(map(int, names[groups])), tuple(map(int, side))
    both = tuple(map(bool, mixed[kinked]))
    pieces = Pieces(consts, program, member, side, first, joint, both, unproved, bent)
    return pieces.with_joints(under_powers(pieces))


def is_smooth(program: Program, consts: list[Any], x: Any) -> bool:
    """Whether no switch of a program is a kink, however many switches there are.

    Args:
        program: The program of a loss.
        consts: What the loss closes over.
        x: A point like those that it takes; its values do not matter.
    """
    if program.roots:
        return False
    with jax.ensure_compile_time_eval():
        form = NormalForm(program, consts)
        return changes_nowhere(_bases(form, *_kinds(form, x).of(form)))


def _kinds(form: NormalForm, x: Any, of_terms: bool = False) -> Kinds:
    """What sorts the switching values of a program, and of its terms."""
    which = form.open if of_terms else form.upstream
    return Kinds(form.levels_of(which), x, MANY_POINTS if form.is_power_of(which) else 2)


def _bases(form: NormalForm, groups: np.ndarray, side: np.ndarray) -> list[Base]:
    """The program at a random point modulo the primes of each of two chains."""
    points = MANY_POINTS if form.is_power_of(form.open) else 1
    fields = [Field([chain], form.levels, points, seed=1) for chain in (0, 1)]
    return [Base(form, field, groups, side) for field in fields]

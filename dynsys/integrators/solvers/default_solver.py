"""Which solver a problem gets."""

from typing import NamedTuple

import diffrax

from dynsys.integrators.engine.problem import LARGE, Known
from dynsys.integrators.solvers.low_storage import LowStorageRK4
from dynsys.integrators.solvers.rodas5p import Rodas5P
from dynsys.objectives.objective import is_known_smooth
from dynsys.systems.system import AbstractSystem

SMALL = 128
"""Where rates are not known: up to this many coordinates of the state the dense linear
algebra of a step costs less than what explicit steps lose to stability."""

TINY = 4
"""Up to this many coordinates written-out stages are worth the time to compile them, if
there are many runs of one program."""

MOST_EXPLICIT = 2**15
"""Explicit steps after which a run starts again with implicit ones."""

EXPLICIT, IMPLICIT, FRUGAL = diffrax.Tsit5(), Rodas5P(), LowStorageRK4()


class Choice(NamedTuple):
    """A solver, the reason for it, and the most steps that it is to try, if any."""

    solver: diffrax.AbstractSolver
    reason: str
    most: int | None = None


def choose_solver(system: AbstractSystem, size: int, known: Known) -> Choice:
    """Pick a solver by what is known before the run.

    Args:
        system: The system.
        size: Coordinates of its state.
        known: What is known of the run.
    """
    if is_known_smooth(system.objective) is False:
        return Choice(EXPLICIT, "the objective is not smooth, so steps are kept explicit")
    if known.explicit:
        return Choice(EXPLICIT, known.why, None if known.side_by_side else MOST_EXPLICIT)
    if known.explicit is not None:
        return Choice(IMPLICIT, known.why)
    if size <= SMALL:
        return Choice(
            Rodas5P(written_out=known.side_by_side and size <= TINY),
            f"small ({size} coordinates) and taken for smooth: implicit steps are cheap, "
            f"and stiffness, which is not known here, does not shorten them",
        )
    if size <= LARGE:
        return Choice(
            EXPLICIT,
            f"large ({size} coordinates), so one gradient an evaluation and no matrices",
        )
    return Choice(
        FRUGAL,
        f"very large ({size} coordinates), so one gradient an evaluation, and few copies "
        f"of the state",
    )

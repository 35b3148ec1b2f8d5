"""Whether a problem is an inclusion: how it moves, and which solver it gets."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool

from dynsys.integrators.engine.motion import AbstractMotion
from dynsys.integrators.engine.smooth import Smooth
from dynsys.integrators.inclusion.first_order import SemiImplicitEuler
from dynsys.integrators.inclusion.motion import Piecewise
from dynsys.integrators.request import Options
from dynsys.integrators.solvers.default_solver import IMPLICIT, Choice, choose_solver
from dynsys.integrators.solvers.rodas5p import Rodas5P
from dynsys.kernel import as_one_kernel
from dynsys.nonsmooth.at_signature import AtSignature
from dynsys.nonsmooth.finder.find_pieces import is_smooth, pieces_of
from dynsys.nonsmooth.flat_program.broken_powers import under_powers
from dynsys.nonsmooth.flat_program.loss_program import program_of
from dynsys.nonsmooth.listed import FEW
from dynsys.nonsmooth.pieces import Pieces, Signature
from dynsys.nonsmooth.smallest_gradient import smallest_signature
from dynsys.objectives.objective import is_known_smooth
from dynsys.systems.system import AbstractSystem
from dynsys.trees import Position, constant, dimension

MANY_KINKS = 1024
"""Kinks above which they are not followed one by one."""

MANY_PLACES = 2048
"""Places where a loss switches above which kinks are not looked for one by one."""


def choose_motion(
    system: AbstractSystem,
    terms: Sequence[Callable[[Any], Any]],
    x: Position,
    options: Options,
) -> tuple[AbstractSystem, AbstractMotion, Options]:
    """Find the kinks of the loss, if asked for, and pick a solver where none is given.

    Args:
        system: The system, ready to be traced.
        terms: The terms of its loss, if that is known to be a mean.
        x: The position that it starts from.
        options: What was asked for.

    Returns:
        The system, with its loss in pieces if that has kinks; how it moves; the options
        with a solver and the set of gradients that is used.

    Raises:
        NotPiecewiseSmooth: The loss jumps, or has kinks that cannot be looked into.
        ValueError: The system or the solver cannot do with kinks.
    """
    size = dimension(x) * len(system.state_type._fields)
    pieces, reason = find_pieces(system, terms, x, options.inclusion)
    given = options.method.solver
    if pieces is None:
        usual = choose_solver(system, size, options.method.known)
        chosen = Choice(given, "asked for") if given is not None else usual
        solver, why, most = chosen
        inclusion = options.inclusion if reason is None else "autodiff"
        if reason is not None and given is None and system.has_feedback:
            solver, why, most = SemiImplicitEuler(), "steps of first order", None
        number = options.method.max_steps
        number = number if most is None else min(number, most)
        options = options._replace(
            method=options.method._replace(solver=solver, max_steps=number),
            reason=why if reason is None else f"{why}; {reason}",
            inclusion=inclusion,
        )
        return system, Smooth(options.max_events), options
    _check(options)
    count = pieces.number
    options = options._replace(
        method=options.method._replace(
            solver=IMPLICIT if given is None else given, lands=False
        ),
        reason=f"the loss has {count} kinks: smooth pieces, with events where they meet",
    )
    system = eqx.tree_at(lambda tree: tree.objective, system, pieces)
    return system, Piecewise(options.max_events), options


def with_smallest_gradient(
    system: AbstractSystem, x: Position
) -> tuple[AbstractSystem, Bool[Array, ""]]:
    """The system with the smallest gradient at a point, for the momentum at the start.

    With it comes whether that gradient was found.

    Args:
        system: The system, whose loss is in pieces.
        x: The point, which may lie on kinks.
    """
    pieces: Any = system.objective
    # Which gradient is smallest is locally constant, and the search has no derivative.
    fixed, at = constant(pieces), constant(x)

    def find(pieces: Pieces, x: Position) -> tuple[Signature, Bool[Array, ""]]:
        z = pieces.switching(x, pieces.signature(x))
        meeting = jnp.abs(z) <= 16 * jnp.finfo(z.dtype).eps * pieces.sizes(x)
        found = smallest_signature(pieces, x, meeting)
        return found.signature, found.settled

    call = as_one_kernel if pieces.number <= FEW else lambda find, *args: find(*args)
    signature, is_settled = call(find, fixed, at)
    objective = AtSignature(pieces, signature)
    return eqx.tree_at(lambda tree: tree.objective, system, objective), is_settled


def find_pieces(
    system: AbstractSystem,
    terms: Sequence[Callable[[Any], Any]],
    x: Position,
    inclusion: str,
) -> tuple[Pieces | None, str | None]:
    """The pieces of a loss with kinks, or why they are not used although there may be.

    Args:
        system: The system, ready to be traced.
        terms: The terms of its loss, if that is known to be a mean.
        x: The position that it starts from.
        inclusion: Which gradients were asked for.
    """
    if inclusion == "autodiff" or is_known_smooth(system.objective) is True:
        return None, None
    loss = system.objective
    program, consts = program_of(loss, x)
    is_d = inclusion == "d_operator"
    if program.size > MANY_PLACES:
        # Kinks of terms that cancel in the loss are none of it, but of D.
        if not is_d and is_smooth(program, consts, x):
            return None, None
        return None, _too_many(f"{program.size} places where the loss may have kinks")
    if is_d and program.size and not terms:
        raise ValueError(
            "`inclusion='d_operator'` needs the terms of the loss, because D is the mean "
            "of their subdifferentials. Pass `dynsys.objectives.Mean(terms)` as the loss."
        )
    pieces = pieces_of(program, consts, x, terms if is_d else ())
    pieces = pieces.without(under_powers(pieces))
    if all(pieces.joint) and not any(pieces.mixed) and pieces.number > MANY_KINKS:
        return None, None
    if pieces.number > MANY_KINKS:
        return None, _too_many(f"{pieces.number} kinks")
    return (pieces, None) if pieces.number else (None, None)


def _too_many(what: str) -> str:
    return f"{what} are more than are followed, so gradients are those of JAX there"


def _check(options: Options) -> None:
    solver = options.method.solver
    if not (solver is None or isinstance(solver, Rodas5P)):
        raise ValueError(
            f"The loss has kinks, which {type(solver).__name__} cannot stop at and go on "
            f"from. Leave `solver` out, or, if kinks are only crossed and nothing comes to "
            f"rest on them, pass `inclusion='autodiff'` for the gradients that JAX returns."
        )

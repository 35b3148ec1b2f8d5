"""How a run ended, in a code that compiled programs carry and a sentence to read."""

import enum
import functools
import operator
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


class Status(enum.IntEnum):
    """How a run ended."""

    SUCCESS = 0
    STOPPED = 1
    MAX_STEPS = 2
    STEP_UNDERFLOW = 3
    NOT_FINITE_AT_START = 4
    NOT_POSITIVE_DEFINITE = 5
    COEFFICIENT_OUT_OF_RANGE = 6
    BAD_TIMES = 7
    BAD_TOLERANCES = 8
    SOLVER_FAILED = 9
    MAX_EVENTS = 10
    LOSS_JUMPS = 11
    GRADIENT_JUMPS = 12
    UNSETTLED = 13
    TOO_MANY_SWITCHES = 14
    COEFFICIENT_JUMPS = 15
    STOP_IS_NAN = 16
    TIME_UNRESOLVED = 17
    MAX_STEP_NOT_POSITIVE = 18


class Derivative(enum.IntEnum):
    """Whether the outputs have a derivative with respect to the inputs.

    `NOT_AT_START`: the start lies on a kink, and nothing has a derivative with respect to
    what moves it off. `NONE`: a kink was touched without being crossed, several were met
    at once in an order that matters, or the solution branched.
    """

    EXISTS = 0
    NOT_AT_START = 1
    NONE = 2


SENTENCES = {
    Status.SUCCESS: "The run reached t = {t:.6g}.",
    Status.STOPPED: "The run stopped at t = {t:.6g}, where the condition `stop` held.",
    Status.MAX_STEPS: (
        "`max_steps` was reached at t = {t:.6g}, where the step size was {step:.3g}. "
        "Raise `max_steps`, loosen `rtol` and `atol`, or raise `max_step` if one is set."
    ),
    Status.STEP_UNDERFLOW: (
        "The step size became too small to go on at t = {t:.6g}, where it was "
        "{step:.3g}: the solution or the gradient leaves the range of finite numbers "
        "there, or jumps. Start elsewhere, end before, or mend the loss there."
    ),
    Status.NOT_FINITE_AT_START: (
        "The objective, its gradient or the vector field is not finite at the initial "
        "state, t = {t:.6g}. Start elsewhere, or rewrite the loss: the gradient of a "
        "norm or of a square root is NaN at 0. (A traced `t0` must be positive for "
        "systems with damping alpha / t.)"
    ),
    Status.NOT_POSITIVE_DEFINITE: (
        "The matrix of the Newton system is not positive definite at t = {t:.6g}, or in "
        "large dimension too ill-conditioned for conjugate gradients, so there is no "
        "Newton direction. Use `LevenbergMarquardt` with a large enough "
        "`alpha`, `ContinuousNewton(..., regularization=...)`, or another start."
    ),
    Status.COEFFICIENT_OUT_OF_RANGE: (
        "A coefficient of the system leaves its range at t = {t:.6g}: `epsilon` "
        "must stay positive and `alpha` and `beta` at least 0 on the whole interval. "
        "Choose a schedule that does, or an interval: a larger `t0` where the schedule "
        "is singular at the start, a smaller `t1` where it ends."
    ),
    Status.BAD_TIMES: (
        "`t1` must be larger than `t0`, and `times` must increase from at least `t0` to "
        "at most `t1`. This was seen while tracing, so no values are shown."
    ),
    Status.BAD_TOLERANCES: (
        "`rtol` and `atol` must be positive and finite. This was seen while tracing, so "
        "no values are shown."
    ),
    Status.MAX_EVENTS: (
        "There is no room at t = {t:.6g} for more events at kinks, or for more changes of "
        "sign at kinks across which no gradient jumps: of these a run takes four for each "
        "of `max_events`. Raise `max_events`."
    ),
    Status.LOSS_JUMPS: (
        "The loss jumps at t = {t:.6g}, where one of its operations switches between "
        "values that differ. A discontinuous loss has no subgradient there: make the "
        "pieces meet, or pass `inclusion='autodiff'`, with gradients that see no jump."
    ),
    Status.GRADIENT_JUMPS: (
        "The gradient of the loss jumps at t = {t:.6g}, where a kink is met, and the "
        "equation has a Hessian in it, so it is no differential inclusion. Use a system "
        "without one, such as dynsys.GDIN or `hessian_free=True`, or round the kink off, "
        "as in `jnp.sqrt(x**2 + 1e-6)` for `jnp.abs(x)`."
    ),
    Status.UNSETTLED: (
        "Kinks meet at t = {t:.6g}, and no signs of theirs were found that agree with the "
        "velocity they lead to, so nothing says where the solution goes. They are nested, "
        "or the loss jumps there: make its pieces meet, move the start a little, or write "
        "the loss with fewer nested kinks."
    ),
    Status.TOO_MANY_SWITCHES: (
        "The coefficients switch more than 1,024 times between t0 and t1, or too often to "
        "tell when. Integrate over shorter intervals, each from the `final_state` of the "
        "one before, such as `simulate(system, first.final_state, t0=first.result.t, ...)`."
    ),
    Status.COEFFICIENT_JUMPS: (
        "A coefficient jumps between t0 and t1, and when could not be read from its "
        "program, because it does so in a loop or in an operation that is not known. "
        "Write it with `dynsys.schedules.Piecewise(times, pieces)`, with jnp.where, or "
        "with jnp.interp."
    ),
    Status.STOP_IS_NAN: (
        "The condition `stop` is NaN from t = {t:.6g} on, and did not fall to 0 before. "
        "Return a number that is defined along the whole trajectory, such as "
        "`jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1.0)), -1.0)` for a logarithm."
    ),
    Status.TIME_UNRESOLVED: (
        "The resolution of time at t = {t:.6g} is too coarse for steps or for events at "
        "kinks to be told apart to within the tolerances. Let time start near 0, with "
        "schedules shifted accordingly, or use a float64 start."
    ),
    Status.MAX_STEP_NOT_POSITIVE: (
        "`max_step` is not a positive number at t = {t:.6g}, so no step is allowed there. "
        "Return a positive number at all times, such as `jnp.maximum(size, 1e-3)`, of a "
        "`size` that is defined there."
    ),
    Status.SOLVER_FAILED: (
        "The solver failed at t = {t:.6g}, where the step size was {step:.3g}: its "
        "implicit equations were not solved. Loosen the tolerances or use the default "
        "solver."
    ),
}


class SimulationError(RuntimeError):
    """A run did not reach its end. The message says where, why and what to do."""


class Result(eqx.Module):
    """How a run ended.

    Args:
        code: A `Status`; an array of them after `jax.vmap`.
        t: Time that was reached.
        step: Size of the last step that was tried.
        advice: What a look at the place of failure showed, on the host.
    """

    code: Int[Array, "..."]
    t: Float[Array, "..."]
    step: Float[Array, "..."]
    advice: str = eqx.field(default="", static=True)

    @property
    def ok(self) -> Any:
        """Whether the run reached its end or was stopped by its condition."""
        return self.code <= Status.STOPPED

    @property
    def ran(self) -> Any:
        """Whether there was a run at all: the input was not at fault."""
        at_fault = [self.code == int(status) for status in INPUT_AT_FAULT]
        return ~functools.reduce(operator.or_, at_fault)

    @property
    def stopped(self) -> Any:
        """Whether the condition `stop` ended the run."""
        return self.code == Status.STOPPED

    @property
    def message(self) -> str:
        """One sentence a run, for a batch one for each member that failed."""
        if np.ndim(self.code) == 0:
            return f"{self.reasons[0]} {self.advice}".rstrip()
        codes = np.asarray(self.code)
        failed = np.argwhere(codes > Status.STOPPED)
        reasons = np.asarray(self.reasons, object).reshape(codes.shape)
        lines = [
            f"member {', '.join(map(str, index))}: {reasons[tuple(index)]}"
            for index in failed
        ]
        return "\n".join([f"{len(failed)} of {codes.size} runs failed.", *lines])

    @property
    def reasons(self) -> list[str]:
        """How each run ended, one sentence a run."""
        codes, times, steps = np.broadcast_arrays(self.code, self.t, self.step)
        rows = zip(codes.flat, times.flat, steps.flat, strict=True)
        return [_sentence(*row) for row in rows]

    def raise_if_failed(self) -> None:
        """Raise what happened, once the values are known.

        Raises:
            ValueError: The input was at fault.
            SimulationError: The run did not reach its end.
        """
        failed = np.asarray(self.code) > Status.STOPPED
        if not failed.any():
            return
        first = Status(int(np.atleast_1d(np.asarray(self.code))[np.atleast_1d(failed)][0]))
        if first in INPUT_AT_FAULT:
            raise ValueError(self.message)
        raise SimulationError(self.message)

    def __str__(self) -> str:
        return self.message


INPUT_AT_FAULT = {
    Status.NOT_FINITE_AT_START,
    Status.NOT_POSITIVE_DEFINITE,
    Status.COEFFICIENT_OUT_OF_RANGE,
    Status.BAD_TIMES,
    Status.BAD_TOLERANCES,
    Status.MAX_STEP_NOT_POSITIVE,
}


def _sentence(code: Any, t: Any, step: Any) -> str:
    return SENTENCES[Status(int(code))].format(t=float(t), step=float(step))


def select(*cases: tuple[Any, Status]) -> Int[Array, ""]:
    """The status of the first case whose condition holds, success if none does."""
    code = jnp.full((), int(Status.SUCCESS), jnp.int32)
    for condition, status in reversed(cases):
        code = jnp.where(condition, int(status), code)
    return code

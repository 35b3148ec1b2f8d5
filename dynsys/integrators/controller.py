"""A step size control that can stop and go on, and that notices when steps vanish."""

from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

Time = Float[Array, ""]


class ControllerState(NamedTuple):
    """Where the control stands between two steps.

    Args:
        inner: State of the wrapped controller.
        next_t: End of the next step.
        step: Size of the last step that was tried.
    """

    inner: PyTree
    next_t: Time
    step: Time


class ResumedController(diffrax.AbstractAdaptiveStepSizeController):
    """Goes on where an earlier run stopped, instead of choosing a first step anew.

    Args:
        inner: The controller that decides.
        resume: The state to go on from.
        rtol: Relative tolerance, which implicit solvers ask for.
        atol: Absolute tolerance, likewise.
        norm: Norm of the error, likewise.
    """

    inner: diffrax.PIDController
    resume: ControllerState
    rtol: Any
    atol: Any
    norm: Callable[[Any], Any]

    def __init__(self, inner: diffrax.PIDController, resume: ControllerState):
        self.inner = inner
        self.resume = resume
        self.rtol = inner.rtol
        self.atol = inner.atol
        self.norm = inner.norm

    def wrap(self, direction: Any) -> "ResumedController":
        del direction  # Time always runs forward here.
        return self

    def init(self, *args: Any, **kwargs: Any) -> tuple[Time, ControllerState]:
        del args, kwargs
        return self.resume.next_t, self.resume

    def adapt_step_size(
        self,
        t0: Any,
        t1: Any,
        y0: Any,
        y1_candidate: Any,
        args: Any,
        y_error: Any,
        error_order: Any,
        controller_state: ControllerState,
    ) -> tuple[Any, Any, Any, Any, ControllerState, diffrax.RESULTS]:
        keep, start, end, jump, inner, result = self.inner.adapt_step_size(
            t0, t1, y0, y1_candidate, args, y_error, error_order, controller_state.inner
        )
        smallest = 4 * jnp.finfo(t0.dtype).eps * jnp.abs(start)
        vanished = ~keep & (end - start <= smallest)
        result = diffrax.RESULTS.where(vanished, diffrax.RESULTS.dt_min_reached, result)
        state = ControllerState(inner, jnp.asarray(end), jnp.asarray(t1 - t0))
        return keep, start, end, jump, state, result

"""What a solve gives back."""

from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float, Int

from dynsys.integrators.engine.carry import Carry
from dynsys.integrators.engine.dense import DenseOutput
from dynsys.integrators.engine.outputs import Outputs
from dynsys.trajectory import FirstOrder, KinkEvents


class Story(NamedTuple):
    """What a run has to tell besides its outputs.

    Args:
        events: The ledger of kink events.
        unique: Whether the solution is the only one.
        derivative: A `Derivative`.
        first_order: Where steps were of first order; `None` where that cannot be.
        rest_since: Since when nothing moves; `None` where that is not looked for.
        start: What the motion found at the start.
    """

    events: KinkEvents
    unique: Bool[Array, ""]
    derivative: Int[Array, ""]
    first_order: FirstOrder | None
    rest_since: Float[Array, ""] | None
    start: Any


class Solved(NamedTuple):
    """What a solve gives back.

    Args:
        outputs: The solution at the output times.
        last: Where the solve ended.
        steps: The steps that were kept, without derivative; `None` if steps end at the
            outputs.
        dense: The steps with their derivative, if the solution is asked for at any time.
        story: What there is to tell besides.
    """

    outputs: Outputs
    last: Carry
    steps: DenseOutput | None
    dense: DenseOutput | None
    story: Story

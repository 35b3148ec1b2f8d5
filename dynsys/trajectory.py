"""What a simulation returns."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from dynsys.checks import is_concrete, known
from dynsys.dense_output import AbstractDenseOutput, Path, positions, velocities
from dynsys.result import Result
from dynsys.systems.system import AbstractSystem, State
from dynsys.trees import Position

if TYPE_CHECKING:
    import xarray

KINDS = ("cross", "slide", "leave")
"""What can happen at a kink, by its number in the ledger."""


class KinkEvents(eqx.Module):
    """What happened at each kink of the objective that the trajectory met.

    Args:
        count: Number of events; the rest of each array is padding.
        t: Time of each event, `inf` in the padding.
        kink: Which kink, -1 in the padding.
        kind: 0 for `cross`, 1 for `slide`, 2 for `leave`, -1 in the padding.
        places: Of each kink of the objective the operation that makes it, with its line
            and its entry.
    """

    count: Int[Array, "..."]
    t: Float[Array, "... events"]
    kink: Int[Array, "... events"]
    kind: Int[Array, "... events"]
    places: tuple[str, ...] = eqx.field(static=True, default=())

    @classmethod
    def none(cls, length: int, dtype: Any) -> "KinkEvents":
        """The ledger of a trajectory that met no kink."""
        padding = jnp.full(length, -1)
        return cls(jnp.asarray(0), jnp.full(length, jnp.inf, dtype), padding, padding)

    def place(self, kink: int) -> str:
        """A kink by its number and its place: "kink 7: `abs` at lasso.py:12, entry 3"."""
        known = 0 <= kink < len(self.places)
        return f"kink {kink}" + (f": {self.places[kink]}" if known else "")

    def table(self) -> str:
        """One line for each event: its time, what happened, and at which kink.

        Raises:
            ValueError: These are the events of a batch.
        """
        if np.ndim(self.count) > 0:
            raise ValueError(
                "These are the events of a batch of trajectories. Pick a member: "
                "`batch[0].events.table()`."
            )
        if not self.count:
            return "no events"
        rows = range(min(int(self.count), len(self.kink)))
        kinds = [KINDS[int(self.kind[i])] for i in rows]
        return "\n".join(
            f"{float(self.t[i]):14.9g}  {kind}  {self.place(int(self.kink[i]))}"
            for i, kind in zip(rows, kinds, strict=True)
        )


class FirstOrder(eqx.Module):
    """Where a run went on with steps of first order, and how far they can be trusted.

    Args:
        since: From which time on; `inf` if never.
        steps: In how many steps.
        error: Estimate of their error in the positions, from how much the solution
            changed when the steps were halved the last time.
    """

    since: Float[Array, "..."]
    steps: Int[Array, "..."]
    error: Float[Array, "..."]


class Stats(eqx.Module):
    """What a run cost, and with what it was solved.

    Args:
        steps: Number of accepted steps.
        rejected: Number of rejected steps.
        gradient_evaluations: Number of gradients; `None` where the solver iterates.
        hessians: Number of Hessians that were formed.
        first_time: Where the solver took over from the series at $t = 0$; `None` if
            there was no series.
        first_order: Where the order is 1, because kinks were crossed ever faster or are
            too many; `None` where that cannot be.
        solver: Name of the solver.
        reason: Why this solver.
        rest_since: Since when the run is at rest at a place where kinks meet in a way that
            no step can follow, such as the tip of a cusp: from there on position and
            velocity are those of a rest. `inf` if it is not; `None` where that cannot be.
        loop: How the loop over the steps was compiled: `"one kernel"`, the fast way, or
            `"many kernels: ..."` with the reason. `jax.vmap` and `diffrax.ForwardMode` take
            many for what is said to be one.
    """

    steps: Int[Array, "..."]
    rejected: Int[Array, "..."]
    gradient_evaluations: Int[Array, "..."] | None
    hessians: Int[Array, "..."] | None
    first_time: Float[Array, "..."] | None
    first_order: FirstOrder | None
    solver: str = eqx.field(static=True)
    reason: str = eqx.field(static=True)
    rest_since: Float[Array, "..."] | None = None
    loop: str = eqx.field(static=True, kw_only=True)


class Trajectory(eqx.Module):
    """A solution of a system at the requested times. A pytree.

    Args:
        t: Times, of shape `(times,)`. After a `stop`, the time of the stop.
        x: Positions: each leaf has a leading axis of length `times`.
        v: Velocities, in the same form. After a failure positions and velocities are
            not a number, and `result` says why.
        state: States of the system, in the same form.
        final_state: The last state, to continue from, with its time in `result.t`.
        system: The system that moved.
        events: What happened at each kink.
        unique: Whether the solution is the only one; `False` where it branched.
        derivative: Whether there is a derivative with respect to the inputs: a
            `dynsys.result.Derivative`, 0 if so. Where there is none, derivatives are NaN.
        stats: What the run cost, and with what it was solved.
        result: How the run ended.
        rtol: Relative tolerance of the run.
        atol: Absolute tolerance of the run.
        dense: The solution at any time, if it was asked for.
        switches: Times at which a coefficient jumps or bends, in order, infinite where
            there are fewer. Position and velocity go on there, steps end, and the state is
            built anew.
        inclusion: Which elements of the set-valued gradient were admitted at kinks.
    """

    t: Float[Array, "... times"]
    x: Position
    v: Position
    state: State
    final_state: State
    system: AbstractSystem
    events: KinkEvents
    unique: Bool[Array, "..."]
    derivative: Int[Array, "..."]
    stats: Stats
    result: Result
    rtol: Float[Array, "..."]
    atol: Float[Array, "..."]
    dense: AbstractDenseOutput | None
    switches: Float[Array, "... switches"]
    inclusion: str = eqx.field(static=True)

    @property
    def objective(self) -> Float[Array, "... times"]:
        """Value of the objective along the path, of shape `(times,)`."""
        along = lambda system, x: jax.vmap(system.objective)(x)
        for _ in range(self.t.ndim - 1):
            along = jax.vmap(along)
        return along(self.system, self.x)

    def __call__(self, t: Any) -> Position:
        """Position at any time, a number or an array of times.

        Raises:
            ValueError: The trajectory has no dense output, `t` is outside of it, or this
                is a batch of trajectories.
        """
        return self._at(positions, t)

    def velocity(self, t: Any) -> Position:
        """Velocity at any time, a number or an array of times.

        Raises:
            ValueError: The trajectory has no dense output, `t` is outside of it, or this
                is a batch of trajectories.
        """
        return self._at(velocities, t)

    def to_xarray(self) -> "xarray.Dataset":
        """The trajectory as an `xarray.Dataset` with the coordinate `t`.

        An array-valued position gives the variables `x` and `v`, a pytree one variable
        a leaf, named by its path.

        Raises:
            ImportError: xarray is not installed.
            ValueError: The trajectory is a batch.
        """
        try:
            import xarray
        except ImportError as error:
            raise ImportError(
                "`to_xarray` needs xarray: install `dynsys[xarray]`."
            ) from error
        if self.t.ndim != 1:
            raise ValueError(
                f"`to_xarray` takes one trajectory, but this is a batch of shape "
                f"{self.t.shape[:-1]}. Pick a member, as in `batch[i]`."
            )
        variables: dict[str, Any] = {"objective": ("t", np.asarray(self.objective))}
        for name, tree in (("x", self.x), ("v", self.v)):
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
                key = name + jax.tree_util.keystr(path)
                axes = [f"{key}_axis{i}" for i in range(leaf.ndim - 1)]
                variables[key] = (("t", *axes), np.asarray(leaf))
        return xarray.Dataset(
            variables,
            coords={"t": np.asarray(self.t)},
            attrs={
                "system": type(self.system).__name__,
                "solver": self.stats.solver,
                "result": self.result.message,
            },
        )

    def __getitem__(self, index: Any) -> "Trajectory":
        """A member of a batch of trajectories, or some of them.

        Args:
            index: The number of a member, an array of such numbers, or a slice.

        Raises:
            IndexError: This is one trajectory, not a batch, or there is no such member.
        """
        if self.t.ndim < 2:
            raise IndexError(
                "This is one trajectory, not a batch of them. Its outputs are in `x` and "
                "`v`, with the times as their first axis."
            )
        if not isinstance(index, slice) and is_concrete(index):
            index, count = np.asarray(index), self.t.shape[0]
            if ((index < -count) | (index >= count)).any():
                raise IndexError(f"There are {count} members, so there is no {index}.")
        pick = lambda leaf: (
            leaf[index] if isinstance(leaf, jax.Array | np.ndarray) else leaf
        )
        return jax.tree.map(pick, self)

    def _at(self, function: Any, t: Any) -> Any:
        if self.t.ndim != 1:
            raise ValueError(
                f"This is a batch of trajectories of shape {self.t.shape[:-1]}. Evaluate "
                f"its members with `jax.vmap(lambda trajectory: trajectory(t))(batch)`."
            )
        if self.dense is None:
            raise ValueError(
                "This trajectory is known at its `times` only. Pass `dense=True` to "
                "`simulate` to evaluate it anywhere."
            )
        dense = self.dense
        ends, at = known((dense.t0, dense.t1)), known(t)
        inside = ends is None or at is None or ((ends[0] <= at) & (at <= ends[1])).all()
        if ends is not None and not inside:
            raise ValueError(
                f"`t` must lie between {ends[0]} and {ends[1]}, where the trajectory was "
                f"computed, but is {t}."
            )
        times = jnp.asarray(t).astype(self.t.dtype)
        path = Path(dense, self.system, self.rtol, self.atol)
        values = function(path, times.reshape(-1))
        whole = lambda leaf: leaf.reshape(times.shape + leaf.shape[1:])
        return jax.tree.map(whole, values)

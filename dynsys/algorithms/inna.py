r"""INNA, the training algorithm that discretises g-DIN, as an optax transformation."""

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from dynsys.algorithms.hyperparameters import Hyperparameter, at, checked, decayed
from dynsys.analysis.inna_map import inna_stable_curvatures
from dynsys.checks import is_concrete
from dynsys.trees import Position, combine


class INNAState(NamedTuple):
    r"""State of INNA.

    Args:
        count: Number of steps taken, a scalar.
        psi: The auxiliary variable $\psi$, like the parameters.
    """

    count: Int[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]
    psi: Position


def inna(
    learning_rate: optax.ScalarOrSchedule,
    alpha: optax.ScalarOrSchedule = 0.5,
    beta: optax.ScalarOrSchedule = 0.1,
    *,
    weight_decay: optax.ScalarOrSchedule = 0.0,
    start: Any = "gradient",
    decay_power: optax.ScalarOrSchedule = 0.0,
) -> optax.GradientTransformationExtraArgs:
    r"""The inertial Newton algorithm (INNA).

    $$\begin{aligned}
    \theta_{k+1} &= \theta_k + \gamma_k\big((\tfrac1\beta - \alpha)\theta_k
    - \tfrac1\beta\psi_k - \beta v_k\big)\\
    \psi_{k+1} &= \psi_k + \gamma_k\big((\tfrac1\beta - \alpha)\theta_k
    - \tfrac1\beta\psi_k\big)
    \end{aligned}$$

    with a (sub)gradient $v_k$ of the loss, or of a mini-batch of it, at $\theta_k$: one
    explicit Euler step of length $\gamma_k$ for `dynsys.GDIN`. Besides the parameters it
    holds one buffer of their size.

    A small $\alpha$ is fast and may oscillate, a large one is slow and stable. A step above
    $\beta + \alpha/\lambda$ is unstable where the Hessian has the eigenvalue $\lambda$: see
    `dynsys.analysis.inna_stability_limit`. A gradient that is not a number makes the
    parameters so, as everywhere in optax; `optax.apply_if_finite` leaves such steps out.

    The state goes with the parameters: who sets these by hand initialises it anew.

    Args:
        learning_rate: Step size $\gamma$, at least 0, or a schedule of it. Unit: time.
        alpha: Viscous damping, at least 0, or a schedule of it. Unit: 1 / time.
        beta: Geometric damping, positive, or a schedule of it. Unit: time.
        weight_decay: Factor $w \ge 0$, or a schedule of it: the first line gets
            $-\gamma_k w\theta_k$, the second does not, as in the authors' PyTorch code.
        start: How $\psi_0$ is chosen, by the first gradient $v_0$:

            * `"gradient"`: $\psi_0 = (1 - \alpha\beta)\theta_0$, by which $\theta$ starts
              with velocity $-\beta v_0$; the authors' PyTorch code;
            * `"rest"`: by which it starts with velocity 0;
            * a number $s$: with velocity $-s v_0$; the authors' Keras code has $s = 1$;
            * a pytree of arrays like the parameters: that is $\psi_0$.

            A scalar array counts as a number: parameters that are a single scalar need the
            shape `(1,)` to be given their $\psi_0$.
        decay_power: Exponent $q \ge 0$ of the step size $\gamma\,(k + 1)^{-q}$. The theorem
            of convergence asks for $\gamma_k = o(1/\log k)$; the authors' default is 1/2 in
            Keras, and 1/4 or 1/8 for speed.

    Returns:
        A chain whose first state is an `INNAState`.

    Raises:
        TypeError: A hyperparameter is neither a number nor a schedule.
        ValueError: One is out of range, `start` is unknown or does not fit the parameters,
            or `update` is called without them.

    Warns:
        UserWarning: `learning_rate` is a number of at least `beta`.

    Example:
        >>> optimiser = inna(learning_rate=0.05, alpha=0.5, beta=0.1)
        >>> params = jnp.array([1.0, -2.0])
        >>> state = optimiser.init(params)
        >>> updates, state = optimiser.update(params, state, params)
        >>> optax.apply_updates(params, updates).round(4).tolist()
        [0.995, -1.99]

    Source:
        C. Castera, J. Bolte, C. Fevotte, E. Pauwels, JMLR 22(134), 2021, as given in the
        talk (INNA). Starts, weight decay, decay of the step: the authors' code,
        camcastera/INNA-for-DeepLearning.
    """
    direction = _direction(learning_rate, alpha, beta, start, decay_power)
    _warn_of_a_long_step(learning_rate, alpha, beta)
    decay = checked("weight_decay", weight_decay, "at least 0")
    gamma = step_size(learning_rate, decay_power)
    return optax.chain(
        direction, optax.add_decayed_weights(decay), optax.scale_by_learning_rate(gamma)
    )


def scale_by_inna(
    learning_rate: optax.ScalarOrSchedule,
    alpha: optax.ScalarOrSchedule = 0.5,
    beta: optax.ScalarOrSchedule = 0.1,
    *,
    start: Any = "gradient",
    decay_power: optax.ScalarOrSchedule = 0.0,
) -> optax.GradientTransformationExtraArgs:
    r"""The direction of INNA, to be multiplied by $-\gamma_k$.

    $$\beta v_k - \big((\tfrac1\beta - \alpha)\theta_k - \tfrac1\beta\psi_k\big)$$

    For chains of one's own. It takes the learning rate, which moves $\psi$, and the chain
    must multiply by the same one: `optax.scale_by_learning_rate`.

    Args:
        learning_rate: Step size, or a schedule of it.
        alpha: Viscous damping, or a schedule of it.
        beta: Geometric damping, or a schedule of it.
        start: How $\psi_0$ is chosen.
        decay_power: Exponent of the decay of the step size. With it the chain multiplies
            by $\gamma\,(k + 1)^{-q}$.

    Raises:
        TypeError: As for `inna`.
        ValueError: As for `inna`.

    Example:
        >>> optimiser = optax.chain(
        ...     optax.clip_by_global_norm(1.0),
        ...     scale_by_inna(0.05),
        ...     optax.scale_by_learning_rate(0.05),
        ... )

    Source:
        As for `inna`.
    """
    direction = _direction(learning_rate, alpha, beta, start, decay_power)
    _warn_of_a_long_step(learning_rate, alpha, beta)
    return direction


def _direction(
    learning_rate: Any, alpha: Any, beta: Any, start: Any, decay_power: Any
) -> optax.GradientTransformationExtraArgs:
    gamma = step_size(learning_rate, decay_power)
    a = checked("alpha", alpha, "at least 0")
    why = "The step divides by it; without geometric damping take `optax.sgd`."
    b = checked("beta", beta, "positive", why)
    speed, psi = _speed_or_psi(start)

    def init(params: Position) -> INNAState:
        count = jnp.zeros((), jnp.int32)
        if psi is not None:
            return INNAState(count, _as_psi(psi, params))
        linear = 1 - at(a, count) * at(b, count)
        theta = _widened(params)
        return INNAState(count, _cast(combine((linear, theta)), params))

    def update(
        updates: Position, state: Any, params: Position | None = None, **extra: Any
    ) -> tuple[Position, INNAState]:
        del extra
        if params is None:
            raise ValueError(
                "INNA needs the parameters, on which its step depends, but got none. Call "
                "`update(updates, state, params)`."
            )
        count = state.count
        alpha, beta = at(a, count), at(b, count)
        theta = _widened(params)
        v, before = _cast(updates, theta), _cast(state.psi, theta)
        if speed is not None:
            first = jnp.where(count == 0, beta * (at(speed, count) - beta), 0)
            before = combine((1.0, before), (first, v))
        common = combine((1 / beta - alpha, theta), (-1 / beta, before))
        after = combine((1.0, before), (at(gamma, count), common))
        direction = combine((beta, v), (-1.0, common))
        state = INNAState(jnp.asarray(optax.safe_increment(count)), _cast(after, state.psi))
        return _cast(direction, updates), state

    return optax.GradientTransformationExtraArgs(init, update)


def step_size(learning_rate: Any, power: Any) -> Hyperparameter:
    """The step size as a function of the count of steps, or as a number."""
    rate = checked("learning_rate", learning_rate, "at least 0")
    return decayed(rate, checked("decay_power", power, "at least 0"))


def _warn_of_a_long_step(gamma: Any, alpha: Any, beta: Any) -> None:
    """Say so if the step is known to be unstable where the loss is curved enough."""
    if any(callable(one) or not is_concrete(one) for one in (gamma, alpha, beta)):
        return
    if gamma < beta:
        return
    stable = inna_stable_curvatures(alpha, beta, gamma)
    where = (
        "nowhere" if stable is None else f"for {stable[0]:.4g} < lambda < {stable[1]:.4g}"
    )
    warnings.warn(
        f"`learning_rate` is {float(gamma):.4g}, but should be below `beta`, which is "
        f"{float(beta):.4g}. Near a minimum INNA needs learning_rate < beta + "
        f"alpha / lambda for every eigenvalue lambda of the Hessian: it is stable "
        f"{where} only with these values (`dynsys.analysis.inna_stable_curvatures`). Take "
        f"a smaller `learning_rate` or a larger `beta`.",
        stacklevel=3,
    )


def _speed_or_psi(start: Any) -> tuple[Hyperparameter | None, Position | None]:
    """What `start` says: a speed against the gradient, the first psi, or neither."""
    if isinstance(start, str):
        if start not in ("gradient", "rest"):
            raise ValueError(
                f'`start` must be "gradient", "rest", a number (the speed against the '
                f"gradient) or a pytree like the parameters (psi), but is {start!r}."
            )
        return (0.0 if start == "rest" else None), None
    leaves = jax.tree.leaves(start)
    if len(leaves) == 1 and leaves[0] is start and jnp.ndim(start) == 0:
        return checked("start", start, "finite"), None
    return None, start


def _as_psi(psi: Position, params: Position) -> Position:
    """The first psi that the user gave, in the dtypes of the parameters."""
    if not jax.tree.leaves(params):  # A placeholder of `optax.tree.map_params`.
        return params

    def as_leaf(theta: Any, given: Any) -> Any:
        if isinstance(theta, optax.MaskedNode):
            return theta
        if jnp.shape(given) != theta.shape:
            raise ValueError(
                f"`start` must have the shapes of the parameters, but has "
                f"{jnp.shape(given)} where they have {theta.shape}."
            )
        return jnp.asarray(given, theta.dtype)

    is_masked = lambda node: isinstance(node, optax.MaskedNode)
    try:
        return jax.tree.map(as_leaf, params, psi, is_leaf=is_masked)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`start` must be a pytree like the parameters, or a number, or one of "
            f'"gradient" and "rest". {error}'
        ) from error


def _widened(tree: Position) -> Position:
    """Leaves of fewer than 32 bits in 32, so that a step is rounded once."""
    return jax.tree.map(
        lambda leaf: leaf.astype(jnp.float32) if leaf.dtype.itemsize < 4 else leaf, tree
    )


def _cast(tree: Position, like: Position) -> Position:
    """The leaves in the dtypes of another tree."""
    return jax.tree.map(lambda leaf, other: leaf.astype(other.dtype), tree, like)

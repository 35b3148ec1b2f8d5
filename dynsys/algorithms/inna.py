r"""INNA, the training algorithm that discretises g-DIN, as an optax transformation."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from dynsys.algorithms.hyperparameters import Hyperparameter, at, checked
from dynsys.algorithms.inna_start import initial_momentum, speed_or_psi
from dynsys.algorithms.inna_step import INNAState, Options, inna_step, step_size
from dynsys.algorithms.parameters import cast, require_floats, required_params, scalar_type
from dynsys.analysis.inna.linear_stability import inna_stable_curvatures
from dynsys.checks import known, warn
from dynsys.trees import Position, combine


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
    explicit Euler step of length $\gamma_k$ for `dynsys.GDIN`. It is computed with the
    momentum $p = (\frac1\beta - \alpha)\theta - \frac1\beta\psi$ in place of $\psi$,

    $$\theta_{k+1} = \theta_k + \gamma_k(p_k - \beta v_k), \qquad
    p_{k+1} = (1 - \gamma_k\alpha)p_k - \gamma_k(1 - \alpha\beta)v_k$$

    which is the same in exact arithmetic, and robust: $p$ is 0 at rest, so that parameters
    may be rounded, clipped, projected or averaged on the way. Where $\alpha$ or $\beta$
    change, $p$ is computed anew from the same $\psi$. It is one buffer of the size of the
    parameters.

    A small $\alpha$ is fast and may oscillate, a large one is slow and stable. A step above
    $\beta + \alpha/\lambda$ is unstable where the Hessian has the eigenvalue $\lambda$: see
    `dynsys.analysis.inna_stability_limit`. A gradient that is not a number makes the
    parameters so, as everywhere in optax; `optax.apply_if_finite` leaves such steps out.

    Args:
        learning_rate: Step size $\gamma$, at least 0, or a schedule of it. Unit: time.
        alpha: Viscous damping, at least 0, or a schedule of it. Unit: 1 / time.
        beta: Geometric damping, positive, or a schedule of it. Unit: time.
        weight_decay: Factor $w \ge 0$, or a schedule of it: the line of $\theta$ gets
            $-\gamma_k w\theta_k$, that of $\psi$ does not, as in the authors' PyTorch code.
            With it $J + \frac w{2\beta}\|\theta\|^2$ is minimised. Unit: 1 / time.
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
        The transformation; its state is an `INNAState`.

    Raises:
        TypeError: A hyperparameter is neither a number nor a schedule, or `init` gets
            parameters that are no floats.
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
    options = _checked(learning_rate, alpha, beta, weight_decay, decay_power)
    _warn_of_a_long_step(learning_rate, options)
    return _transformation(options, start, options.gamma)


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

    For chains that change the direction before it is scaled. It takes the learning rate,
    which moves $\psi$, and the chain must multiply by the same one:
    `optax.scale_by_learning_rate`.

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
        ...     scale_by_inna(0.05),
        ...     optax.clip_by_global_norm(1.0),
        ...     optax.scale_by_learning_rate(0.05),
        ... )

    Source:
        As for `inna`.
    """
    options = _checked(learning_rate, alpha, beta, 0.0, decay_power)
    _warn_of_a_long_step(learning_rate, options)
    return _transformation(options, start, -1.0)


def _checked(
    learning_rate: Any, alpha: Any, beta: Any, weight_decay: Any, decay_power: Any
) -> Options:
    why = "The step divides by it; without geometric damping take `optax.sgd`."
    return Options(
        step_size(learning_rate, decay_power),
        checked("alpha", alpha, "at least 0"),
        checked("beta", beta, "positive", why),
        checked("weight_decay", weight_decay, "at least 0"),
    )


def _transformation(
    options: Options, start: Any, factor: Hyperparameter
) -> optax.GradientTransformationExtraArgs:
    """The transformation to the velocity of a step, times a factor."""
    speed, psi = speed_or_psi(start)

    def init(params: Position) -> INNAState:
        require_floats("INNA", params)
        count = jnp.zeros((), jnp.int32)
        dampings = options.alpha, options.beta
        alpha, beta = (at(one, count).astype(scalar_type(params)) for one in dampings)
        return INNAState(count, initial_momentum(params, alpha, beta, psi), alpha, beta)

    def update(
        updates: Position, state: Any, params: Position | None = None, **extra: Any
    ) -> tuple[Position, INNAState]:
        del extra
        params = required_params("INNA", params)
        velocity, after = inna_step(options, speed, updates, state, params)
        return cast(combine((at(factor, state.count), velocity)), params), after

    return optax.GradientTransformationExtraArgs(init, update)


def _warn_of_a_long_step(learning_rate: Any, options: Options) -> None:
    """Say so if the step is known to be unstable where the loss is curved enough."""
    given = learning_rate, options.alpha, options.beta
    if any(callable(one) or known(one) is None for one in given):
        return
    gamma, alpha, beta = (float(np.asarray(one)) for one in given)
    if gamma < beta:
        return
    stable = inna_stable_curvatures(alpha, beta, gamma)
    where = (
        "nowhere" if stable is None else f"for {stable[0]:.4g} < lambda < {stable[1]:.4g}"
    )
    warn(
        f"`learning_rate`, which is {gamma:.4g}, is not below `beta`, which is "
        f"{beta:.4g}. Near a minimum INNA needs learning_rate < beta + alpha / lambda for "
        f"every eigenvalue lambda of the Hessian: it is stable {where} only with these "
        f"values (`dynsys.analysis.inna_stable_curvatures`). Take a smaller "
        f"`learning_rate` or a larger `beta`."
    )

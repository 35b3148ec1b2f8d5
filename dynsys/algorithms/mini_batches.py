r"""Mini-batches of a loss over samples, and the gradients that they give."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from dynsys.trees import Position


class MiniBatches(eqx.Module):
    r"""Gradients of mini-batches, drawn at random and independently in each iteration.

    $$v_k = \frac1{|B_k|}\sum_{n\in B_k} v_{k,n}, \qquad
    v_{k,n}\in\partial J_n(\theta_k)$$

    The $B_k$ are independent and uniformly distributed over the sets of `size` samples, as
    the convergence theorem asks, so that the mean of $v_k$ over them is
    $\frac1N\sum_n v_{k,n}$, an element of $DJ(\theta_k)$. Going through shuffled data, the
    custom in deep learning, is not independent.

    The elements $v_{k,n}$ are those that JAX's differentiation selects, sample by sample.
    Off kinks they are the gradients. On a kink of `jnp.abs`, `jnp.maximum` or
    `jax.nn.relu` they are elements of $\partial J_n$, too, but not where kinks cancel or
    chains of them meet: `relu(-x) + x - relu(x)` is 0 everywhere, but JAX's gradient at 0
    is 1. Where a square root of 0 is differentiated, as in `jnp.sqrt(x**2)` and
    `jnp.linalg.norm(x)` at 0, it is not a number.

    An instance is called as `gradient(x, k)` by `iterate` and `inna_path`. The batch of an
    iteration depends on the key and its number only.

    Args:
        loss: The loss $J_n$ of a sample, a function `loss(x, sample)`.
        data: A pytree of arrays with one leading axis, over the samples.
        size: Number of samples in a mini-batch, from 1 to all.
        key: Random key, as from `jax.random.key`.

    Raises:
        TypeError: `loss` is not callable, or `key` is no random key.
        ValueError: The leading axes differ, `size` is out of range, or, when it is called,
            the loss of a sample is no scalar.

    Example:
        >>> loss = lambda x, a: 0.5 * (x - a) ** 2
        >>> batches = MiniBatches(loss, jnp.arange(4.0), 2, jax.random.key(0))
        >>> float(batches.objective(jnp.array(0.0)))
        1.75
        >>> batches(jnp.array(0.0), 0).shape
        ()

    Source:
        The talk (mini-batch sub-sampling; INNA); C. Castera, J. Bolte, C. Fevotte,
        E. Pauwels, JMLR 22(134), 2021. The example of kinks that cancel: derived here.
    """

    loss: Callable[[Any, Any], Any]
    data: Any
    size: int = eqx.field(static=True)
    key: PRNGKeyArray

    def __init__(
        self, loss: Callable[[Any, Any], Any], data: Any, size: int, key: PRNGKeyArray
    ):
        if not callable(loss):
            raise TypeError(
                f"`loss` must be a callable, `loss(x, sample)`, but is {loss!r}."
            )
        is_plain = jax.tree_util.all_leaves([loss])
        self.loss = jax.tree_util.Partial(loss) if is_plain else loss
        self.data = jax.tree.map(jnp.asarray, data)
        self.size = _checked_size(size, _count(self.data))
        if not _is_key(key):
            raise TypeError(
                f"`key` must be a random key such as `jax.random.key(0)`, but is {key!r}."
            )
        self.key = key

    @property
    def samples(self) -> int:
        """The number of samples."""
        return jax.tree.leaves(self.data)[0].shape[0]

    def indices(self, k: Any) -> Int[Array, " size"]:
        r"""The samples in the mini-batch of iteration `k`, in no particular order.

        Source:
            Algorithm F2 of J. Bentley and B. Floyd, "A sample of brilliance", Commun. ACM
            30(9), 1987: `jax.random.choice` sorts all samples for each mini-batch.
        """
        if self.size == self.samples:
            return jnp.arange(self.samples)
        last = jnp.arange(self.samples - self.size, self.samples)
        key = jax.random.fold_in(self.key, k)
        drawn = jax.random.randint(key, (self.size,), 0, last + 1)

        def pick(taken: Array, pair: tuple[Array, Array]) -> tuple[Array, Array]:
            one = jnp.where(taken[pair[0]], pair[1], pair[0])
            return taken.at[one].set(True), one

        _, found = jax.lax.scan(pick, jnp.zeros(self.samples, bool), (drawn, last))
        return found

    def batch_loss(self, indices: Int[Array, " size"]) -> jax.tree_util.Partial:
        r"""The mean over those samples, $J_B(x) = \frac1{|B|}\sum_{n\in B} J_n(x)$."""
        batch = jax.tree.map(lambda leaf: leaf[indices], self.data)
        return jax.tree_util.Partial(_mean, self.loss, batch)

    def gradient(self, x: Position, indices: Int[Array, " size"]) -> Position:
        """The mean of the selected gradients of those samples."""
        # Reverse mode is linear: it selects for the mean what it selects for each sample.
        return jax.grad(self.batch_loss(indices))(x)

    def __call__(self, x: Position, k: Any) -> Position:
        """The gradient of the mini-batch of iteration `k` at `x`."""
        return self.gradient(x, self.indices(k))

    @property
    def objective(self) -> jax.tree_util.Partial:
        r"""The mean over all samples, $J(x) = \frac1N\sum_n J_n(x)$, for a system."""
        return jax.tree_util.Partial(_mean, self.loss, self.data)

    def terms(self) -> list[Callable[[Any], Float[Array, ""]]]:
        r"""The losses $J_n$ of the samples, one by one.

        For `dynsys.nonsmooth.d_operator`, and for `dynsys.objectives.Mean`, by which
        `dynsys.analysis.criticality` and `simulate(inclusion="d_operator")` know them.
        """
        pick = lambda n: jax.tree.map(lambda leaf: leaf[n], self.data)
        return [
            jax.tree_util.Partial(_of_sample, self.loss, pick(n))
            for n in range(self.samples)
        ]


def _mean(loss: Callable[[Any, Any], Any], data: Any, x: Position) -> Float[Array, ""]:
    losses = jax.vmap(lambda sample: loss(x, sample))(data)
    if losses.ndim != 1:
        raise ValueError(
            f"`loss` must return a scalar for one sample, but returned shape "
            f"{losses.shape[1:]}. Take the sum or the mean of its entries."
        )
    return jnp.mean(losses)


def _of_sample(
    loss: Callable[[Any, Any], Any], sample: Any, x: Position
) -> Float[Array, ""]:
    return loss(x, sample)


def _count(data: Any) -> int:
    """The number of samples."""
    lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(data)}
    if len(lengths) != 1 or lengths == {()}:
        raise ValueError(
            "`data` must be a pytree of arrays with one leading axis over the samples, but "
            f"the leading axes are {sorted(lengths)}."
        )
    return next(iter(lengths))[0]


def _checked_size(size: Any, samples: int) -> int:
    if not isinstance(size, int | np.integer) or not 1 <= size <= samples:
        raise ValueError(
            f"`size` must be an integer from 1 to the number of samples, {samples}, but is "
            f"{size!r}."
        )
    return int(size)


def _is_key(key: Any) -> bool:
    """Whether it is a random key, of the new or the raw kind."""
    dtype = getattr(key, "dtype", None)
    if dtype is None:
        return False
    if jnp.issubdtype(dtype, jax.dtypes.prng_key):
        return key.shape == ()
    return dtype == jnp.uint32 and key.ndim == 1

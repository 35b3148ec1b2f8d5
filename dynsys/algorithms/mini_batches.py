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

    The $B_k$ are uniformly distributed over the sets of `size` samples, so that the mean of
    $v_k$ over them lies in $DJ(\theta_k)$ whenever every $v_{k,n}$ is an element of
    $\partial J_n(\theta_k)$: the assumption of the convergence theorem. The elements are
    those that `jax.grad` selects, sample by sample. Off kinks they are the gradients; on a
    kink most are elements of $\partial J_n$, but not all are (see the page "From flow to
    algorithm").

    An instance is called as `gradient(x, k)` by `iterate` and `inna_path`. The batch of an
    iteration depends on the key and its number only.

    Args:
        loss: The loss $J_n$ of a sample, a function `loss(x, sample)`.
        data: A pytree of arrays with one leading axis, over the samples.
        size: Number of samples in a mini-batch, from 1 to all.
        key: Random key, as from `jax.random.key`.

    Raises:
        TypeError: `loss` is not callable.
        ValueError: The leading axes differ, or `size` is out of range.

    Example:
        >>> loss = lambda x, a: 0.5 * (x - a) ** 2
        >>> batches = MiniBatches(loss, jnp.arange(4.0), 2, jax.random.key(0))
        >>> float(batches.objective(jnp.array(0.0)))
        1.75
        >>> batches(jnp.array(0.0), 0).shape
        ()

    Source:
        The talk (mini-batch sub-sampling; INNA); JMLR 22(134), 2021.
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
        lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(self.data)}
        if len(lengths) != 1 or lengths == {()}:
            raise ValueError(
                "`data` must be a pytree of arrays with one leading axis over the samples, "
                f"but the leading axes are {sorted(lengths)}."
            )
        samples = next(iter(lengths))[0]
        if not isinstance(size, int | np.integer) or not 1 <= size <= samples:
            raise ValueError(
                f"`size` must be an integer from 1 to the number of samples, {samples}, "
                f"but is {size!r}."
            )
        self.size = int(size)
        self.key = key

    @property
    def samples(self) -> int:
        """The number of samples."""
        return jax.tree.leaves(self.data)[0].shape[0]

    def indices(self, k: Any) -> Int[Array, " size"]:
        """The samples in the mini-batch of iteration `k`."""
        key = jax.random.fold_in(self.key, k)
        return jax.random.choice(key, self.samples, (self.size,), replace=False)

    def gradient(self, x: Position, indices: Int[Array, " size"]) -> Position:
        """The mean of the selected gradients of those samples."""

        def one(index: Int[Array, ""]) -> Position:
            sample = jax.tree.map(lambda leaf: leaf[index], self.data)
            return jax.grad(self.loss)(x, sample)

        return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), jax.vmap(one)(indices))

    def __call__(self, x: Position, k: Any) -> Position:
        """The gradient of the mini-batch of iteration `k` at `x`."""
        return self.gradient(x, self.indices(k))

    @property
    def objective(self) -> jax.tree_util.Partial:
        r"""The mean over all samples, $J(x) = \frac1N\sum_n J_n(x)$, for a system."""
        return jax.tree_util.Partial(_mean, self.loss, self.data)

    def terms(self) -> list[Callable[[Any], Float[Array, ""]]]:
        """The losses of the samples one by one, as `dynsys.nonsmooth.d_operator` takes."""
        pick = lambda n: jax.tree.map(lambda leaf: leaf[n], self.data)
        return [
            jax.tree_util.Partial(_flipped, self.loss, pick(n)) for n in range(self.samples)
        ]


def _mean(loss: Callable[[Any, Any], Any], data: Any, x: Position) -> Float[Array, ""]:
    return jnp.mean(jax.vmap(lambda sample: loss(x, sample))(data))


def _flipped(loss: Callable[[Any, Any], Any], sample: Any, x: Position) -> Float[Array, ""]:
    return loss(x, sample)

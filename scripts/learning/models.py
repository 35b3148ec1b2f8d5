"""Networks for image classification, made of the layers of Equinox, in single precision."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

Shape = tuple[int, int, int]
SINGLE: Any = {"dtype": jnp.float32}


class Model(NamedTuple):
    """A kind of network.

    Args:
        build: The network, from the shape of an image, the number of classes, its width
            and a key.
        width: The width it has by default; `None` if its width is fixed.
        side_by_side: Whether many of them train faster together under `jax.vmap`.
    """

    build: Callable[[Shape, int, int, jax.Array], eqx.nn.Sequential]
    width: int | None
    side_by_side: bool


def mlp(shape: Shape, classes: int, width: int, key: jax.Array) -> eqx.nn.Sequential:
    """Two hidden layers of `width` units with ReLU."""
    keys = jax.random.split(key, 3)
    channels, height, across = shape
    layers = [
        eqx.nn.Lambda(jnp.ravel),
        eqx.nn.Linear(channels * height * across, width, key=keys[0], **SINGLE),
        eqx.nn.Lambda(jax.nn.relu),
        eqx.nn.Linear(width, width, key=keys[1], **SINGLE),
        eqx.nn.Lambda(jax.nn.relu),
        eqx.nn.Linear(width, classes, key=keys[2], **SINGLE),
    ]
    return eqx.nn.Sequential(layers)


def lenet(shape: Shape, classes: int, width: int, key: jax.Array) -> eqx.nn.Sequential:
    """LeNet-5 with ReLU and max-pooling, on images padded with zeros to 32 by 32.

    Raises:
        ValueError: Images are not square, of an even size up to 32.

    Source:
        Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Proc. IEEE 86 (1998), figure 2.
    """
    del width
    channels, height, across = shape
    if height != across or height > 32 or height % 2:
        raise ValueError(
            f"LeNet takes square images of an even size up to 32, but these have "
            f"{height} by {across} pixels. Take another model."
        )
    keys = jax.random.split(key, 5)
    relu, pool = eqx.nn.Lambda(jax.nn.relu), eqx.nn.MaxPool2d(2, 2)
    pad = (32 - height) // 2
    layers = [
        eqx.nn.Conv2d(channels, 6, 5, padding=pad, key=keys[0], **SINGLE),
        *(relu, pool),
        eqx.nn.Conv2d(6, 16, 5, key=keys[1], **SINGLE),
        *(relu, pool, eqx.nn.Lambda(jnp.ravel)),
        eqx.nn.Linear(400, 120, key=keys[2], **SINGLE),
        relu,
        eqx.nn.Linear(120, 84, key=keys[3], **SINGLE),
        relu,
        eqx.nn.Linear(84, classes, key=keys[4], **SINGLE),
    ]
    return eqx.nn.Sequential(layers)


def network_in_network(
    shape: Shape, classes: int, width: int, key: jax.Array
) -> eqx.nn.Sequential:
    """Three mlpconv blocks and global average pooling; without dropout.

    The channels are those of the paper's network for CIFAR where `width` is 192.

    Source:
        M. Lin, Q. Chen, S. Yan, Network in network, ICLR 2014.
    """
    keys = jax.random.split(key, 3)
    narrow = (width, 5 * width // 6, width // 2)
    pool = eqx.nn.MaxPool2d(3, 2, padding=1)
    layers = [
        *(*_mlpconv(shape[0], narrow, 5, keys[0]), pool),
        *(*_mlpconv(narrow[-1], (width, width, width), 5, keys[1]), pool),
        # The last ReLU is left out: scores of either sign.
        *_mlpconv(width, (width, width, classes), 3, keys[2])[:-1],
        eqx.nn.Lambda(lambda maps: jnp.mean(maps, axis=(1, 2))),
    ]
    return eqx.nn.Sequential(layers)


def _mlpconv(
    channels: int, widths: tuple[int, int, int], kernel: int, key: jax.Array
) -> list[Any]:
    """A convolution and two of size 1, which are an MLP at every pixel."""
    layers: list[Any] = []
    sizes = (kernel, 1, 1)
    for one, width, size in zip(jax.random.split(key, 3), widths, sizes, strict=True):
        convolution = eqx.nn.Conv2d(
            channels, width, size, padding=size // 2, key=one, **SINGLE
        )
        layers += [convolution, eqx.nn.Lambda(jax.nn.relu)]
        channels = width
    return layers


MODELS: dict[str, Model] = {
    "mlp": Model(mlp, 64, True),
    "lenet": Model(lenet, None, False),
    "nin": Model(network_in_network, 192, False),
}
"""One line a kind of network. Convolutions under `jax.vmap` become grouped ones, slow on
a CPU, so networks that have them train one after the other."""


def width_of(name: str, given: int | None) -> int:
    """The width that the user gave, or that of the model.

    Raises:
        ValueError: The model has a fixed width.
    """
    usual = MODELS[name].width
    if given is not None and usual is None:
        raise ValueError(f"`--width` must be left out for {name}: its width is fixed.")
    return given or usual or 0

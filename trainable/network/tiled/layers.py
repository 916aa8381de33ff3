"""The convolutional part of a MobileNetV3 as a list of its convolutions, for `trainable.network.tiled.step`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn, ops
from torchvision.models.mobilenetv3 import InvertedResidual
from torchvision.ops.misc import Conv2dNormActivation, SqueezeExcitation

_WIDEST = 3
"""Columns of a depthwise kernel whose gradient oneDNN computes fast."""


@dataclass(frozen=True)
class Layer:
    """A convolution, its batch normalisation, and what there is before the next convolution."""

    conv: nn.Conv2d
    norm: nn.BatchNorm2d
    relu: bool
    """Its activation is ReLU; otherwise hardswish, or none where it ends a block."""
    squeeze: SqueezeExcitation | None
    """Follows the activation."""
    ends_block: bool
    """It has no activation and few channels, and its output may be added to another's."""
    adds: int | None
    """The index of the layer whose output is added to this one's."""

    @property
    def parameters(self) -> list[Tensor]:
        """In the order in which `trainable.network.tiled.step` gives their gradients."""
        squeeze = [] if self.squeeze is None else [*self.squeeze.fc1.parameters(), *self.squeeze.fc2.parameters()]
        return [self.conv.weight, self.norm.weight, self.norm.bias, *squeeze]

    @property
    def pointwise(self) -> bool:
        """Its convolution is a matrix product."""
        return self.conv.kernel_size == (1, 1)


def layers_of(features: nn.Sequential) -> list[Layer]:
    """The layers of `features` of one of torchvision's MobileNetV3."""
    layers: list[Layer] = []
    for block in features:
        parts: list[Any] = [block]
        source = None
        if isinstance(block, InvertedResidual):
            parts, source = list(block.block), len(layers) - 1 if block.use_res_connect else None
        for part, after in zip(parts, [*parts[1:], None], strict=True):
            if isinstance(part, Conv2dNormActivation):
                squeeze = after if isinstance(after, SqueezeExcitation) else None
                ends = after is None and isinstance(block, InvertedResidual)
                relu = len(part) > 2 and isinstance(part[2], nn.ReLU)
                layers.append(Layer(part[0], part[1], relu, squeeze, ends, source if ends else None))
    return layers


def matrix(conv: nn.Conv2d) -> Tensor:
    """The weight of a 1 x 1 convolution: (out, in)."""
    return conv.weight.flatten(1)


def convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Without a bias, which none has that is normalised."""
    return F.conv2d(x, conv.weight, None, conv.stride, conv.padding, 1, conv.groups)


def convolution_backward(conv: nn.Conv2d, dy: Tensor, x: Tensor, dw: Tensor, *, needs_dx: bool = True) -> Tensor:
    """Fills `dw`, shaped as the weight, with its gradient and returns that of `x`.

    The gradient of a 5 x 5 depthwise weight of stride 1 takes oneDNN (3.12, AVX2) longer than those of its first three
    columns and its last two together (`python -m benchmarks.step_profile`), so that is how it is computed.
    """
    kernel, side = conv.kernel_size[0], int(conv.padding[0])
    if conv.groups == 1 or kernel <= _WIDEST or conv.stride != (1, 1):
        dx, found = _backward(conv, dy, x, conv.weight, conv.padding, needs_dx, True)
        dw.copy_(found)
        return dx
    dx, _ = _backward(conv, dy, x, conv.weight, conv.padding, True, False)
    for first in range(0, kernel, _WIDEST):
        some = slice(first, min(first + _WIDEST, kernel))
        weight = conv.weight[..., some].contiguous()
        part = F.pad(x, (side - first, some.stop - 1 - side, side, side))  # cuts where these are negative
        dw[..., some] = _backward(conv, dy, part, weight, (0, 0), False, True)[1]
    return dx


def _backward(
    conv: nn.Conv2d, dy: Tensor, x: Tensor, weight: Tensor, padding: Any, dx: bool, dw: bool
) -> tuple[Tensor, Tensor]:
    found = ops.aten.convolution_backward(
        dy, x, weight, None, conv.stride, padding, [1, 1], False, [0, 0], conv.groups, [dx, dw, False]
    )
    return found[0], found[1]

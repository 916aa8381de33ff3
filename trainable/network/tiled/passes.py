"""One layer on its way forth and back, tile by tile: what is kept of it, its output, the gradients before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.network.tiled.layers import Layer, matrix
from trainable.network.tiled.tiles import Tiles, tiles_of

WIDE = 64
"""Channels from which elementwise operations run at full speed; narrower positions are taken several at a time."""

aten = torch.ops.aten


class State:
    """One layer in one step: `y`, the convolution's output (b, h, w, c), and all that is kept beside it."""

    da: Tensor
    """The gradient at the normalised values, shaped as `y`, while it is needed."""
    by_weight: Tensor
    """Those of the normalisation's weight and bias, (c,)."""
    by_bias: Tensor

    def __init__(self, layer: Layer, x: Tensor, before: tuple[int, ...]) -> None:
        """`before`: the input's shape (b, h, w, c)."""
        n, h, w, channels = before
        stride, self.c = layer.conv.stride[0], layer.conv.out_channels
        self.layer = layer
        self.shape = n, (h - 1) // stride + 1, (w - 1) // stride + 1, self.c
        self.hw = self.shape[1] * self.shape[2]
        self.per_image = n, self.c
        self.fold = next(f for f in (8, 4, 2, 1) if f == 1 or (self.hw % f == 0 and f * self.c < 2 * WIDE))
        self.tiles = tiles_of(n, x.element_size() * max(self.hw * self.c, h * w * channels))
        self.y = x.new_empty(self.shape)
        self.z = x.new_empty(self.shape if layer.ends_block else 0)
        if layer.squeeze is not None:
            inner = layer.squeeze.fc1.out_channels
            self.pooled, self.hidden, self.gate = (x.new_empty(n, width) for width in (self.c, inner, self.c))

    def settle(self, statistics: list[tuple[Tensor, Tensor]]) -> None:
        """The batch's mean and variance from those of the tiles (Chan et al., 1979)."""
        means, variances = (torch.cat(values).view(-1, self.c) for values in zip(*statistics, strict=True))
        norm, n = self.layer.norm, self.shape[0]
        share = (means.new_tensor(self.tiles) / (n * self.fold)).repeat_interleave(self.fold)[:, None]
        self.mean = (share * means).sum(0)
        self.var = (share * (variances + (means - self.mean).square())).sum(0)
        assert norm.running_mean is not None and norm.running_var is not None and norm.momentum is not None
        assert norm.num_batches_tracked is not None
        norm.running_mean.lerp_(self.mean, norm.momentum)
        norm.running_var.lerp_(self.var * (n * self.hw / (n * self.hw - 1)), norm.momentum)
        norm.num_batches_tracked.add_(1)
        self.invstd = (self.var + norm.eps).rsqrt()
        scale = norm.weight * self.invstd
        self.scale, self.shift = self.widen(scale), self.widen(norm.bias - self.mean * scale)

    def widen(self, channels: Tensor) -> Tensor:
        """(c,) as often as positions are taken at a time."""
        return channels.repeat(self.fold)

    def wide(self, t: Tensor) -> Tensor:
        """Any layout of this layer's values to (positions, wide), several positions at a time."""
        return t.view(-1, self.fold * self.c)

    def images(self, t: Tensor) -> Tensor:
        """The same as (b, c, h, w) in channels_last."""
        return t.view(-1, *self.shape[1:]).permute(0, 3, 1, 2)

    def split(self, t: Tensor, tiles: Tiles) -> Sequence[Tensor]:
        """`wide` of each tile."""
        return self.wide(t).split([n * self.hw // self.fold for n in tiles])


class Outputs:
    """A layer's output, tile by tile: normalised, activated, squeezed and excited, added to.

    The first time, what the backward pass needs of it is kept.
    """

    def __init__(self, state: State, added: Tensor | None, tiles: Tiles, *, first: bool) -> None:
        """`added`: what is added to it, of its shape."""
        self.state, self.layer, self.first = state, state.layer, first
        self.y = state.split(state.y, tiles)
        self.z = state.split(state.z, tiles) if self.layer.ends_block else ()
        self.added = () if added is None else state.split(added, tiles)
        if self.layer.squeeze is not None:
            self.pooled, self.hidden, self.gate = (t.split(tiles) for t in (state.pooled, state.hidden, state.gate))

    def __call__(self, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """What enters the activation (not the first time), what leaves it, and the output, all of them `wide`."""
        state = self.state
        if self.layer.ends_block:
            z = self.z[k]
            if self.first:
                torch.addcmul(state.shift, self.y[k], state.scale, out=z)
                if self.added:
                    z += self.added[k]
            return z, z, z
        a = torch.addcmul(state.shift, self.y[k], state.scale)
        h = a.relu_() if self.layer.relu else F.hardswish(a, inplace=self.first)
        return a, h, h if self.layer.squeeze is None else self._excite(k, h)

    def _excite(self, k: int, h: Tensor) -> Tensor:
        assert self.layer.squeeze is not None
        fc1, fc2 = self.layer.squeeze.fc1, self.layer.squeeze.fc2
        pooled, hidden, gate = self.pooled[k], self.hidden[k], self.gate[k]
        h = h.view(len(pooled), -1, self.state.c)
        if self.first:
            torch.mean(h, 1, out=pooled)
            torch.addmm(fc1.bias, pooled, matrix(fc1).t(), out=hidden).relu_()
            torch.addmm(fc2.bias, hidden, matrix(fc2).t(), out=gate)
        return h * F.hardsigmoid(gate)[:, None]


class Gradients:
    """From the gradient at a layer's output to that at its normalised values, tile by tile, and what can be summed on
    the way."""

    def __init__(self, state: State, tiles: Tiles) -> None:
        self.state, self.layer = state, state.layer
        state.da = torch.empty_like(state.y)
        self.y, self.da = state.split(state.y, tiles), state.split(state.da, tiles)
        self.weight, self.mean, self.var = (state.widen(t) for t in (self.layer.norm.weight, state.mean, state.var))
        self.sums: list[Any] = [None] * len(tiles)
        if self.layer.squeeze is not None:
            self.dgate, self.dhidden = torch.empty_like(state.gate), torch.empty_like(state.hidden)
            self.parts = [t.split(tiles) for t in (state.hidden, state.gate, self.dhidden, self.dgate)]

    def __call__(self, k: int, dz: Tensor, a: Tensor, h: Tensor) -> None:
        """`a` and `h` as `Outputs` gives them."""
        da = self.da[k]
        if self.layer.squeeze is not None:
            dz = self._squeeze(k, dz, h)
        if self.layer.ends_block:
            da.copy_(dz)
        elif self.layer.relu:
            aten.threshold_backward.grad_input(dz, h, 0, grad_input=da)
        else:
            da.copy_(aten.hardswish_backward(dz, a))
        # As if the statistics were constants: only the sums are taken, whose effect comes in `step`.
        _, *self.sums[k] = aten.native_batch_norm_backward(
            *(da[..., None, None], self.y[k][..., None, None], self.weight, self.mean, self.var, None, None),
            *(False, self.layer.norm.eps, [False, True, True]),
        )

    def _squeeze(self, k: int, dz: Tensor, h: Tensor) -> Tensor:
        assert self.layer.squeeze is not None
        fc1, fc2 = self.layer.squeeze.fc1, self.layer.squeeze.fc2
        hidden, gate, dhidden, dgate = (part[k] for part in self.parts)
        shape = len(gate), -1, self.state.c
        dz, h = dz.view(shape), h.view(shape)
        dgate.copy_(aten.hardsigmoid_backward((dz * h).sum(1), gate))
        dhidden.copy_(aten.threshold_backward(dgate @ matrix(fc2), hidden, 0))
        dpooled = dhidden @ matrix(fc1) / self.state.hw
        return self.state.wide(torch.addcmul(dpooled[:, None], dz, F.hardsigmoid(gate)[:, None]))

    def settle(self) -> list[Tensor]:
        """Leaves the normalisation's gradients in the state; returns those of the squeeze's parameters."""
        state, squeeze = self.state, self.layer.squeeze
        by_weight, by_bias = zip(*self.sums, strict=True)
        state.by_weight, state.by_bias = (torch.stack(s).view(-1, state.c).sum(0) for s in (by_weight, by_bias))
        if squeeze is None:
            return []
        both = (squeeze.fc1, self.dhidden, state.pooled), (squeeze.fc2, self.dgate, state.hidden)
        return [t for fc, d, x in both for t in ((d.t() @ x).view_as(fc.weight), d.sum(0))]

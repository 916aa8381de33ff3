"""A batch's way through all layers and back, as one operation of autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from trainable.network.tiled.layers import Layer, convolution_backward, convolve, matrix
from trainable.network.tiled.passes import Gradients, Outputs, State
from trainable.network.tiled.tiles import Tiles
from trainable.pieces.threads import each, single_threaded_operations

_Entering = Callable[[int], tuple[Tensor, Tensor, Tensor]]


def tiled_features(layers: Sequence[Layer], x: Tensor) -> Tensor:
    """What the modules behind `layers` make of `x` in training mode, averaged over the positions (as `avgpool` does);
    their running statistics move.

    Args:
        layers: see `trainable.network.tiled.layers.layers_of`. All their parameters require gradients.
        x: what enters them, (b, c, h, w), float32 or float64, on the CPU; gets no gradient.

    Returns:
        (b, channels). Its graph can be gone back through once.
    """
    parameters = [parameter for layer in layers for parameter in layer.parameters]
    out: Tensor = _Features.apply(layers, x, *parameters)
    return out


class _Features(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layers: Sequence[Layer], x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.step = _Step(layers, x)
        with single_threaded_operations():
            return ctx.step.forward()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        step, ctx.step = ctx.step, None
        with single_threaded_operations():
            return None, None, *step.backward(gradient)


class _Step:
    """A batch's way forth and back."""

    def __init__(self, layers: Sequence[Layer], x: Tensor) -> None:
        self.x = x.permute(0, 2, 3, 1).contiguous()
        self.states: list[State] = []
        shape = tuple(self.x.shape)
        self.entering = [shape]
        """The shape (b, h, w, c) of what enters each layer."""
        for layer in layers:
            self.states.append(State(layer, x, shape))
            shape = self.states[-1].shape
            self.entering.append(shape)

    def _outputs(self, i: int, tiles: Tiles, *, first: bool) -> Outputs:
        state = self.states[i]
        adds = state.layer.adds
        added = None if adds is None else self.x if adds < 0 else self.states[adds].z
        return Outputs(state, added, tiles, first=first)

    def _entering(self, i: int, tiles: Tiles, *, first: bool) -> _Entering:
        """What enters a layer, tile by tile, as `Outputs` gives it."""
        if i:
            return self._outputs(i - 1, tiles, first=first)
        parts = self.x.split(tiles)
        return lambda k: (parts[k], parts[k], parts[k])

    def forward(self) -> Tensor:
        for i in range(len(self.states)):
            self._convolve(i)
        last = self.states[-1]
        outputs, out = self._outputs(len(self.states) - 1, last.tiles, first=True), last.y.new_empty(last.per_image)
        parts = out.split(last.tiles)
        each(len(parts), lambda k: torch.mean(outputs(k)[2].view(-1, last.hw, last.c), 1, out=parts[k]))
        return out

    def _convolve(self, i: int) -> None:
        """A layer's `y` from what enters it, and the statistics of `y`."""
        state, (_, h, w, channels) = self.states[i], self.entering[i]
        conv, tiles = state.layer.conv, state.tiles
        entering = self._entering(i, tiles, first=True)
        wide, images = state.split(state.y, tiles), state.images(state.y).split(tiles)
        statistics: list[Any] = [None] * len(tiles)

        def work(k: int) -> None:
            z = entering(k)[2]
            if state.layer.pointwise:
                torch.mm(z.view(-1, channels), matrix(conv).t(), out=wide[k].view(-1, state.c))
            else:
                images[k].copy_(convolve(conv, z.view(-1, h, w, channels).permute(0, 3, 1, 2)))
            statistics[k] = torch.ops.aten.batch_norm_update_stats(wide[k][..., None, None], None, None, 0.0)

        each(len(tiles), work)
        state.settle(statistics)

    def backward(self, gradient: Tensor) -> list[Tensor]:
        """The gradients of all layers' parameters, in their order."""
        last = self.states[-1]
        outputs = self._outputs(len(self.states) - 1, last.tiles, first=False)
        onto, parts = Gradients(last, last.tiles), (gradient / last.hw).split(last.tiles)

        def work(k: int) -> None:
            everywhere = parts[k][:, None].expand(-1, last.hw, -1).contiguous()
            onto(k, last.wide(everywhere), *outputs(k)[:2])

        each(len(parts), work)
        squeezed, found = onto.settle(), list[Tensor]()
        for i in reversed(range(len(self.states))):
            state = self.states[i]
            by_convolution, before = self._back(i)
            found = [by_convolution, state.by_weight, state.by_bias, *squeezed, *found]
            squeezed = before
        return found

    def _back(self, i: int) -> tuple[Tensor, list[Tensor]]:
        """From the gradient at a layer's normalised values to that at those of the layer before.

        Returns:
            The gradients of this layer's convolution and of the squeeze before it.
        """
        state, (_, h, w, channels) = self.states[i], self.entering[i]
        conv, tiles = state.layer.conv, state.tiles
        scale, slope, offset = self._through_normalisation(state)
        y, da = state.split(state.y, tiles), state.split(state.da, tiles)
        partial = conv.weight.new_empty(len(tiles), *conv.weight.shape)
        parts = partial.unbind()
        entering = self._entering(i, tiles, first=False)
        before = self.states[i - 1] if i else None
        onto = None if before is None else Gradients(before, tiles)
        source = next((s for s in self.states if s.layer.adds == i - 1), None) if i else None
        shortcut = source.split(source.da, tiles) if source else ()

        def work(k: int) -> None:
            dy = torch.addcmul(offset, y[k], slope).addcmul_(da[k], scale)
            a, hidden, z = entering(k)
            if state.layer.pointwise:
                dy = dy.view(-1, state.c)
                torch.mm(dy.t(), z.view(-1, channels), out=parts[k].flatten(1))
                dz = dy @ matrix(conv) if onto else dy
            else:
                images = z.view(-1, h, w, channels).permute(0, 3, 1, 2)
                dz = convolution_backward(conv, state.images(dy), images, parts[k], needs_dx=onto is not None)
            if before is None or onto is None:
                return
            dz = before.wide(dz if state.layer.pointwise else dz.permute(0, 2, 3, 1))
            if shortcut:
                dz += shortcut[k]
            onto(k, dz, a, hidden)

        each(len(tiles), work)
        self._release(state, source)
        return partial.sum(0), onto.settle() if onto else []

    @staticmethod
    def _release(state: State, source: State | None) -> None:
        """Free the gradients that are used up. A layer that adds another's output keeps its own until that one."""
        if state.layer.adds is None:
            del state.da
        if source:
            del source.da

    @staticmethod
    def _through_normalisation(state: State) -> tuple[Tensor, Tensor, Tensor]:
        """(scale, slope, offset): the gradient at `y` is scale da + slope y + offset (Ioffe and Szegedy, 2015)."""
        m = state.shape[0] * state.hw
        scale = state.layer.norm.weight * state.invstd
        slope = -scale * state.invstd * state.by_weight / m
        offset = -scale * state.by_bias / m - slope * state.mean
        return state.widen(scale), state.widen(slope), state.widen(offset)

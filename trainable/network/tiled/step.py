"""A batch's way through all layers and back, as one operation of autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainable.network.tiled.layers import Layer, convolution_backward, convolve, matrix
from trainable.network.tiled.passes import Gradients, Outputs, State
from trainable.network.tiled.tiles import Tiles, each, single_threaded_operations


def tiled_features(layers: Sequence[Layer], x: Tensor) -> Tensor:
    """What the modules behind `layers` make of `x` in training mode; their running statistics move.

    Args:
        layers: see `trainable.network.tiled.layers.layers_of`. All their parameters require gradients.
        x: pixels (b, 3, h, w), float32 or float64, on the CPU; gets no gradient.

    Returns:
        (b, channels, h / 32, w / 32) in channels_last. Its graph can be gone back through once.
    """
    parameters = [parameter for layer in layers for parameter in layer.parameters]
    out: Tensor = _Features.apply(layers, x, *parameters)
    return out


class _Features(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layers: Sequence[Layer], x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.step = _Step(layers, x)
        with single_threaded_operations() as threads:
            return ctx.step.forward(threads)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        step, ctx.step = ctx.step, None
        with single_threaded_operations() as threads:
            return None, None, *step.backward(gradient, threads)


class _Step:
    """A batch's way forth and back."""

    def __init__(self, layers: Sequence[Layer], x: Tensor) -> None:
        self.x = x
        self.states: list[State] = []
        shape: tuple[int, ...] = (len(x), *x.shape[2:], x.shape[1])
        for layer in layers:
            self.states.append(State(layer, x, shape))
            shape = self.states[-1].shape

    def _outputs(self, i: int, tiles: Tiles, *, first: bool) -> Outputs:
        adds = self.states[i].layer.adds
        return Outputs(self.states[i], None if adds is None else self.states[adds], tiles, first=first)

    def forward(self, threads: int) -> Tensor:
        for i in range(len(self.states)):
            self._convolve(i, threads)
        last = self.states[-1]
        outputs, out = self._outputs(-1, last.tiles, first=True), torch.empty_like(last.y)
        parts = last.split(out, last.tiles)
        each(len(parts), lambda k: parts[k].copy_(outputs(k)[2]), threads)
        return last.images(out)

    def _convolve(self, i: int, threads: int) -> None:
        """A layer's `y` from the output of the one before, and the statistics of `y`."""
        state, before = self.states[i], self.states[max(i - 1, 0)]
        conv, tiles = state.layer.conv, state.tiles
        outputs = self._outputs(i - 1, tiles, first=True) if i else None
        pixels, wide, images = self.x.split(tiles), state.split(state.y, tiles), state.images(state.y).split(tiles)
        statistics: list[Any] = [None] * len(tiles)

        def work(k: int) -> None:
            if outputs is None:
                images[k].copy_(convolve(conv, pixels[k]))
            elif state.layer.pointwise:
                torch.mm(outputs(k)[2].view(-1, before.c), matrix(conv).t(), out=wide[k].view(-1, state.c))
            else:
                images[k].copy_(convolve(conv, before.images(outputs(k)[2])))
            statistics[k] = torch.ops.aten.batch_norm_update_stats(wide[k][..., None, None], None, None, 0.0)

        each(len(tiles), work, threads)
        state.settle(statistics)

    def backward(self, gradient: Tensor, threads: int) -> list[Tensor]:
        """The gradients of all layers' parameters, in their order."""
        last = self.states[-1]
        outputs, onto = self._outputs(-1, last.tiles, first=False), Gradients(last, last.tiles)
        parts = last.split(gradient.permute(0, 2, 3, 1).contiguous(), last.tiles)
        each(len(parts), lambda k: onto(k, parts[k], *outputs(k)[:2]), threads)
        squeezed, found = onto.settle(), list[Tensor]()
        for i in reversed(range(len(self.states))):
            state = self.states[i]
            by_convolution, before = self._back(i, threads)
            found = [by_convolution, state.by_weight, state.by_bias, *squeezed, *found]
            squeezed = before
        return found

    def _back(self, i: int, threads: int) -> tuple[Tensor, list[Tensor]]:
        """From the gradient at a layer's normalised values to that at those of the layer before.

        Returns:
            The gradients of this layer's convolution and of the squeeze before it.
        """
        state, before = self.states[i], self.states[max(i - 1, 0)]
        conv, tiles = state.layer.conv, state.tiles
        scale, slope, offset = self._through_normalisation(state)
        y, da, pixels = state.split(state.y, tiles), state.split(state.da, tiles), self.x.split(tiles)
        partial = conv.weight.new_empty(len(tiles), *conv.weight.shape)
        parts = partial.unbind()
        outputs = self._outputs(i - 1, tiles, first=False) if i else None
        onto = Gradients(before, tiles) if i else None
        source = next((s for s in self.states if s.layer.adds == i - 1), None) if i else None
        shortcut = source.split(source.da, tiles) if source else ()

        def work(k: int) -> None:
            dy = torch.addcmul(offset, y[k], slope).addcmul_(da[k], scale)
            if outputs is None or onto is None:
                convolution_backward(conv, state.images(dy), pixels[k], parts[k], needs_dx=False)
                return
            a, h, z = outputs(k)
            if state.layer.pointwise:
                dy = dy.view(-1, state.c)
                torch.mm(dy.t(), z.view(-1, before.c), out=parts[k].flatten(1))
                dz = dy @ matrix(conv)
            else:
                images = convolution_backward(conv, state.images(dy), before.images(z), parts[k])
                dz = images.permute(0, 2, 3, 1)
            dz = before.wide(dz)
            if shortcut:
                dz += shortcut[k]
            onto(k, dz, a, h)

        each(len(tiles), work, threads)
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

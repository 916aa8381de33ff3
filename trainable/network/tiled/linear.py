"""A large linear layer in training on a CPU, some of its features at a time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trainable.pieces.threads import each, single_threaded_operations

FEATURES = 128
"""Features that one thread takes at a time."""


def tiled_linear(linear: nn.Linear, x: Tensor) -> Tensor:
    """`linear(x)` for `x` of shape (b, in), on the CPU: values and gradients up to the rounding of float32."""
    out: Tensor = _Linear.apply(x, linear.weight, linear.bias)
    return out


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        y, parts = x.new_empty(len(x), len(weight)), _slices(len(weight))
        each(len(parts), lambda k: torch.addmm(bias[parts[k]], x, weight[parts[k]].t(), out=y[:, parts[k]]))
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        dy, inputs, outputs = dy.contiguous(), _slices(x.shape[1]), _slices(dy.shape[1])
        dx, dw = torch.empty_like(x), torch.empty_like(weight) if ctx.needs_input_grad[1] else None

        def work(k: int) -> None:
            if k < len(inputs):
                torch.mm(dy, weight[:, inputs[k]], out=dx[:, inputs[k]])
            elif dw is not None:
                some = outputs[k - len(inputs)]
                torch.mm(dy[:, some].t(), x, out=dw[some])

        each(len(inputs) + (len(outputs) if dw is not None else 0), work)
        with single_threaded_operations():
            return dx, dw, dy.sum(0) if ctx.needs_input_grad[2] else None


def _slices(features: int) -> list[slice]:
    return [slice(start, start + FEATURES) for start in range(0, features, FEATURES)]

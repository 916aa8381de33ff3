"""A forward pass whose images are independent of each other, so that threads may share them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trainable.pieces.threads import each

PIECE = 32
"""Images that one thread takes at a time: of 4 to 256, the fastest (`python -m benchmarks.pieces`)."""
LEAST_ON_A_GPU = 64
"""A GPU's kernels are chosen by the batch size; from here on they give an image the same numbers in every batch."""


def image_by_image(forward: Callable[..., Tensor], device: torch.device, *tensors: Tensor) -> Tensor:
    """`forward` of the tensors, whose first dimension is the images'.

    On a CPU it sees exactly 32 images at a time, so an image's numbers depend neither on those beside it nor on the
    number of threads. On a GPU it sees all, and 64 at least. What is missing is filled up with zeros, and dropped.

    Args:
        forward: in eval mode, without gradients; gives a row for each image.
        device: where it computes.
    """
    images = len(tensors[0])
    if device.type != "cpu":
        return forward(*(_filled(tensor, LEAST_ON_A_GPU) for tensor in tensors))[:images]
    pieces = list(zip(*(tensor.split(PIECE) for tensor in tensors), strict=True))
    found: list[Tensor] = [torch.empty(0)] * len(pieces)

    def work(k: int) -> None:
        found[k] = forward(*(_filled(part, PIECE) for part in pieces[k]))[: len(pieces[k][0])]

    each(len(pieces), work)
    return torch.cat(found)


def _filled(x: Tensor, least: int) -> Tensor:
    if len(x) >= least:
        return x
    rest = x.new_zeros((least - len(x), *x.shape[1:]))
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        rest = rest.contiguous(memory_format=torch.channels_last)
    return torch.cat([x, rest])

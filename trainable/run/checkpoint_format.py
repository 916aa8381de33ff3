"""A nested state as a few long tensors: `torch.save` and `torch.load` spend most of their time on each tensor, however
few numbers it has (`python -m benchmarks.checkpoints`), and a run in stage 3 has some 800: parameters, statistics, two
moments and a counter a parameter, and the best epoch's copy. What that copy has in common with the model (all of it
after an epoch that was the best, and frozen layers always) is kept once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_TENSOR = "tensor"
_LARGE = 4096
"""Numbers from which on a tensor is compared with others: nine tenths of the tensors are smaller and hold next to
nothing."""


def pack(state: Any) -> dict[str, Any]:
    """Dicts, lists and plain values as they are, with the tensors among them in one for each type and device.

    Of large tensors on the CPU that are equal bit by bit one is kept.
    """
    parts: dict[str, list[Tensor]] = {}
    lengths: dict[str, int] = {}
    kept: dict[tuple[str, int], list[tuple[Tensor, int]]] = {}

    def place(flat: Tensor, kind: str) -> int:
        """Where the numbers begin in the long tensor."""
        alike = kept.setdefault((kind, len(flat)), []) if len(flat) >= _LARGE and flat.device.type == "cpu" else []
        for other, start in alike:
            if torch.equal(flat.view(torch.uint8), other.view(torch.uint8)):  # as numbers, 0.0 is -0.0
                return start
        start = lengths.get(kind, 0)
        lengths[kind] = start + len(flat)
        parts.setdefault(kind, []).append(flat)
        alike.append((flat, start))
        return start

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, Tensor):
            return value
        value = value.detach() if _is_dense(value) else value.detach().contiguous()
        kind, count = f"{value.dtype} {value.device}", value.numel()
        start = place(value.as_strided((count,), (1,)), kind)
        return (_TENSOR, kind, start, count, tuple(value.shape), value.stride())

    tree = walk(state)
    return {"tree": tree, "tensors": {kind: torch.cat(some) for kind, some in parts.items()}}


def unpack(packed: dict[str, Any]) -> Any:
    """What `pack` was given: the same numbers in the same order in memory, each tensor in a storage of its own."""
    tensors = packed["tensors"]

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not (isinstance(value, tuple) and value[:1] == (_TENSOR,)):
            return value
        _, kind, start, count, shape, stride = value
        return tensors[kind][start : start + count].clone().as_strided(shape, stride)

    return walk(packed["tree"])


def _is_dense(tensor: Tensor) -> bool:
    """Whether its numbers fill a stretch of memory without gaps, in whatever order of dimensions."""
    expected = 1
    for stride, size in sorted((stride, size) for stride, size in zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True

"""A nested state as a few long tensors: `torch.save` and `torch.load` spend most of their time on each tensor, however
few numbers it has (`python -m benchmarks.checkpoints`), and a run in stage 3 has some 800: parameters, statistics, two
moments and a counter a parameter, and the best epoch's copy. What that copy has in common with the model (all of it
after an epoch that was the best, and frozen layers always) is kept once.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor

_TENSOR = "tensor"
_LARGE = 4096
"""Numbers from which on a tensor is compared with others: nine tenths of the tensors are smaller and hold next to
nothing."""
_BEGINNING = 8
"""Numbers by which tensors that differ are told apart without being read."""
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def pack(state: Any) -> dict[str, Any]:
    """Dicts, lists and plain values as they are, with the tensors among them in one for each type and device.

    Of large tensors on the CPU that are equal bit by bit one is kept.
    """
    joined = _Joined()

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, Tensor):
            return value
        value = value.detach() if _is_dense(value) else value.detach().contiguous()
        kind, count = f"{value.dtype} {value.device}", value.numel()
        start = joined.place(value.as_strided((count,), (1,)), kind)
        return (_TENSOR, kind, start, count, tuple(value.shape), value.stride())

    tree = walk(state)
    return {"tree": tree, "tensors": {kind: torch.cat(parts) for kind, parts in joined.parts.items()}}


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


class _Joined:
    """Tensors that are to become one for each kind."""

    def __init__(self) -> None:
        self.parts: dict[str, list[Tensor]] = {}
        self._lengths: Counter[str] = Counter()
        self._large: dict[tuple[Any, ...], list[tuple[Tensor, int]]] = {}

    def place(self, flat: Tensor, kind: str) -> int:
        """Where in the long tensor these numbers begin."""
        if len(flat) < _LARGE or flat.device.type != "cpu":
            return self._append(flat, kind)
        bits = flat.view(_BITS.get(flat.element_size(), torch.uint8))  # as numbers, 0.0 would be -0.0
        alike = self._large.setdefault((kind, len(flat), *bits[:_BEGINNING].tolist()), [])
        for other, start in alike:
            if torch.equal(bits, other):
                return start
        alike.append((bits, self._append(flat, kind)))
        return alike[-1][1]

    def _append(self, flat: Tensor, kind: str) -> int:
        start = self._lengths[kind]
        self._lengths[kind] += len(flat)
        self.parts.setdefault(kind, []).append(flat)
        return start


def _is_dense(tensor: Tensor) -> bool:
    """Whether its numbers fill a stretch of memory without gaps, in whatever order of dimensions."""
    expected = 1
    for stride, size in sorted((stride, size) for stride, size in zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True

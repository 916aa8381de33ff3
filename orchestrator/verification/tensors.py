"""The first difference between two best.pt, tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from orchestrator.verification.comparison import value_difference
from trainable.base.errors import Failure
from trainable.cache.digests import file_digest


def weights_difference(before: Path, again: Path) -> str | None:
    """Compare weights, classes and configuration. The path of the weights that the run began with does not count: the
    same file may lie elsewhere now.

    Args:
        before: best.pt on disk, in whatever state.
        again: a whole one.
    """
    if file_digest(before) == file_digest(again):
        return None
    try:
        old, new = _load(before), _load(again)
        found = state_difference(old["state_dict"], new["state_dict"]) or value_difference(_rest(old), _rest(new))
    except Exception as error:  # torch documents no exceptions for files that are no checkpoints
        return f"{before.name} cannot be read ({Failure.of(error).message})"
    return f"{before.name}, {found}" if found else None


def state_difference(before: Mapping[str, Tensor], again: Mapping[str, Tensor]) -> str | None:
    """The first tensor of two state dicts that is not the same to the last bit: how many of its numbers differ, and by
    how much at most."""
    for name in dict.fromkeys((*again, *before)):
        if name not in before or name not in again:
            return f"{name} is {'missing' if name not in before else 'there only'} on disk"
        old, new = before[name], again[name]
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            return f"{name} is {_kind(old)} on disk, {_kind(new)} again"
        differ = (_bytes(old) != _bytes(new)).any(1)
        if differ.any():
            largest = (old.double() - new.double()).abs().max().item()
            return f"{name}: {int(differ.sum())} of {old.numel()} numbers differ, by {largest:.3g} at most"
    return None


def _bytes(tensor: Tensor) -> Tensor:
    """The bytes of each number, uint8 of shape (numbers, bytes a number): NaN equals itself and 0.0 is not -0.0."""
    return tensor.contiguous().reshape(-1).view(torch.uint8).reshape(-1, tensor.element_size())


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return loaded


def _rest(saved: Mapping[str, Any]) -> dict[str, Any]:
    config = {name: value for name, value in saved["config"].items() if name != "weights"}
    return {"classes": saved["classes"], "config": config}

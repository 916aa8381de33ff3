"""The weights of a MobileNetV3-Small in whatever a training script has saved them in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

StateDict = dict[str, Tensor]

FIRST_LAYER = "features.0.0.weight"
PLACES = (
    "state_dict", "model_state_dict", "model", "net", "network", "module", "backbone", "student", "ema", "model_ema",
    "ema_model", "ema_state_dict", "state_dict_ema", "teacher",
)  # fmt: skip
"""Names under which scripts keep weights, the better ones first: the trained network before its averages."""
_DEPTH = 3
_USUAL = ((), ("state_dict",), ("model",))
"""Places that go without saying: a bare state dict, our best.pt, and that of version 0.1.0."""


@dataclass(frozen=True)
class FoundState:
    """The state dict of a file.

    Args:
        state: with the names that torchvision gives the layers, where they are there.
        classes: what the outputs mean, where the file says it.
        remarks: what was done to find it.
    """

    state: StateDict
    classes: list[str] | None = None
    remarks: list[str] = field(default_factory=list)


def find_state_dict(saved: Any) -> FoundState | None:
    """The network in what `torch.load` gave; None where that holds no state dict at all.

    Where there are several networks, the first one by `PLACES` is taken, and the remarks name the others. DataParallel,
    torch.compile and Lightning put prefixes before the names; these are removed.
    """
    found = list(_state_dicts(saved))
    ours = [(path, state) for path, state in found if _prefixes(state)]
    if not found:
        return None
    path, state = min(ours or found, key=lambda one: _rank(one[0]))
    prefixes = _prefixes(state)
    prefix = min(prefixes, key=lambda one: (bool(one), _rank(one.split(".")))) if prefixes else ""
    inside = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    said = [f"read from {'.'.join(path)!r}"] if path not in _USUAL or (path and prefix) or len(ours) > 1 else []
    if prefix:
        left = len(state) - len(inside)
        said.append(f"prefix {prefix!r} removed" + (f", {left} other tensors left out" if left else ""))
    others = [f"{'.'.join(other)!r}" for other, _ in ours if other != path]
    if others:
        said.append(f"the file also has {', '.join(others)}")
    classes = saved.get("classes") if isinstance(saved, Mapping) and path else None
    return FoundState(
        inside,
        list(classes) if isinstance(classes, list | tuple) else None,
        [f"weights: {', '.join(said)}"] if said else [],
    )


def resembles(state: StateDict) -> str:
    """Another network that the names of the layers are of, in words; "" where none is known."""
    for name, signs in (
        ("timm's MobileNetV3, whose layers have other names", ("conv_stem.weight",)),
        ("a ResNet", ("layer1.0.conv1.weight",)),
        ("a vision transformer", ("cls_token", "class_token", "patch_embed.proj.weight")),
        ("torchvision's MobileNetV2", ("features.18.0.weight", "features.1.conv.0.0.weight")),
        ("torchvision's MobileNetV3-Large", ("features.16.0.weight",)),
    ):
        if any(key == sign or key.endswith(f".{sign}") for key in state for sign in signs):
            return name
    return ""


def _state_dicts(saved: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Mapping[str, Tensor]]]:
    """Every state dict in nested dicts, and where it lies."""
    if not isinstance(saved, Mapping) or len(path) > _DEPTH:
        return
    if saved and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in saved.items()):
        yield path, saved
        return
    for key, value in saved.items():
        yield from _state_dicts(value, (*path, str(key)))


def _prefixes(state: Mapping[str, Tensor]) -> list[str]:
    """What stands before the name of the network's first layer, once for each network in the state dict."""
    return [key.removesuffix(FIRST_LAYER) for key in state if key == FIRST_LAYER or key.endswith(f".{FIRST_LAYER}")]


def _rank(names: tuple[str, ...] | list[str]) -> int:
    """A place's rank by the worst of its names: the average of a model is not the model."""
    return max((PLACES.index(name) for name in names if name in PLACES), default=-1 if not names else len(PLACES))

"""MobileNetV3-Small and its weights (runbook section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import MobileNet_V3_Small_Weights, mobilenet_v3_small

from trainable.base.config import TrainConfig
from trainable.base.errors import ConfigError
from trainable.base.seeds import derived_seed

HEAD = "classifier.3."
StateDict = dict[str, Tensor]


def build_model(config: TrainConfig, classes: list[str]) -> tuple[nn.Module, list[str]]:
    """The network with a new head, in channels_last, on the CPU.

    The head of the weights is kept only where the file names the same classes in the same order, as a best.pt does: a
    bare state dict does not say what its outputs mean.

    Returns:
        The model and remarks about the weights for the log.

    Raises:
        ConfigError: the weights are unavailable or do not fit.
    """
    torch.manual_seed(derived_seed(config.seed, "init"))
    model = mobilenet_v3_small(weights=None)
    model.classifier[-1] = nn.Linear(model.classifier[-1].in_features, len(classes))
    state, names = load_weights(config.weights)
    remarks: list[str] = []
    if state:
        remarks = _load(model, state, keep_head=names == classes, source=config.weights)
    return model.to(memory_format=torch.channels_last), remarks


def load_weights(weights: str) -> tuple[StateDict, list[str] | None]:
    """The state dict that `--weights` names ({} for none), and its class names where the file has them."""
    if weights == "none":
        return {}, None
    if weights == "imagenet":
        return _imagenet(), None
    try:
        saved: Any = torch.load(weights, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ConfigError(f"--weights {weights}: {error.strerror or error}") from error
    except Exception as error:  # torch documents no exceptions for files that are not checkpoints
        raise ConfigError(f"--weights {weights}: not a PyTorch checkpoint that loads with weights_only") from error
    state, names = _contents(saved)
    if not isinstance(state, Mapping) or not state or not all(_is_entry(k, v) for k, v in state.items()):
        raise ConfigError(f"--weights {weights}: must be a state dict, or a best.pt that holds one as 'state_dict'")
    return dict(state), names


def _contents(saved: Any) -> tuple[Any, list[str] | None]:
    """The state dict of a best.pt and its class names; anything else as it is. Version 0.1.0 wrote `model`."""
    for key in ("state_dict", "model"):
        if isinstance(saved, Mapping) and isinstance(saved.get(key), Mapping):
            return saved[key], saved.get("classes")
    return saved, None


def _is_entry(key: Any, value: Any) -> bool:
    return isinstance(key, str) and isinstance(value, Tensor)


def _imagenet() -> StateDict:
    source = MobileNet_V3_Small_Weights.IMAGENET1K_V1
    cache = Path(torch.hub.get_dir()) / "checkpoints" / source.url.rsplit("/", 1)[-1]
    try:
        return dict(source.get_state_dict(progress=False, check_hash=True))
    except Exception as error:  # no network, a proxy's answer, a broken download: all end the same way
        raise ConfigError(
            f"the ImageNet weights are not in {cache} and cannot be downloaded ({error}); "
            f"put {source.url} into {cache.parent}, or choose --weights none or --weights PATH"
        ) from error


def _load(model: nn.Module, state: StateDict, *, keep_head: bool, source: str) -> list[str]:
    own = model.state_dict()
    body = {k: v for k, v in state.items() if keep_head or not k.startswith(HEAD)}
    missing = [k for k in own if k not in body and not k.startswith(HEAD)]
    wrong = [k for k, v in body.items() if k not in own or own[k].shape != v.shape]
    if missing or wrong:
        name = (missing or wrong)[0]
        trouble = "lacks" if missing else "does not fit at"
        raise ConfigError(f"--weights {source}: not a MobileNetV3-Small state dict ({trouble} {name!r})")
    model.load_state_dict(body, strict=False)
    if keep_head or f"{HEAD}bias" not in state:
        return []
    have, want = state[f"{HEAD}bias"].numel(), own[f"{HEAD}bias"].numel()
    return [f"weights: their head of {have} classes is dropped for a new one of {want}"]

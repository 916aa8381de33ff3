"""MobileNetV3-Small and its weights (runbook section 4)."""

from __future__ import annotations

import re
import socket
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import MobileNet_V3_Small_Weights, mobilenet_v3_small

from trainable.base.config import TrainConfig
from trainable.base.errors import ConfigError
from trainable.base.seeds import derived_seed
from trainable.base.text import one_line
from trainable.network.state_dicts import FoundState, StateDict, find_state_dict, resembles
from trainable.network.weight_files import NO_CHECKPOINT, SAVE_STATE_DICT, check_format, imagenet_file

HEAD = "classifier.3."
SILENCE_SECONDS = 60.0
"""How long a server or a proxy may say nothing while weights are downloaded."""


def build_model(config: TrainConfig, classes: list[str], weights: str | None = None) -> tuple[nn.Module, list[str]]:
    """The network with a new head, in channels_last, on the CPU.

    The head's first numbers are drawn on a seed of their own, by torch.nn.Linear alone (docs/reproducibility.md): what
    torchvision draws before it changes nothing, and weights replace all of that.

    The head of the weights is kept only where the file names the same classes in the same order, as a best.pt does: a
    bare state dict does not say what its outputs mean.

    Args:
        weights: what to load in place of `config.weights`, of which it is a copy.

    Returns:
        The model, and what the user should know about the weights.

    Raises:
        ConfigError: the weights are unavailable or do not fit.
    """
    torch.manual_seed(derived_seed(config.seed, "backbone"))
    model = mobilenet_v3_small(weights=None)
    torch.manual_seed(derived_seed(config.seed, "head"))
    model.classifier[-1] = nn.Linear(model.classifier[-1].in_features, len(classes))
    found = load_weights(weights or config.weights)
    remarks = list(found.remarks)
    if found.state:
        remarks += _load(model, found.state, keep_head=found.classes == classes, source=config.weights)
    return model.to(memory_format=torch.channels_last), remarks


def load_weights(weights: str) -> FoundState:
    """The state dict that `--weights` names; an empty one for `none`.

    Raises:
        ConfigError: it is unavailable, or no state dict.
    """
    if weights == "none":
        return FoundState({})
    if weights == "imagenet":
        return FoundState(_imagenet())
    try:
        check_format(weights)
        saved: Any = torch.load(weights, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ConfigError(f"--weights {weights}: {error.strerror or one_line(str(error))}") from error
    except ConfigError:
        raise
    except Exception as error:  # torch documents no exceptions for files that are not checkpoints
        raise ConfigError(f"--weights {weights}: {_why_not_loaded(error)}") from error
    found = find_state_dict(saved)
    if found is None:
        raise ConfigError(f"--weights {weights}: must be a state dict, or a best.pt that holds one as 'state_dict'")
    return found


def _why_not_loaded(error: Exception) -> str:
    """Pickles of whole models may run any code, so torch loads only tensors and plain values."""
    found = re.search(r"Unsupported (?:global|class|operand|type).*?([\w.]+\.[\w.]+) ", str(error))
    if not found:
        return NO_CHECKPOINT
    return f"{NO_CHECKPOINT}: it holds a Python object ({found[1]}), which may run code; {SAVE_STATE_DICT}"


def _imagenet() -> StateDict:
    source, cache = MobileNet_V3_Small_Weights.IMAGENET1K_V1, imagenet_file()
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_SECONDS)  # torch.hub would wait for ever
    try:
        return dict(source.get_state_dict(progress=False, check_hash=True))
    except Exception as error:  # no network, a proxy's answer, a broken download: all end the same way
        raise ConfigError(
            f"the ImageNet weights are not in {cache} and cannot be downloaded ({one_line(str(error))}); "
            f"put {source.url} into {cache.parent}, or choose --weights none or --weights PATH"
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _load(model: nn.Module, state: StateDict, *, keep_head: bool, source: str) -> list[str]:
    """Put the weights into the model, as float32. Returns remarks."""
    own = model.state_dict()
    body = {k: v for k, v in state.items() if keep_head or not k.startswith(HEAD)}
    needed = [k for k in own if not k.startswith(HEAD) and not k.endswith("num_batches_tracked")]
    missing = [k for k in needed if k not in body]
    wrong = [k for k, v in body.items() if k not in own or not _fits(v, own[k])]
    if missing or wrong:
        trouble = f"lacks {missing[0]!r}" if missing else f"does not fit at {wrong[0]!r}"
        other = resembles(state)
        looks = f"; it looks like {other}" if other else ""
        raise ConfigError(f"--weights {source}: not a MobileNetV3-Small state dict ({trouble}){looks}")
    kinds = sorted({str(v.dtype).removeprefix("torch.") for k, v in body.items() if v.dtype != own[k].dtype})
    body = {k: v.to(own[k].dtype) for k, v in body.items()}
    for name, value in body.items():
        if not value.isfinite().all():
            odd = "nan" if value.isnan().any() else "inf"
            raise ConfigError(f"--weights {source}: holds values that are not numbers at {name!r} ({odd})")
    model.load_state_dict(body, strict=False)
    remarks = [f"weights: converted from {' and '.join(kinds)} to float32"] if kinds else []
    if keep_head or f"{HEAD}bias" not in state or source == "imagenet":  # whose classes nobody expects to stay
        return remarks
    have, want = state[f"{HEAD}bias"].numel(), own[f"{HEAD}bias"].numel()
    return [*remarks, f"weights: their head of {have} classes is dropped for a new one of {want}"]


def _fits(value: Tensor, own: Tensor) -> bool:
    return value.shape == own.shape and not value.is_quantized and value.is_floating_point() == own.is_floating_point()

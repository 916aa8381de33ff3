"""What trains in each stage, and where the network is cut between what is frozen and what is not (runbook section 4).

| stage | trains                      | enters what trains                                            |
|-------|-----------------------------|---------------------------------------------------------------|
| 1     | head                        | the 1024 numbers that go into the head's dropout              |
| 2     | `features[-2:]` and head    | the 96 x 5 x 5 activations that go into `features[-2:]`       |
| 3     | everything                  | the normalised pixels                                         |
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trainable.base.config import IMAGE_SIZE, TrainConfig
from trainable.network.model import HEAD
from trainable.network.tiled.layers import layers_of
from trainable.network.tiled.step import tiled_features

HEAD_INPUTS = 1024
TRUNK_SHAPE = (96, IMAGE_SIZE // 32, IMAGE_SIZE // 32)
LEAST_FROZEN_ROWS = 64
"""Kernels are chosen by the batch size; from here on they give an image the same numbers in every batch."""


def set_stage(model: nn.Module, stage: int) -> None:
    """Freeze and unfreeze: stage 1 trains the head, 2 `features[-2:]` and the head, 3 everything."""
    for parameter in model.parameters():
        parameter.requires_grad_(stage == 3)
    for module in (*(_features(model)[-2:] if stage >= 2 else ()), _head(model)):
        for parameter in module.parameters():
            parameter.requires_grad_(True)


def train_mode(model: nn.Module, stage: int) -> None:
    """What trains is in train mode; frozen layers stay in eval mode, so their BatchNorm statistics do not move.
    Dropout is active in every stage."""
    model.train(stage == 3)
    for module in (*(_features(model)[-2:] if stage >= 2 else ()), _classifier(model)):
        module.train()


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW over what the stage trains: the head at `lr_head`, the rest at `lr_backbone`."""
    head = list(_head(model).parameters())
    known = {id(parameter) for parameter in head}
    body = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
    groups: list[dict[str, Any]] = [{"params": head, "lr": config.lr_head}]
    if body:
        groups.append({"params": body, "lr": config.lr_backbone})
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay, fused=True)


def set_rates(optimizer: torch.optim.Optimizer, head: float, rest: float | None) -> None:
    """The learning rates of the next steps, for one of `make_optimizer`."""
    for group, rate in zip(optimizer.param_groups, (head, rest), strict=False):  # stage 1 has the head's group only
        group["lr"] = rate


class StageBoundary:
    """A model cut at the boundary of its stage: `live(frozen(x))` is `model(x)`.

    The cut is there whether frozen outputs are stored or computed every time, so both give the same numbers.
    """

    def __init__(self, model: nn.Module, stage: int) -> None:
        self.model, self.stage = model, stage

    @torch.no_grad()
    def before(self, x: Tensor) -> Tensor:
        """Normalised pixels to the boundary: (b, 1024) in stage 1, (b, 96, 5, 5) in stage 2, `x` itself in stage 3.

        The network never sees fewer than 64 images: a smaller batch is padded, and the padding dropped.
        """
        if self.stage == 3:
            return x
        padded = _pad(x)
        trunk = _features(self.model)[:-2](padded)
        return (self._top(trunk) if self.stage == 1 else trunk)[: len(x)]

    @torch.no_grad()
    def from_trunk(self, trunk: Tensor) -> Tensor:
        """Stage 1's boundary from stage 2's."""
        return self._top(_pad(trunk))[: len(trunk)]

    def after(self, x: Tensor) -> Tensor:
        """From the boundary to logits (b, classes). Stage 1 drops out `x` in place."""
        if self.stage > 1:
            maps = self._maps(x) if self.stage == 3 else _features(self.model)[-2:](x)
            x = _classifier(self.model)[:2](self.model.get_submodule("avgpool")(maps).flatten(1))
        out: Tensor = _classifier(self.model)[2:](x)
        return out

    def _maps(self, x: Tensor) -> Tensor:
        """What all of `features` make of pixels."""
        features = _features(self.model)
        if self.model.training and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            return tiled_features(layers_of(features), x)
        maps: Tensor = features(x)
        return maps

    def frozen_modules(self) -> list[nn.Module]:
        """What `frozen` runs."""
        if self.stage == 3:
            return []
        return [_features(self.model)[:-2]] if self.stage == 2 else [_features(self.model), _classifier(self.model)[:1]]

    def _top(self, trunk: Tensor) -> Tensor:
        pooled = self.model.get_submodule("avgpool")(_features(self.model)[-2:](trunk)).flatten(1)
        out: Tensor = _classifier(self.model)[:2](pooled)
        return out


def _pad(x: Tensor) -> Tensor:
    if len(x) >= LEAST_FROZEN_ROWS:
        return x
    rest = x.new_zeros((LEAST_FROZEN_ROWS - len(x), *x.shape[1:]))
    return torch.cat([x, rest]).contiguous(memory_format=torch.channels_last)


def _head(model: nn.Module) -> nn.Module:
    return model.get_submodule(HEAD.rstrip("."))


def _features(model: nn.Module) -> nn.Sequential:
    features = model.get_submodule("features")
    assert isinstance(features, nn.Sequential)
    return features


def _classifier(model: nn.Module) -> nn.Sequential:
    classifier = model.get_submodule("classifier")
    assert isinstance(classifier, nn.Sequential)
    return classifier

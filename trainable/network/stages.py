"""What trains in each stage, and where the network is cut between what is frozen and what is not (runbook section 4).

| stage | trains                      | enters what trains                                            |
|-------|-----------------------------|---------------------------------------------------------------|
| 1     | head                        | the 1024 numbers that go into the head's dropout              |
| 2     | `features[-2:]` and head    | the 96 x 5 x 5 activations that go into `features[-2:]`       |
| 3     | everything                  | the normalised pixels                                         |
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from trainable.base.config import IMAGE_SIZE, TrainConfig
from trainable.network.model import HEAD
from trainable.network.tiled.layers import layers_of
from trainable.network.tiled.linear import tiled_linear
from trainable.network.tiled.step import tiled_features
from trainable.pieces.images import image_by_image

HEAD_INPUTS = 1024
TRUNK_SHAPE = (96, IMAGE_SIZE // 32, IMAGE_SIZE // 32)


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
    """A model cut at the boundary of its stage: `after(before(x))` is `model(x)`.

    The cut is there whether frozen outputs are stored or computed every time, so both give the same numbers. On a CPU
    no number depends on how many threads there are, nor, unless layers train, on which images share a batch.
    """

    def __init__(self, model: nn.Module, stage: int) -> None:
        self.model, self.stage = model, stage

    @torch.no_grad()
    def before(self, x: Tensor) -> Tensor:
        """Normalised pixels to the boundary: (b, 1024) in stage 1, (b, 96, 5, 5) in stage 2, `x` itself in stage 3."""
        return x if self.stage == 3 else image_by_image(self.frozen, x.device, x)

    def frozen(self, x: Tensor) -> Tensor:
        """`before` for as many images as are to go through the layers together."""
        trunk = _features(self.model)[:-2](x)
        return self.top(trunk) if self.stage == 1 else trunk

    def top(self, trunk: Tensor) -> Tensor:
        """Stage 1's boundary from stage 2's, as `frozen`."""
        pooled = self._pooled(_features(self.model)[-2:](trunk))
        out: Tensor = _classifier(self.model)[:2](pooled)
        return out

    def after(self, x: Tensor) -> Tensor:
        """From the boundary to logits (b, classes). In training, stage 1 drops out `x` in place."""
        if x.device.type == "cpu" and not _classifier(self.model).training:
            return image_by_image(self._live, x.device, x)
        return self._live(x)

    def _live(self, x: Tensor) -> Tensor:
        if self.stage > 1:
            x = self._head_inputs(x)
        out: Tensor = _classifier(self.model)[2:](x)
        return out

    def _head_inputs(self, x: Tensor) -> Tensor:
        live = _features(self.model)[-2:] if self.stage == 2 else _features(self.model)
        classifier = _classifier(self.model)
        if x.device.type == "cpu" and classifier.training and not torch.is_autocast_enabled("cpu"):
            first = classifier[0]
            assert isinstance(first, nn.Linear)
            return cast(Tensor, classifier[1](tiled_linear(first, tiled_features(layers_of(live), x))))
        return cast(Tensor, classifier[:2](self._pooled(live(x))))

    def _pooled(self, maps: Tensor) -> Tensor:
        pooled: Tensor = self.model.get_submodule("avgpool")(maps)
        return pooled.flatten(1)

    def frozen_modules(self) -> list[nn.Module]:
        """What `frozen` runs."""
        if self.stage == 3:
            return []
        return [_features(self.model)[:-2]] if self.stage == 2 else [_features(self.model), _classifier(self.model)[:1]]


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

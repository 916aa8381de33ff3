"""A network with everything that trains it: optimizer, gradient scaler, CUDA graphs, and the stage it is in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from trainable.base.config import TrainConfig
from trainable.network.compute import Compute
from trainable.network.graphs import StepGraphs
from trainable.network.model import build_model
from trainable.network.stages import StageBoundary, make_optimizer, set_rates, set_stage, train_mode


class Network:
    """MobileNetV3-Small in one of the three stages of training (runbook section 4).

    It begins in no stage: `enter_stage` comes before the first training step.

    Args:
        config: weights, rates and weight decay.
        classes: the outputs' names.
        compute: where the network lives and in which precision it runs.
        weights: see `build_model`.

    Raises:
        ConfigError: the weights are missing, or do not fit.
    """

    optimizer: torch.optim.AdamW

    def __init__(self, config: TrainConfig, classes: list[str], compute: Compute, weights: str | None = None) -> None:
        model, self.remarks = build_model(config, classes, weights)
        self.model = model.to(compute.device)
        self.config, self.device = config, compute.device
        self.scaler = compute.scaler()
        self.graphs: StepGraphs | None = None
        self.stage = 0

    def enter_stage(self, stage: int, *, use_graphs: bool) -> None:
        """Freeze and unfreeze layers, with a new optimizer. Nothing changes where the network is in `stage` already.

        Args:
            use_graphs: whether steps on a CUDA device may be captured as graphs.
        """
        if stage != self.stage:
            self._begin_stage(stage, use_graphs)

    def _begin_stage(self, stage: int, use_graphs: bool) -> None:
        self.stage = stage
        set_stage(self.model, stage)
        self.optimizer = make_optimizer(self.model, self.config)
        self.graphs = None
        if use_graphs and self.device.type == "cuda":
            trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
            self.graphs = StepGraphs(self.device, trained)

    def train_mode(self, lr_head: float, lr_backbone: float | None) -> None:
        """Make the network ready for training steps of its stage, at these learning rates."""
        train_mode(self.model, self.stage)
        set_rates(self.optimizer, lr_head, lr_backbone)

    def boundary(self, stage: int | None = None) -> StageBoundary:
        """The boundary between frozen layers and layers that train; of the present stage unless told another."""
        return StageBoundary(self.model, self.stage if stage is None else stage)

    def weights(self) -> dict[str, Tensor]:
        """A copy of all parameters and statistics, on the CPU."""
        return {name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()}

    def drop_graphs(self) -> None:
        """Free the device memory that the captured graphs keep. Later steps of this stage run without graphs."""
        self.graphs = None

    def to_checkpoint(self) -> dict[str, Any]:
        """The network's part of a checkpoint: `stage`, `model`, `optimizer`, `scaler`."""
        return {
            "stage": self.stage,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_checkpoint(self, saved: Mapping[str, Any], *, use_graphs: bool) -> None:
        """Go on from what `to_checkpoint` gave; `use_graphs` as in `enter_stage`."""
        self.model.load_state_dict(saved["model"])
        self._begin_stage(saved["stage"], use_graphs)
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"] or self.scaler.state_dict())  # a run on a CPU saves none

"""A finetune that nothing disturbed: what others must end like."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import CPU, finetune, spec_of, tables_of, write_weights

from trainable.base.config import TrainConfig
from trainable.run.trainer import Trainer


@pytest.fixture(scope="module")
def weights(shared_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "w.pt", tables_of(shared_project)["train"])


@pytest.fixture(scope="module")
def config(weights: Path) -> TrainConfig:
    return finetune(weights)


@pytest.fixture(scope="module")
def whole(shared_project: Path, config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finetune of four epochs that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "finetune_M1_160"
    Trainer(spec_of(shared_project, out, config), CPU).run()
    return out

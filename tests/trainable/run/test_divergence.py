"""A training whose loss is no number fails, and says at which epoch and what to try."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import CPU, finetune, probe, spec_of, tables_of, write_weights

from trainable.base.errors import Diverged, Failure
from trainable.base.files import read_json
from trainable.run.divergence import check_losses
from trainable.run.loop import Passes, PassResult, evaluate, train_epoch
from trainable.run.trainer import Trainer


def trainer(root: Path, out: Path, passes: Passes | None = None, **changes: Any) -> Trainer:
    weights = write_weights(out.parent / "weights.pt", tables_of(root)["train"])
    return Trainer(spec_of(root, out, finetune(weights, **changes)), CPU, passes=passes)


def test_a_learning_rate_that_is_far_too_large(shared_project: Path, tmp_path: Path) -> None:
    run = trainer(shared_project, tmp_path / "run", lr_head=1e30, lr_backbone=1e30)
    with pytest.raises(Diverged, match=r"loss of epoch \d is (nan|inf): try smaller learning rates \(lr_head 1e\+30, "):
        run.run()
    assert not (tmp_path / "run" / "best.pt").exists()
    assert not (tmp_path / "run" / "manifest.json").exists()


@pytest.mark.parametrize("epoch", [1, 2, 4])
@pytest.mark.parametrize("part", ["train", "evaluate"])
@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_the_epochs_before_stay(epoch: int, part: str, loss: float, shared_project: Path, tmp_path: Path) -> None:
    """A loss that stops being a number in a given epoch, which no learning rate can be found for."""
    passed = {"train": 0, "evaluate": 0}

    def broken(name: str, real: Any) -> Any:
        def go(*arguments: Any, **options: Any) -> PassResult:
            result: PassResult = real(*arguments, **options)
            passed[name] += 1
            return replace(result, loss=loss) if (name, passed[name]) == (part, epoch) else result

        return go

    passes = Passes(broken("train", train_epoch), broken("evaluate", evaluate))
    run = trainer(shared_project, tmp_path / "run", passes)
    with pytest.raises(Diverged, match=f"loss of epoch {epoch} is"):
        run.run()
    note = read_json(run.paths.checkpoint_note)
    assert (note["epoch"] if note else 0) == epoch - 1


def test_statistics_that_are_no_numbers_reach_the_validation_loss(shared_project: Path, tmp_path: Path) -> None:
    """BatchNorm uses them in evaluation only: in stage 3 a training loss would never show them."""
    run = trainer(shared_project, tmp_path / "run")
    for _ in range(3):
        run.step()
    for module in run.network.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            module.running_mean.fill_(math.nan)
    with pytest.raises(Diverged, match="the validation loss of epoch 4 is nan"):
        run.step()


def test_finite_losses_pass() -> None:
    check_losses(1, 0.0, 1e30, probe())


def test_trying_again_is_useless() -> None:
    assert Failure.of(Diverged("x")).final
    assert not Failure.of(RuntimeError("x")).final

"""Whole runs whose device has no room, or whose workers die, on the way."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import CPU, best_weights, finetune, history, probe, read_rows, same_weights, spec_of
from torch import Tensor
from twins import assert_same, manifest

from trainable.base.config import TrainConfig
from trainable.base.errors import ExperimentError
from trainable.feed.plain import FaceImages
from trainable.network.compute import Compute
from trainable.run.loop import Passes, PassResult, evaluate, train_epoch
from trainable.run.trainer import Trainer


class Memory:
    """A training pass on a device with room for `room` images of a batch from epoch `since` on.

    There is no GPU where these tests run, so its error is raised by hand: instead of an epoch, or after one was
    trained in vain (the weights have moved by then).
    """

    def __init__(self, room: int, since: int = 0, *, late: bool = False) -> None:
        self.room, self.since, self.late = room, since, late

    def __call__(
        self, forward: Any, inputs: Any, epoch: int, optimizer: Any, scaler: Any, compute: Compute, *rest: Any
    ) -> PassResult:
        enough = (compute.micro_batch or inputs.batch) <= self.room or epoch < self.since
        if self.late or enough:
            result = train_epoch(forward, inputs, epoch, optimizer, scaler, compute, *rest)
        if not enough:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return result


def failing_once(error: Exception) -> Passes:
    """A training pass that raises `error` the first time."""
    errors = [error]

    def once(*args: Any) -> PassResult:
        if errors:
            raise errors.pop()
        return train_epoch(*args)

    return Passes(train=once)


def test_out_of_memory_halves_the_micro_batch_until_it_fits(
    shared_project: Path, weights: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    spec = spec_of(shared_project, tmp_path / "out", finetune(weights, batch=18))
    Trainer(spec, CPU, passes=Passes(train=Memory(5, since=2)), log=told.append).run()
    assert [row["micro_batch"] for row in history(spec.out)] == ["18", "18", "5", "5"]
    found = manifest(spec.out)
    assert found["micro_batch"] == 5
    assert [line.split(": ")[0] for line in found["fallbacks"]] == ["out of device memory in epoch 3"] * 2
    assert "micro-batches of 9;" in found["fallbacks"][0]
    assert "micro-batches of 5;" in found["fallbacks"][1]
    assert all("not strictly comparable" in line and line in told for line in found["fallbacks"])


@pytest.mark.parametrize("since", [0, 1])
def test_an_epoch_that_ran_out_of_memory_late_starts_over(
    shared_project: Path, weights: Path, tmp_path: Path, since: int
) -> None:
    """The failed epoch leaves no trace in the weights, in the first epoch and in a later one, and over a resume."""
    specs = [spec_of(shared_project, tmp_path / name, probe(weights, epochs=3)) for name in ("early", "late")]
    for spec, late in zip(specs, (False, True), strict=True):
        run = Trainer(spec, CPU, passes=Passes(train=Memory(4, since, late=late)))
        for _ in range(2):
            run.step()
        Trainer(spec, CPU).run()
        assert [row["micro_batch"] for row in history(spec.out)] == ["8"] * since + ["4"] * (3 - since)
        assert len(manifest(spec.out)["fallbacks"]) == 1
    assert_same(*(spec.out for spec in specs))


def test_out_of_memory_in_the_test_changes_no_result(
    shared_project: Path, config: TrainConfig, whole: Path, tmp_path: Path
) -> None:
    """By hand as above; of the three parts only test has nine images."""

    def cramped(forward: Any, inputs: Any, compute: Compute) -> PassResult:
        if len(inputs) == 9 and compute.micro_batch is None:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return evaluate(forward, inputs, compute)

    spec = spec_of(shared_project, tmp_path / "finetune_M1_160", config)
    Trainer(spec, CPU, passes=Passes(evaluate=cramped)).run()
    (told,) = manifest(spec.out)["fallbacks"]
    assert told.startswith("out of device memory in the test: ")
    assert "not strictly comparable" not in told
    assert [row["pred"] for row in read_rows(spec.out / "test_preds.csv")] == [
        row["pred"] for row in read_rows(whole / "test_preds.csv")
    ]
    assert same_weights(best_weights(spec.out), best_weights(whole))
    assert history(spec.out) == history(whole)


def test_no_memory_for_one_image_is_the_end(shared_project: Path, tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="even with one image"):
        Trainer(spec_of(shared_project, tmp_path / "out", probe()), CPU, passes=Passes(train=Memory(0))).run()


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    ],
)
def test_libraries_that_run_out_of_memory_count_too(shared_project: Path, tmp_path: Path, text: str) -> None:
    passes = failing_once(RuntimeError(text))
    run = Trainer(spec_of(shared_project, tmp_path / "out", probe()), CPU, passes=passes)
    assert run.step()["micro_batch"] == 4


def test_rows_leave_the_device_before_the_micro_batch_is_halved(
    shared_project: Path, weights: Path, tmp_path: Path
) -> None:
    """The "device" is this CPU, which is said to have memory for rows. The numbers stay those of whole batches."""
    specs = [spec_of(shared_project, tmp_path / name, finetune(weights)) for name in ("kept", "streamed")]

    def cramped(forward: Any, inputs: Any, epoch: int, *rest: Any) -> PassResult:
        if epoch == 2 and inputs.resident is not None:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return train_epoch(forward, inputs, epoch, *rest)

    runs = [Trainer(specs[0], CPU), Trainer(specs[1], CPU, passes=Passes(train=cramped))]
    for run in runs:
        run.supply.free_memory = lambda device: 2**40
        run.run()
    (told,) = manifest(specs[1].out)["fallbacks"]
    assert told == "out of device memory in epoch 3: rows stay in main memory; the numbers are the same"
    assert {row["micro_batch"] for row in history(specs[1].out)} == {"8"}
    assert_same(*(spec.out for spec in specs))


@dataclass(frozen=True)
class ScalingCpu(Compute):
    """A CPU whose gradients are scaled as on a GPU under AMP, so that these tests see a scaler at work."""

    first_scale: float = 65536.0

    def scaler(self) -> torch.amp.GradScaler:
        return torch.amp.GradScaler("cpu", init_scale=self.first_scale)


SCALING = ScalingCpu(torch.device("cpu"), amp=False)


def test_a_run_begun_on_a_cpu_goes_on_where_gradients_are_scaled(shared_project: Path, tmp_path: Path) -> None:
    spec = spec_of(shared_project, tmp_path / "out", probe())
    Trainer(spec, CPU).step()
    run = Trainer(spec, CPU, compute=SCALING)
    assert run.state.epoch == 1
    run.step()
    assert run.state_dict()["scaler"]["scale"] == 65536.0


def test_a_checkpoint_holds_the_scaler(shared_project: Path, tmp_path: Path) -> None:
    """Its scale, and its count of good steps, which decides when the scale grows."""
    spec = spec_of(shared_project, tmp_path / "out", probe())
    Trainer(spec, CPU, compute=replace(SCALING, first_scale=1024.0)).step()
    resumed = Trainer(spec, CPU, compute=SCALING).state_dict()["scaler"]
    assert (resumed["scale"], resumed["_growth_tracker"]) == (1024.0, 3)


@pytest.mark.parametrize("image", ["train_13.jpg", "val_02.jpg", "test_04.jpg"])
def test_killed_workers_are_halved_until_none_is_left(
    shared_project: Path,
    config: TrainConfig,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    image: str,
) -> None:
    """Workers that die of one image, as the kernel's memory killer ends them: no exception, no exit code.

    Patched where an image is read, since nothing in a CSV can kill a process.
    """
    read = FaceImages._item

    def deadly(self: FaceImages, content: bytes, index: int, mirrored: bool) -> tuple[Tensor, int, int]:
        if torch.utils.data.get_worker_info() is not None and self.files[index].name == image:
            os._exit(9)
        return read(self, content, index, mirrored)

    monkeypatch.setattr(FaceImages, "_item", deadly)
    spec = spec_of(shared_project, tmp_path / "finetune_M1_160", config)
    Trainer(spec, replace(CPU, workers=2, plain=True)).run()
    found = manifest(spec.out)
    ends = [line.rpartition("; ")[2] for line in found["fallbacks"]]
    assert ends == ["2 workers become 1", "1 workers become 0"]
    assert found["workers"] == 0
    assert_same(spec.out, whole)


def test_other_errors_are_not_taken_for_lost_workers(shared_project: Path, tmp_path: Path) -> None:
    """Raised by hand, since no input makes PyTorch raise one."""
    spec = spec_of(shared_project, tmp_path / "out", probe())
    passes = failing_once(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    run = Trainer(spec, replace(CPU, workers=2, plain=True), passes=passes)
    with pytest.raises(RuntimeError, match="mat1"):
        run.run()
    assert (run.state.fallbacks, run.supply.workers) == ([], 2)

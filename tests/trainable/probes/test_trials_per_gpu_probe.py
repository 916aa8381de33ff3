"""How many trials a GPU should run at once. What is measured is tried on the CPU; that it pays on a GPU is for
`benchmarks/gpu_check.sh`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_runs import finetune, probe, spec_of, tables_of, write_weights
from twins import cache_at, sized_project

from trainable.base.config import Job, Resources, TrainConfig, make_job
from trainable.probes.trials_per_gpu import LEAST_GAIN, MeasuredTrial, TrialProcesses, best_count, trials_per_gpu
from trainable.run.loop import Passes, PassResult, train_epoch


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sized_project(tmp_path_factory.mktemp("sharing") / "project", 24, 6, 3)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path) -> Iterator[Path]:
    with cache_at(tmp_path / "cache") as folder:
        yield folder


def trial_of(project: Path, out: Path, config: TrainConfig, **resources: object) -> Job:
    spec = spec_of(project, out, config)
    return make_job(spec, replace(Resources("cpu"), **resources), {})


@given(st.lists(st.floats(0.5, 2.0), min_size=6, max_size=6), st.floats(0.01, 0.6), st.integers(1, 40))
def test_each_doubling_fits_and_pays(gains: list[float], memory: float, most: int) -> None:
    """`gains` of each doubling; each trial takes `memory` of the room."""
    speeds, asked = {1: 1.0}, []
    for i, gain in enumerate(gains):
        speeds[2 ** (i + 1)] = speeds[2**i] * gain

    def measured(count: int) -> tuple[float, int]:
        asked.append(count)
        return speeds[count], int(count * memory * 1000)

    count = best_count(measured, 1000, most)
    assert count <= most and (count == 1 or measured(count)[1] <= 1000)
    doublings = [2**i for i in range(7) if 2**i < count]
    assert all(speeds[2 * n] >= LEAST_GAIN * speeds[n] for n in doublings)
    stops = 2 * count > most or 2 * int(count * memory * 1000) > 1000 or int(2 * count * memory * 1000) > 1000
    assert stops or speeds[2 * count] < LEAST_GAIN * speeds[count]


def test_what_does_not_fit_is_not_taken() -> None:
    """A process that ends with an error counts as no speed."""
    assert best_count(lambda count: (10.0, 1) if count == 1 else (0.0, 0), 100, 8) == 1


def test_a_measured_trial_repeats_its_last_epoch(project: Path, tmp_path: Path) -> None:
    """Epochs of stage 3 with validation and checkpoint, one like the other: no history that grows."""
    config = finetune("none", epochs=5, batch=8)
    measured = MeasuredTrial(trial_of(project, tmp_path / "out", config))
    found = measured.measure(0.01)
    trainer = measured.trainer
    assert found["images_per_second"] > 0 and (found["free_before"], found["free"]) == (0, 0)
    assert measured.images == 24
    assert [(row["epoch"], row["stage"]) for row in trainer.history] == [(5, 3)]
    assert trainer.paths.checkpoint.is_file()


def test_a_measured_probe_trains_its_head(project: Path, tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "w.pt", tables_of(project)["train"])
    measured = MeasuredTrial(trial_of(project, tmp_path / "out", probe(weights)))
    assert [row["stage"] for row in measured.trainer.history] == [1]


def test_a_trial_that_has_to_use_less_memory_has_no_room(project: Path, tmp_path: Path) -> None:
    """Raised by hand, since a CPU's memory has no limit that a test could reach."""
    attempts: list[int] = []

    def short(*args: Any) -> PassResult:
        attempts.append(1)
        if len(attempts) == 1:
            raise torch.OutOfMemoryError
        return train_epoch(*args)

    trial = trial_of(project, tmp_path / "out", finetune("none", epochs=3, batch=8))
    with pytest.raises(RuntimeError, match="out of device memory"):
        MeasuredTrial(trial, Passes(train=short))


def test_processes_are_used_again_for_larger_numbers(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    trial = trial_of(project, out, finetune("none", epochs=3, batch=8))
    with TrialProcesses(trial, ahead=1, seconds=0.1) as processes:
        (alone, memory), first = processes.measure(1), processes.processes[0].pid
        assert alone > 0 and memory == 1
        both, _ = processes.measure(2)
        assert (
            both > 0 and [first] == [member.pid for member in processes.processes[:1]] and len(processes.processes) == 2
        )
        assert sorted(path.name for path in processes.folder.iterdir()) == ["0", "1"], "a folder each"
        processes.processes[1].kill()
        assert processes.measure(2) == (0.0, 0), "one that has ended gives no answer"
        assert processes.measure(1)[0] > 0, "the other goes on"
        started, folder = list(processes.processes), processes.folder
    assert all(member.returncode is not None for member in started)
    assert not folder.exists() and not out.exists(), "the trial's own folder is left alone"


def test_a_trial_that_cannot_start_has_no_speed(project: Path, tmp_path: Path) -> None:
    trial = trial_of(project, tmp_path / "out", finetune(tmp_path / "absent.pt", epochs=3))
    with TrialProcesses(trial, ahead=1, seconds=0.1) as processes:
        assert processes.measure(1) == (0.0, 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="here there is a GPU to share")
def test_without_a_gpu_there_is_nothing_to_share(project: Path, tmp_path: Path) -> None:
    assert trials_per_gpu(trial_of(project, tmp_path / "out", finetune("none")), 8) == 1

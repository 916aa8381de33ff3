"""A run goes on on GPUs of the type that it began on, also in the next command."""

from __future__ import annotations

from pathlib import Path

from orchestrator.execution.accelerators import Accelerators
from trainable.run.history import TrialHistory


def remembered(folder: Path) -> Accelerators:
    return Accelerators(folder / "accelerators.json", lambda name: Path("/runs") / name)


def test_the_type_outlives_the_command_and_not_the_run(tmp_path: Path) -> None:
    first = remembered(tmp_path)
    for name, kind in (("한국어", "A10G"), ("b", "T4"), ("c", ""), ("b", "A10G")):
        first.epoch(name, {"accelerator": kind} if kind else {})
    again = remembered(tmp_path)
    assert [again.of(name) for name in ("한국어", "b", "c", "d")] == ["A10G", "A10G", "", ""]
    again.epoch("b", {"accelerator": "A10G"})
    again.finished("b")
    again.finished("faceapi_M1")  # an evaluation, which has no run folder
    first = remembered(tmp_path)
    assert [first.of("한국어"), first.of("b")] == ["A10G", ""]
    first.epoch("한국어", {"accelerator": "A10G"})
    first.stopped("한국어", "pruned", TrialHistory.of_rows([]))
    assert remembered(tmp_path).of("한국어") == ""

"""The rows that look at memory, on a small project: they run, and say what they should."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.execution.allocation import BYTES_PER_IMAGE

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def measured(
    shared_project: Path, tmp_path: Path, python: Callable[..., list[str]]
) -> Callable[[str, int], dict[str, Any]]:
    def run(what: str, batch: int) -> dict[str, Any]:
        command = python("-m", "benchmarks.steps", what, shared_project, "none", batch)
        environment = {**os.environ, "EMOSWEEP_CACHE": str(tmp_path / "cache")}
        done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, timeout=300)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return run


def test_larger_batches_have_higher_peaks(measured: Callable[[str, int], dict[str, Any]]) -> None:
    """By about what trials ask the cluster for."""
    small, large = (measured("peak", batch)["bytes"] for batch in (2, 66))
    assert BYTES_PER_IMAGE / 2 < (large - small) / 64 < 1.25 * BYTES_PER_IMAGE


@pytest.mark.ray
def test_a_second_trial_in_a_process_of_its_own_adds_little(measured: Callable[[str, int], dict[str, Any]]) -> None:
    found = measured("memory", 4)
    assert found["first"] > found["mib"][0], "who comes first computes the features"
    assert found["mib"][0] < 50

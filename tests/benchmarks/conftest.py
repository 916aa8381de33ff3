"""Rows of `benchmarks.steps`, measured in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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

"""The runbook's own evaluation (its section 8, byte for byte in runbook_section8.sh) runs on what we leave."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from by_hand import FACEAPI, RUNS, write_faceapi

SNIPPET = Path(__file__).parent / "runbook_section8.sh"

LINES = [
    "M1 Probe        val_macroF1=0.1111  test_macroF1=0.1222",
    "M1 Finetune     val_macroF1=0.2111  test_macroF1=0.2223",
    "M2 Probe        val_macroF1=0.3111  test_macroF1=0.3222",
    "M2 Finetune     val_macroF1=0.4111  test_macroF1=0.4222",
    "K7 Finetune     val_macroF1=0.5111  test_macroF1=0.5222",
    "FaceAPI M1: matched Top-1 Acc = 50.00% (coverage 50.00%)",
    "FaceAPI M2: matched Top-1 Acc = 100.00% (coverage 33.33%)",
]


@pytest.fixture
def path_with_python(tmp_path: Path) -> str:
    """The snippet calls `python`, which a machine may not have by that name."""
    shim = tmp_path / "bin" / "python"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    return f"{shim.parent}{os.pathsep}{os.environ['PATH']}"


def run(root: Path, path: str) -> list[str]:
    done = subprocess.run(
        ["bash", str(SNIPPET)],
        cwd=root, env={**os.environ, "PATH": path}, capture_output=True, text=True, encoding="utf-8", timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_all_seven_lines(seven: Path, path_with_python: str) -> None:
    assert run(seven, path_with_python) == LINES


def test_what_did_not_run_is_left_out(seven: Path, path_with_python: str) -> None:
    shutil.rmtree(seven / RUNS / "finetune_K7_160")
    (seven / FACEAPI / "faceapi_M2_eval.csv").unlink()
    assert run(seven, path_with_python) == [line for line in LINES if "K7" not in line and "FaceAPI M2" not in line]


def test_a_split_without_a_match(seven: Path, path_with_python: str) -> None:
    write_faceapi(seven, "M1", [("a.jpg", "sad", "", 0, 0, 0, 0)])
    assert "FaceAPI M1: matched Top-1 Acc = 0.00% (coverage 0.00%)" in run(seven, path_with_python)

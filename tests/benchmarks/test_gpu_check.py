"""The GPU checks, tried on the CPU as they will run on a GPU machine: without Ray, Arrow and the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MISSING = ("pyarrow", "ray", "sklearn", "cyclopts", "pydantic", "pandas")
BLOCKER = f"""
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {MISSING} else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Without, sys.meta_path)
"""
BREAK = """
import sys
from benchmarks import gpu_check
from benchmarks.gpu_rows.common import Row

def broken(setup):
    raise RuntimeError("no kernel image")

gpu_check.CHECKS["filling"] = broken
gpu_check.CHECKS["throughput"] = lambda setup: [Row("resident to the limit", 0.5, "ratio", "", ">= 0.95", False)]
sys.exit(gpu_check.main())
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a Python in which `MISSING` cannot be imported."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(BLOCKER, encoding="utf-8")
    path = os.pathsep.join((str(folder), str(ROOT)))
    return {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def run(bare: dict[str, str], *command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), env=bare, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", MISSING)
def test_the_blocker_blocks(bare: dict[str, str], name: str) -> None:
    assert f"No module named '{name}'" in run(bare, sys.executable, "-c", f"import {name}").stderr


@pytest.mark.nightly
def test_every_check_runs_on_a_bare_machine(bare: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "rows.json"
    done = run(bare, "bash", "benchmarks/gpu_check.sh", "--quick", "--device", "cpu", "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text(encoding="utf-8"))
    assert (found["device"], found["cuda"], found["quick"]) == ("cpu", None, True)
    rows = found["rows"]
    checks = dict.fromkeys(row["check"] for row in rows)
    assert list(checks) == ["sameness", "learning", "memory", "throughput", "filling", "runs", "sharing", "compiled"]
    assert {row["passed"] for row in rows} == {True, None}
    exact = [row["value"] for row in rows if row["check"] == "sameness" and "skipped" not in str(row["value"])]
    assert exact == [0.0] * 8, "on a CPU both paths give the same bits"
    (fits,) = (row for row in rows if row["name"].startswith("micro-batch of"))
    assert fits["value"] == 4
    needs_cuda = {row["check"] for row in rows if row["value"] == "skipped: no CUDA"}
    assert needs_cuda == {"sameness", "learning", "memory", "compiled"}
    assert all(row["name"] in done.stdout for row in rows)


def test_a_missed_target_and_a_broken_check_are_failures(bare: dict[str, str], tmp_path: Path) -> None:
    """The check after the broken one still runs."""
    options = ("--quick", "--device", "cpu", "--only", "filling", "throughput", "--out", tmp_path / "rows.json")
    done = run(bare, sys.executable, "-c", BREAK, *options)
    assert done.returncode == 1
    assert "RuntimeError: no kernel image" in done.stdout
    assert [row["passed"] for row in json.loads((tmp_path / "rows.json").read_text())["rows"]] == [False, False]

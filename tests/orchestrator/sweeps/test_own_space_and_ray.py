"""Planning a sweep imports Ray before a run starts it; it has to find its environment then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.planning.ray_environment import _ENVIRONMENT

SPACE = """from ray import tune
space = {"lr_head": tune.loguniform(1e-4, 1e-2)}
"""
READ_THE_FILE = """
from orchestrator.sweeps.user_space import load_space
load_space(sys.argv[1])
"""
PLAN_IT = """
from orchestrator.sweeps.configurations import plan_spaces
from orchestrator.sweeps.options import SweepOptions
from trainable.base.config import TrainConfig
assert "ray" not in sys.modules
plan_spaces({"probe_M1": TrainConfig("probe", 5, 7e-4)}, SweepOptions(sys.argv[1]))
"""
START = """
from pathlib import Path
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.session import ray_executor
assert "ray" in sys.modules
with ray_executor(Path(sys.argv[2])) as running:
    cpus = running.connect(Hardware(num_cpus=1), print).cpus
print("cpus:", cpus)
"""


WATCH = """
import json, os, sys
class Watch:
    def find_spec(self, name, *rest):
        if name == "ray":
            print(json.dumps(dict(os.environ)))
sys.meta_path.insert(0, Watch())
"""
WAYS = pytest.mark.parametrize(
    ("code", "space"),
    [
        pytest.param(READ_THE_FILE, "my_space.py:space", id="reading a file"),
        pytest.param(PLAN_IT, "my_space.py:space", id="planning a file"),
        pytest.param(PLAN_IT, "lr", id="planning a built-in space"),
    ],
)


def run(code: str, space: str, folder: Path) -> str:
    """What the code prints in a process of its own, since this one has imported Ray, and without its settings."""
    (folder / "my_space.py").write_text(SPACE, encoding="utf-8")
    name = space.replace("my_space.py", str(folder / "my_space.py"))
    bare = {name: value for name, value in os.environ.items() if name not in _ENVIRONMENT}
    line = [sys.executable, "-c", "import sys\n" + code, name, str(folder / "logs")]
    return subprocess.run(line, env=bare, capture_output=True, text=True, timeout=600, check=True).stdout


@WAYS
def test_a_space_that_imports_ray_finds_its_environment(code: str, space: str, tmp_path: Path) -> None:
    """Ray takes its authentication from it at import: set too late, its own processes refuse each other."""
    found = json.loads(run(WATCH + code, space, tmp_path))
    assert {name: found.get(name) for name in _ENVIRONMENT} == _ENVIRONMENT


@pytest.mark.ray
@pytest.mark.nightly  # what it depends on is in the test above
@WAYS
def test_ray_starts_after_a_space_has_imported_it(code: str, space: str, tmp_path: Path) -> None:
    assert run(code + START, space, tmp_path) == "cpus: 1\n"

"""Planning a sweep imports Ray before a run starts it; it has to find its environment then."""

from __future__ import annotations

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
from orchestrator.execution.session import ray_executor
assert "ray" in sys.modules
with ray_executor(Path(sys.argv[2])) as running:
    cpus = running.connect(1).cpus
print("cpus:", cpus)
"""


@pytest.mark.ray
@pytest.mark.parametrize(
    ("code", "space"),
    [(READ_THE_FILE, "my_space.py:space"), (PLAN_IT, "my_space.py:space"), (PLAN_IT, "lr")],
    ids=["reading a file", "planning a file", "planning a built-in space"],
)
def test_ray_starts_after_a_space_has_imported_it(code: str, space: str, tmp_path: Path) -> None:
    """Ray takes its authentication from the environment at import: set too late, its own processes refuse each other.

    The code runs in a process of its own, since this one has imported Ray, and without this process's settings.
    """
    (tmp_path / "my_space.py").write_text(SPACE, encoding="utf-8")
    name = space.replace("my_space.py", str(tmp_path / "my_space.py"))
    bare = {name: value for name, value in os.environ.items() if name not in _ENVIRONMENT}
    done = subprocess.run(
        [sys.executable, "-c", "import sys\n" + code + START, name, str(tmp_path / "logs")],
        env=bare, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "cpus: 1\n"), done.stderr

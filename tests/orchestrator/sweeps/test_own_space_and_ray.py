"""A user's space file imports Ray before we start it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from orchestrator.planning.ray_environment import _ENVIRONMENT

SPACE = """from ray import tune
space = {"lr_head": tune.loguniform(1e-4, 1e-2)}
"""
START = """
import sys
from pathlib import Path
from orchestrator.ray_session import session
from orchestrator.sweeps.user_space import load_space
load_space(sys.argv[1])
assert "ray" in sys.modules
with session(Path(sys.argv[2])) as running:
    cpus = running.connect(None, 1).cpus
print("cpus:", cpus)
"""


def test_ray_starts_after_a_space_of_ones_own_imported_it(tmp_path: Path) -> None:
    """Ray takes its authentication from the environment at import: set too late, its own processes refuse each other.
    In a process of its own, since this one has Ray imported, and without the settings that the tests run under."""
    (tmp_path / "my_space.py").write_text(SPACE, encoding="utf-8")
    bare = {name: value for name, value in os.environ.items() if name not in _ENVIRONMENT}
    done = subprocess.run(
        [sys.executable, "-c", START, f"{tmp_path / 'my_space.py'}:space", str(tmp_path / "logs")],
        env=bare, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "cpus: 1\n"), done.stderr

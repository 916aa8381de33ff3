"""What a process frees it keeps: with the C library's allocator, and with jemalloc."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from twins import sized_project

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from Linux's /proc")
SIZE = 160 * 2**20
LOOK = f"""
import json, sys
from pathlib import Path
import torch
from trainable.run.allocator import keep_freed_memory, uses_jemalloc

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if sys.argv[1] == "later":
    torch.ones({SIZE} // 40)  # 16 MiB: the arena of large blocks is in use already
if sys.argv[1] != "never":
    keep_freed_memory()
before = resident()
tensor = torch.ones({SIZE} // 4)
full = resident()
del tensor
freed = resident()
print(json.dumps([uses_jemalloc(), full - before, freed - before]))
"""


def look(way: str, preload: str | None) -> tuple[bool, list[float]]:
    """Whether it was jemalloc; resident bytes in use, and after they were freed, as parts of what was in use."""
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"} | (
        {"LD_PRELOAD": preload} if preload else {}
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", LOOK, way], cwd=root, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    jemalloc, *sizes = json.loads(done.stdout)
    return jemalloc, [size / SIZE for size in sizes]


def rays_jemalloc() -> str:
    spec = find_spec("ray")
    path = Path(spec.origin).parent / "core/libjemalloc.so" if spec and spec.origin else Path("none")
    if not path.is_file():
        pytest.skip("no jemalloc with Ray here")
    return str(path)


@pytest.mark.parametrize("way", ["early", "later"])
def test_jemalloc_keeps(way: str) -> None:
    jemalloc, (full, freed) = look(way, rays_jemalloc())
    assert jemalloc
    assert full > 0.8
    assert freed > 0.9 * full


@pytest.mark.skipif(
    "glibc" not in os.confstr("CS_GNU_LIBC_VERSION") if sys.platform == "linux" else True, reason="glibc's"
)
def test_the_c_librarys_keeps() -> None:
    jemalloc, (full, freed) = look("early", None)
    assert not jemalloc
    assert full > 0.9
    assert freed > 0.9 * full


def test_by_itself_it_does_not_keep() -> None:
    """Else the tests above would see nothing."""
    _, (full, freed) = look("never", None)
    assert full > 0.9
    assert freed < 0.2


RUN = """
import sys
from pathlib import Path
from small_runs import CPU, finetune, spec_of
from trainable.run.trainer import Trainer

Trainer(spec_of(Path(sys.argv[1]), Path(sys.argv[2]), finetune(epochs=3, batch=48)), CPU).run()
lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(int(lines["VmRSS"].split()[0]) / int(lines["VmHWM"].split()[0]))
"""


def test_the_next_trial_in_a_process_finds_the_memory_of_the_last_one(tmp_path: Path) -> None:
    """Some 400 MB of it at this batch, beside a process of about as much."""
    project = sized_project(tmp_path / "project", 48, 3, 3)
    tests = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}", "EMOSWEEP_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", RUN, str(project), str(tmp_path / "out")]
    done = subprocess.run(command, cwd=tests.parents[1], env=environment, check=True, stdout=subprocess.PIPE, text=True)
    assert float(done.stdout) > 0.9

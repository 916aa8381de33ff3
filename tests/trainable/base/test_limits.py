"""CPUs and memory that may be used: from real affinity, real control groups, and files laid out as the kernel does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from control_groups import control_group

from trainable.base.limits import free_threads, memory_in_use, usable_cpus, usable_memory

MANY = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
ROOT = Path(__file__).parents[3]
ASK = "from trainable.base.limits import *; print(usable_cpus(), usable_memory())"


def laid_out(folder: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    """(the process's file, the folder of the groups)."""
    process, groups = folder / "cgroup", folder / "groups"
    process.write_text(own)
    groups.mkdir()
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(text)
    return process, groups


@pytest.mark.parametrize(
    ("own", "files", "cpus"),
    [
        ("0::/job\n", {"job/cpu.max": "100000 100000\n"}, 1),
        ("0::/job/step\n", {"job/cpu.max": "100000 100000\n", "job/step/cpu.max": "max 100000\n"}, 1),
        ("0::/job\n", {"job/cpu.max": "50000 100000\n"}, 1),
        ("0::/host/path\n", {"cpu.max": "150000 100000\n"}, 1),
        ("4:cpu,cpuacct:/job\n", {"cpu/job/cpu.cfs_quota_us": "100000", "cpu/job/cpu.cfs_period_us": "100000"}, 1),
        ("4:cpu,cpuacct:/j\n", {"cpu,cpuacct/cpu.cfs_quota_us": "99000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 1),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, MANY),
        ("0::/job\n", {"job/cpu.max": "max 100000\n"}, MANY),
        ("0::/job\n", {"job/cpu.max": "6400000 100000\n"}, MANY),
        ("4:cpuset:/job\n", {"cpuset/job/cpu.max": "1 100000\n"}, MANY),
        ("no group in this line\n0::/job\n", {"job/cpu.max": "100000 100000\n"}, 1),
        ("0::/job\n", {"job/cpu.max": "many few\n"}, MANY),
        ("", {}, MANY),
    ],
)  # fmt: skip
def test_cpus(own: str, files: dict[str, str], cpus: int, tmp_path: Path) -> None:
    assert usable_cpus(*laid_out(tmp_path, own, files)) == min(cpus, MANY)


@pytest.mark.parametrize(
    ("own", "files", "memory"),
    [
        ("0::/job\n", {"job/memory.max": "4294967296\n"}, 2**32),
        ("0::/a/b\n", {"a/memory.max": "1000\n", "a/b/memory.max": "2000\n"}, 1000),
        ("0::/job\n", {"job/memory.max": "max\n"}, None),
        ("8:memory:/slurm/job\n", {"memory/slurm/memory.limit_in_bytes": "5000\n"}, 5000),
        ("8:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ("8:memory:/not/there\n", {"memory/memory.limit_in_bytes": "7000\n"}, 7000),
        ("8:devices:/job\n", {"devices/job/memory.max": "10\n"}, None),
        ("", {}, None),
    ],
)
def test_memory(own: str, files: dict[str, str], memory: int | None, tmp_path: Path) -> None:
    assert usable_memory(*laid_out(tmp_path, own, files)) == memory


@pytest.mark.parametrize(
    ("own", "files", "left"),
    [
        ("0::/job\n", {"job/pids.max": "100\n", "job/pids.current": "30\n"}, 70),
        ("8:pids:/a/b\n", {"pids/a/pids.max": "50", "pids/a/pids.current": "49", "pids/a/b/pids.max": "max"}, 1),
        ("0::/job\n", {"job/pids.max": "10\n", "job/pids.current": "30\n"}, 0),
    ],
)
def test_threads(own: str, files: dict[str, str], left: int, tmp_path: Path) -> None:
    assert free_threads(*laid_out(tmp_path, own, files)) == left


def test_a_system_without_control_groups(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert usable_cpus(missing, missing) == MANY
    assert usable_memory(missing, missing) is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_one_cpu_of_a_machine_with_more() -> None:
    def pinned() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    asked = [sys.executable, "-c", ASK]
    done = subprocess.run(asked, preexec_fn=pinned, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "1"


def test_nothing_else_counts_the_machines_cpus() -> None:
    """A pool with a thread for each CPU of the machine has too many of them where fewer may be used."""
    folders = [ROOT / "trainable", ROOT / "faceapi", ROOT / "orchestrator"]
    counting = {file.name for folder in folders for file in folder.rglob("*.py") if "cpu_count" in file.read_text()}
    assert counting <= {"limits.py"}


def test_a_real_control_group() -> None:
    with control_group("memory", limit_in_bytes=str(2**30)) as join:
        done = subprocess.run([sys.executable, "-c", f"{join}; {ASK}"], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == str(2**30)


@pytest.mark.parametrize(
    ("own", "files", "used"),
    [
        ("0::/job\n", {"job/memory.current": "5000\n", "job/memory.stat": "anon 10\ninactive_file 2000\n"}, 3000),
        ("0::/host/path\n", {"memory.current": "5000\n"}, 5000),
        ("8:memory:/job\n", {"memory/job/memory.usage_in_bytes": "5000\n",
                             "memory/job/memory.stat": "inactive_file 1\ntotal_inactive_file 4000\n"}, 1000),
        ("0::/job\n", {"job/memory.current": "5\n", "job/memory.stat": "inactive_file 9\n"}, 0),
        ("0::/job\n", {"job/memory.current": "5\n", "job/memory.stat": "no numbers here\n"}, 5),
        ("", {}, None),
    ],
)  # fmt: skip
def test_memory_that_is_in_use(own: str, files: dict[str, str], used: int | None, tmp_path: Path) -> None:
    assert memory_in_use(*laid_out(tmp_path, own, files)) == used

"""What a process frees it keeps, until it gives it back: with the C library's allocator, and with jemalloc."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from Linux's /proc")
SIZE = 160 * 2**20
LOOK = f"""
import json, sys
from pathlib import Path
import torch
from trainable.allocator import give_back_memory, keep_freed_memory, uses_jemalloc

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
give_back_memory()
print(json.dumps([uses_jemalloc(), full - before, freed - before, resident() - before]))
"""


def look(way: str, preload: str | None) -> tuple[bool, list[float]]:
    """Whether it was jemalloc; resident bytes in use, after they were freed, and after they were given back, as parts
    of what was in use."""
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"} | (
        {"LD_PRELOAD": preload} if preload else {}
    )
    root = Path(__file__).resolve().parents[2]
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
def test_jemalloc_keeps_and_gives_back(way: str) -> None:
    jemalloc, (full, freed, given_back) = look(way, rays_jemalloc())
    assert jemalloc
    assert full > 0.8
    assert freed > 0.9 * full
    assert given_back < 0.2


@pytest.mark.skipif(
    "glibc" not in os.confstr("CS_GNU_LIBC_VERSION") if sys.platform == "linux" else True, reason="glibc's"
)
def test_the_c_librarys_keeps_and_gives_back() -> None:
    jemalloc, (full, freed, given_back) = look("early", None)
    assert not jemalloc
    assert full > 0.9
    assert freed > 0.9 * full
    assert given_back < 0.2


def test_by_itself_it_does_not_keep() -> None:
    """Else the tests above would see nothing."""
    _, (full, freed, _) = look("never", None)
    assert full > 0.9
    assert freed < 0.2

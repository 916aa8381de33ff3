"""A full disk is called one, whoever writes: Python, torch or Arrow."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from trainable.base.errors import CacheFull, Failure
from trainable.base.files import write_csv, write_json
from trainable.base.paths import RunPaths
from trainable.cache.rows import RowStore
from trainable.run.checkpoints import save_checkpoint, save_torch

LIMITED = """
import resource, sys, torch
from pathlib import Path
from trainable.run.checkpoints import save_torch
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    save_torch(Path(sys.argv[1]), {"weights": torch.zeros(100_000)})
except OSError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("megabytes", [1.05, 2, 8])
def test_weights(small_disk: Path, megabytes: float) -> None:
    with pytest.raises(OSError, match=r"No space left on device \(best\.pt: [\d,]+ of [\d,]+ bytes") as caught:
        save_torch(small_disk / "run" / "best.pt", {"weights": torch.zeros(int(megabytes * 250_000))})
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(small_disk / "run"))
    assert list((small_disk / "run").iterdir()) == [], "nothing half-written stays"
    assert Failure.of(caught.value).message.startswith(f"{small_disk / 'run'}: No space left on device")


def test_a_checkpoint_stays_as_it_was(small_disk: Path) -> None:
    paths = RunPaths(small_disk / "resumed")
    state = {"identity": {}, "epoch": 1, "history": [], "weights": torch.zeros(10)}
    save_checkpoint(paths, state)
    before = paths.checkpoint.read_bytes()
    with pytest.raises(OSError, match=r"No space left on device \(last\.pt"):
        save_checkpoint(paths, {**state, "epoch": 2, "weights": torch.zeros(500_000)})
    assert paths.checkpoint.read_bytes() == before


def test_json_and_csv(small_disk: Path) -> None:
    with pytest.raises(OSError, match=r"No space left on device \(a\.json: [\d,]+ of [\d,]+ bytes"):
        write_json(small_disk / "a.json", ["x" * 1000] * 2000)
    with pytest.raises(OSError, match=r"No space left on device \(a\.csv"):
        write_csv(small_disk / "a.csv", ["a"], [["x" * 1000]] * 2000)


def test_the_cache_says_why_it_cannot_be_used(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The cache looks for room before it writes; another program may fill the disk in between.
    monkeypatch.setattr("trainable.cache.rows.make_room", lambda *arguments: True)
    store = RowStore(small_disk, small_disk / "images" / "x", (1000,), torch.float32)
    keys = [f"{number:064x}" for number in range(600)]
    with pytest.raises(CacheFull, match="cannot be used: No space left on device"):
        store.fill(keys, lambda some: (torch.zeros(len(some), 1000), [False] * len(some)))


def test_a_limit_on_file_sizes(tmp_path: Path) -> None:
    line = [sys.executable, "-c", LIMITED, str(tmp_path / "best.pt")]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert "File too large" in done.stdout and str(tmp_path) in done.stdout

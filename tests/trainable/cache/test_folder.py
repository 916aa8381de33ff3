"""The cache's settings, and what `clear` leaves."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from small_runs import csvs_of
from twins import cache_at

from trainable.base.errors import ConfigError
from trainable.cache.folder import cache_limit, cache_root, clear, make_room, segment_files
from trainable.cache.rows import RowStore

REST = f".about.json.{'0' * 32}.tmp"
"""What a killed process leaves of a file that it was writing."""


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    with cache_at(tmp_path / "cache") as folder:
        yield folder


def filled(cache: Path, name: str, count: int = 3) -> RowStore:
    """A store with that many rows of 8 bytes."""
    store = RowStore(cache, cache / name, (8,), torch.uint8, about={"stage": 1})
    keys = [f"{number:x}" for number in range(count)]
    store.fill(keys, lambda some: (torch.zeros(len(some), 8, dtype=torch.uint8), [False] * len(some)))
    return store


# -- settings


def test_the_cache_is_where_the_variable_says_else_where_the_user_keeps_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EMOSWEEP_CACHE", "~/here")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_root() == tmp_path / "here"
    monkeypatch.setenv("EMOSWEEP_CACHE", "")
    assert cache_root() == tmp_path / ".cache/emosweep"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_root() == Path("/elsewhere/emosweep")


def test_a_relative_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials run in folders of their own: each would have its own cache."""
    monkeypatch.setenv("EMOSWEEP_CACHE", "my/cache")
    with pytest.raises(ConfigError, match=r"^\$EMOSWEEP_CACHE=my/cache: must be an absolute path$"):
        cache_root()


@pytest.mark.parametrize(("text", "limit"), [("", 50e9), ("0", 0), ("0.5", 5e8), ("1e3", 1e12)])
def test_the_limit_is_in_gigabytes(text: str, limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSWEEP_CACHE_GB", text)
    assert cache_limit() == limit


@pytest.mark.parametrize("text", ["ten", "-1", "nan", "inf", "1e400", "10 GB", " "])
def test_a_limit_that_is_no_number_of_gigabytes_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSWEEP_CACHE_GB", text)
    with pytest.raises(ConfigError, match="must be a number of gigabytes, 0 or more"):
        cache_limit()


@pytest.mark.parametrize("module", ["trainable", "orchestrator"])
def test_a_wrong_limit_is_one_message_before_anything_starts(
    module: str, shared_project: Path, tmp_path: Path, python: Callable[..., list[str]]
) -> None:
    if module == "orchestrator":
        command = python("-m", module, "run-all", "--project-root", shared_project, "--output-root", tmp_path / "out")
        command += ["--weights", "none", "--only", "probe_M1"]
    else:
        csvs = [f"--{part}-csv={path}" for part, path in csvs_of(shared_project).items()]
        command = python("-m", module, "--mode=probe", "--epochs=1", "--weights=none", f"--out={tmp_path / 'out'}")
        command += [*csvs, f"--project-root={shared_project}"]
    environment = {**os.environ, "EMOSWEEP_CACHE_GB": "lots", "EMOSWEEP_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert done.stderr.count("$EMOSWEEP_CACHE_GB=lots: must be a number of gigabytes, 0 or more") == 1
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


# -- clearing


def test_clearing_leaves_nothing_behind(cache: Path) -> None:
    for name in ("images/some", "features/one", "features/other"):
        filled(cache, name)
    size = sum(segment.size for segment in segment_files(cache))
    assert clear(cache) == size > 0
    assert [path.relative_to(cache).as_posix() for path in sorted(cache.rglob("*"))] == ["features", "images"]
    assert clear(cache) == 0


def test_clearing_leaves_a_folder_in_which_somebody_works(cache: Path) -> None:
    store = filled(cache, "features/one")
    lock = store.folder / "0.lock"
    with FileLock(lock):
        assert clear(cache) > 0
        assert {path.name for path in store.folder.iterdir()} >= {"0.lock", "about.json"}
    assert segment_files(cache) == []
    clear(cache)
    assert not store.folder.exists()


@pytest.mark.parametrize("name", ["mine.arrow", "0123.arrow", "old.tmp", ".notes.tmp", "x/mine.arrow", "about.json"])
@pytest.mark.parametrize("kind", ["images", "features"])
def test_files_of_the_users_below_the_cache_stay(kind: str, name: str, cache: Path) -> None:
    """$EMOSWEEP_CACHE may be a folder of data that has a folder `images` already."""
    mine = cache / kind / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    os.utime(mine, (0, 0))
    filled(cache, f"{kind}/one")
    clear(cache)
    assert make_room(cache, 1, 0, keep=()) is False, "nothing there may go"
    assert mine.read_text() == "mine"


def test_clearing_leaves_what_is_being_written_and_what_is_not_ours(cache: Path) -> None:
    store = filled(cache, "features/one")
    for name in (REST, "notes.txt"):
        (store.folder / name).write_text("x")
    (cache / "mine.arrow").write_text("x")
    clear(cache)
    assert {path.name for path in store.folder.iterdir()} >= {REST, "notes.txt"}
    assert (cache / "mine.arrow").exists()
    os.utime(store.folder / REST, (0, 0))
    assert clear(cache) == 1


def test_a_store_goes_on_after_its_folder_was_cleared(cache: Path) -> None:
    store = filled(cache, "features/one")
    rows = store.rows(["0", "1"])
    clear(cache)
    assert len(rows.gather(torch.tensor([0, 1]))) == 2
    assert filled(cache, "features/one", 5).missing(["4"]) == []
    assert store.missing(["4"]) == []


def test_what_is_no_folder_is_an_empty_cache(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("mine")
    for root in (tmp_path / "nothing", tmp_path / "a file", tmp_path / "a file/below"):
        assert segment_files(root) == []
        assert clear(root) == 0
    assert (tmp_path / "a file").read_text() == "mine"

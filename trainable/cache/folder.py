"""The machine's cache: decoded images and frozen features, shared by every project and run (no torch).

Everything in it can be made again, so anything may be deleted at any time; a run that has a file mapped keeps it.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock

from trainable.base.errors import ConfigError

ROOT_VARIABLE, LIMIT_VARIABLE = "EMOSWEEP_CACHE", "EMOSWEEP_CACHE_GB"
DEFAULT_LIMIT_GB = 50.0
KINDS = ("images", "features")
SEGMENT, LOCK, HOLDER, ABOUT = ".arrow", ".lock", ".holder", "about.json"
HASHES, WEIGHTS = "image_hashes.sqlite", "weights"
_ABANDONED_SECONDS = 3600.0
_OUR_SEGMENT = re.compile(rf"[0-9a-f]{{32}}{re.escape(SEGMENT)}")
_OUR_REST = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")
"""The names that `RowStore` and `replacing` make. The cache may be in a folder that has files of the user's, too, and
only what is ours may be deleted."""


def cache_root() -> Path:
    """$EMOSWEEP_CACHE, else `emosweep` in the folder where the system keeps a user's caches ($XDG_CACHE_HOME on Linux).

    Raises:
        ConfigError: the variable is a relative path; processes of one run have different working folders.
    """
    chosen = os.environ.get(ROOT_VARIABLE)
    if not chosen:
        return platformdirs.user_cache_path("emosweep", appauthor=False)
    root = Path(chosen).expanduser()
    if not root.is_absolute():
        raise ConfigError(f"${ROOT_VARIABLE}={chosen}: must be an absolute path")
    return root


def cache_limit() -> int:
    """Bytes that the cache may hold: $EMOSWEEP_CACHE_GB (10^9 bytes each), else 50.

    Raises:
        ConfigError: the variable is not a number.
    """
    text = os.environ.get(LIMIT_VARIABLE) or str(DEFAULT_LIMIT_GB)
    try:
        limit = float(text) * 1e9
    except ValueError:
        limit = -1.0
    if not 0 <= limit < float("inf"):
        raise ConfigError(f"${LIMIT_VARIABLE}={text}: must be a number of gigabytes, 0 or more")
    return int(limit)


def check_cache() -> None:
    """Look at both variables.

    Raises:
        ConfigError: one has a value that is not usable.
    """
    cache_root()
    cache_limit()


@dataclass(frozen=True)
class SegmentFile:
    """One file of the cache; `used` is when a run last took rows from it, in seconds since 1970."""

    path: Path
    kind: str
    size: int
    used: float


def segment_files(root: Path) -> list[SegmentFile]:
    """Every segment, the least recently used first."""
    found = []
    for kind in KINDS:
        for path in _files(root / kind, _OUR_SEGMENT):
            with suppress(OSError):  # another process makes room
                stat = path.stat()
                found.append(SegmentFile(path, kind, stat.st_size, stat.st_mtime))
    return sorted(found, key=lambda segment: segment.used)


def make_room(root: Path, need: int, limit: int, keep: Collection[Path]) -> bool:
    """Delete what was used longest ago until `need` more bytes fit under `limit` and on the disk; `keep` stays.

    Returns:
        Whether they fit. Where they would not without `keep`, nothing is deleted.

    Raises:
        OSError: `root` is no place for a cache.
    """
    root.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    present = segment_files(root)
    spare = [segment for segment in present if segment.path not in keep]
    free = min(limit - sum(segment.size for segment in present), shutil.disk_usage(root).free)
    if free + sum(segment.size for segment in spare) < need:
        return False
    for segment in spare:
        if free >= need:
            break
        free += _delete(segment.path, segment.size)
    return free >= need


def clear(root: Path) -> int:
    """Delete every segment, what is left around them where nobody works, and the remembered hashes of files.

    Returns:
        Bytes freed.
    """
    freed = sum(_delete(segment.path, segment.size) for segment in segment_files(root)) + _sweep(root)
    for kind in KINDS:
        for folder in [path for path in (root / kind).glob("*") if path.is_dir()]:
            _remove_empty(folder)
    for path in [root / HASHES, *(root / WEIGHTS).glob("*")]:
        with suppress(OSError):  # not there
            freed += _delete(path, path.stat().st_size)
    return freed


def _remove_empty(folder: Path) -> None:
    """Remove a folder that holds nothing but what describes and locks it, unless somebody has a lock of it."""
    with ExitStack() as stack, suppress(OSError, NotImplementedError):  # filelock's Timeout is an OSError
        locks = list(folder.glob(f"*{LOCK}"))
        for lock in locks:
            stack.enter_context(FileLock(lock, timeout=0))
        about = [folder / ABOUT, *locks, *folder.glob(f"*{HOLDER}")]
        if set(folder.iterdir()) <= set(about):
            for path in about:
                path.unlink(missing_ok=True)
            folder.rmdir()


def _sweep(root: Path) -> int:
    """Delete what killed processes left half-written. Returns bytes freed."""
    freed = 0
    for kind in KINDS:
        for path in _files(root / kind, _OUR_REST):
            with suppress(OSError):  # its writer has finished
                stat = path.stat()
                if time.time() - stat.st_mtime > _ABANDONED_SECONDS:
                    freed += _delete(path, stat.st_size)
    return freed


def _delete(path: Path, size: int) -> int:
    """Returns the bytes freed: none where the file is another user's."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return 0
    return size


def _files(folder: Path, name: re.Pattern[str]) -> Iterator[Path]:
    """Files below `folder` with such names; unlike `Path.rglob` at ease with folders that go meanwhile."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent) / file for file in names if name.fullmatch(file))

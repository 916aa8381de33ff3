"""The machine's cache: decoded images and frozen features, shared by every project and run (no torch).

Everything in it can be made again, so anything may be deleted at any time; a run that has a file mapped keeps it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trainable.errors import ConfigError

ROOT_VARIABLE, LIMIT_VARIABLE = "EMOSWEEP_CACHE", "EMOSWEEP_CACHE_GB"
DEFAULT_LIMIT_GB = 50.0
KINDS = ("images", "features")
SEGMENT = ".arrow"
_ABANDONED_SECONDS = 3600.0


def cache_root() -> Path:
    """$EMOSWEEP_CACHE, else `emosweep` in the user's cache folder."""
    chosen = os.environ.get(ROOT_VARIABLE)
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emosweep"


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


@dataclass(frozen=True)
class Segment:
    """One file of the cache; `used` is when a run last opened it, in seconds since 1970."""

    path: Path
    kind: str
    size: int
    used: float


def segments(root: Path) -> list[Segment]:
    """Every segment, the least recently used first."""
    found = []
    for kind in KINDS:
        for path in (root / kind).rglob(f"*{SEGMENT}"):
            with suppress(FileNotFoundError):  # another process makes room
                stat = path.stat()
                found.append(Segment(path, kind, stat.st_size, stat.st_mtime))
    return sorted(found, key=lambda segment: segment.used)


def make_room(root: Path, need: int, limit: int, keep: Collection[Path]) -> bool:
    """Delete what was used longest ago until `need` more bytes fit under `limit`; `keep` stays.

    Returns:
        Whether they fit.
    """
    present = segments(root)
    free = limit - sum(segment.size for segment in present)
    for segment in present:
        if free >= need:
            break
        if segment.path not in keep:
            segment.path.unlink(missing_ok=True)
            free += segment.size
    return free >= need


def clear(root: Path) -> int:
    """Delete every segment, and what killed processes left behind.

    Returns:
        Bytes freed.
    """
    freed = 0
    for segment in segments(root):
        segment.path.unlink(missing_ok=True)
        freed += segment.size
    for kind in KINDS:
        for path in (root / kind).rglob("*.tmp"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    freed += path.stat().st_size
                    path.unlink()
    return freed

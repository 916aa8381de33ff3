"""SHA-256 of files, remembered in SQLite by path, size and mtime (no torch)."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

BUSY_SECONDS = 60.0
"""How long another process may hold the remembered hashes before this one does without."""


_AT_ONCE = 500  # some builds of SQLite take 999 values in a query


class ImageHashes:
    """SHA-256 of files, remembered by path, size and mtime.

    Paths are remembered in full, with the links of their folders followed: a cache may be shared by processes that have
    other working folders and name the same file in other ways.

    Args:
        cache: a SQLite file to remember them in; None to hash every time.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self.cache = cache

    def of(self, files: Iterable[Path]) -> dict[Path, str]:
        """Hex digests of `files`; "missing" for one that has gone."""
        stats = {file: _stat(file) for file in dict.fromkeys(files)}
        keys = _full_paths(stats)
        known = self._known(list(keys.values()))
        found = {f: known[keys[f]][1] for f, s in stats.items() if known.get(keys[f], ("",))[0] == s}
        new = [file for file in stats if file not in found]
        if new:
            # Hashing and reading release the GIL.
            with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
                fresh = dict(zip(new, pool.map(file_digest, new), strict=True))
            found.update(fresh)
            self._remember([(keys[f], stats[f], d) for f, d in fresh.items() if d != "missing"])
        return found

    def forget(self, file: Path) -> None:
        """Its content is not what was remembered."""
        if self.cache is not None:
            with suppress(sqlite3.DatabaseError, OSError), closing(self._connect()) as db, db:
                db.execute("DELETE FROM hashes WHERE path = ?", (_full_paths([file])[file],))

    def _connect(self) -> sqlite3.Connection:
        assert self.cache is not None
        self.cache.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.cache, timeout=BUSY_SECONDS)
        connection.execute("CREATE TABLE IF NOT EXISTS hashes (path TEXT PRIMARY KEY, stat TEXT, digest TEXT)")
        return connection

    def _known(self, paths: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Stat and digest of those of `paths` that are remembered; the cache may hold many times as many."""
        if self.cache is None:
            return {}
        found: dict[str, tuple[str, str]] = {}
        try:
            if not self.cache.exists():
                return {}
            with closing(self._connect()) as db:
                for start in range(0, len(paths), _AT_ONCE):
                    some = paths[start : start + _AT_ONCE]
                    places = ",".join("?" * len(some))
                    rows = db.execute(f"SELECT path, stat, digest FROM hashes WHERE path IN ({places})", some)
                    found.update((path, (stat, digest)) for path, stat, digest in rows)
        except (sqlite3.OperationalError, OSError):
            pass  # no place for a file, or others hold it too long: what it has is theirs still
        except sqlite3.DatabaseError:  # it is broken
            with suppress(OSError):
                self.cache.unlink(missing_ok=True)
            return {}
        return found

    def _remember(self, rows: Sequence[tuple[str, str, str]]) -> None:
        if self.cache is None:
            return
        try:
            with closing(self._connect()) as db, db:
                db.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)", rows)
        except (sqlite3.DatabaseError, OSError):
            pass  # a read-only or broken cache costs time only


def _full_paths(files: Iterable[Path]) -> dict[Path, str]:
    """Absolute paths; links are followed once per folder, since images lie many to a folder."""
    folders: dict[str, str] = {}
    found = {}
    for file in files:
        folder, name = os.path.split(file)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        found[file] = f"{folders[folder]}{os.sep}{name}"
    return found


def _stat(file: Path) -> str:
    try:
        stat = os.stat(file)  # noqa: PTH116 (once per image)
    except OSError:
        return "missing"
    return f"{stat.st_size}:{stat.st_mtime_ns}"


def file_digest(file: Path) -> str:
    """Hex SHA-256 of a file's content; "missing" where it cannot be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return "missing"


def digest(value: Any) -> str:
    """Hex SHA-256 of a JSON value."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

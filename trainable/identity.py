"""What a step's result depends on, as digests: data, weights and configuration (no torch).

Two runs with the same identity give the same result, so a finished one need not be run again. Workers, devices,
versions and verbosity are recorded in the manifest but are no part of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from trainable.config import PARTS, TrainConfig
from trainable.errors import ConfigError
from trainable.tables import ImageTable

Identity = dict[str, Any]
IMAGENET_WEIGHTS = "MobileNet_V3_Small_Weights.IMAGENET1K_V1"
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


def table_digests(table: ImageTable, hashes: Mapping[Path, str]) -> dict[str, str]:
    """Digests of a table's rows and of its images' contents, in row order."""
    rows = [[row.path, row.label, *(row.box or ())] for row in table.rows]
    return {"rows": digest(rows), "images": digest([hashes[row.file] for row in table.rows])}


def weights_identity(weights: str) -> str:
    """`imagenet` and `none` by name, a file by its content."""
    if weights == "none":
        return "none"
    if weights == "imagenet":
        return IMAGENET_WEIGHTS
    path = Path(weights)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise ConfigError(f"--weights {weights}: {what} (imagenet, none, or the path of a state dict)")
    return f"sha256:{file_digest(path)}"


def data_identity(tables: Mapping[str, ImageTable], hashes: ImageHashes) -> Identity:
    """Digests of train, val and test: the data's part of a run's identity.

    Args:
        tables: of the parts that the run reads; a trial does not depend on the test set.
    """
    parts = [part for part in PARTS if part in tables]
    contents = hashes.of(row.file for part in parts for row in tables[part].rows)
    return {part: table_digests(tables[part], contents) for part in parts}


def run_identity(config: TrainConfig, data: Identity, weights: str) -> Identity:
    """The identity of a run from its parts (see `data_identity`, `weights_identity`)."""
    return {"data": data, "weights": weights, "config": config.identity()}


def training_identity(config: TrainConfig, tables: Mapping[str, ImageTable], hashes: ImageHashes) -> Identity:
    """The identity of one training run; compared key by key to say what changed."""
    return run_identity(config, data_identity(tables, hashes), weights_identity(config.weights))


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What changed from one identity to another, in words such as `config.lr_head 0.0005 -> 0.0007`."""
    found: list[str] = []
    for key in dict.fromkeys((*old, *new)):
        before, after = old.get(key), new.get(key)
        name = f"{prefix}{key}"
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differences(before, after, f"{name}.")
        elif before != after:
            hidden = any(isinstance(v, str) and len(v) >= 64 for v in (before, after))
            found.append(f"{name} changed" if hidden else f"{name} {before} -> {after}")
    return found

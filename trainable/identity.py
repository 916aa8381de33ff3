"""What a step's result depends on, as digests: data, weights and configuration (no torch).

Two runs with the same identity give the same result, so a finished one need not be run again. Workers, devices,
versions and verbosity are recorded in the manifest but are no part of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from trainable.config import PARTS, TrainConfig
from trainable.errors import ConfigError
from trainable.tables import ImageTable

Identity = dict[str, Any]
IMAGENET_WEIGHTS = "MobileNet_V3_Small_Weights.IMAGENET1K_V1"


class ImageHashes:
    """SHA-256 of files, remembered by path, size and mtime.

    Args:
        cache: a SQLite file to remember them in; None to hash every time.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self.cache = cache

    def of(self, files: Iterable[Path]) -> dict[Path, str]:
        """Hex digests of `files`; "missing" for one that has gone."""
        stats = {file: _stat(file) for file in dict.fromkeys(files)}
        known = self._known() if self.cache is not None else {}
        found = {f: known[str(f)][1] for f, s in stats.items() if str(f) in known and known[str(f)][0] == s}
        new = [file for file in stats if file not in found]
        if new:
            # Hashing and reading release the GIL.
            with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
                fresh = dict(zip(new, pool.map(file_digest, new), strict=True))
            found.update(fresh)
            self._remember((f, stats[f], d) for f, d in fresh.items() if d != "missing")
        return found

    def forget(self, file: Path) -> None:
        """Its content is not what was remembered."""
        if self.cache is not None:
            with suppress(sqlite3.DatabaseError, OSError), closing(self._connect()) as db, db:
                db.execute("DELETE FROM hashes WHERE path = ?", (str(file),))

    def _connect(self) -> sqlite3.Connection:
        assert self.cache is not None
        self.cache.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.cache, timeout=60)
        connection.execute("CREATE TABLE IF NOT EXISTS hashes (path TEXT PRIMARY KEY, stat TEXT, digest TEXT)")
        return connection

    def _known(self) -> dict[str, tuple[str, str]]:
        if self.cache is None:
            return {}
        try:
            if not self.cache.exists():
                return {}
            with closing(self._connect()) as db:
                return {p: (s, d) for p, s, d in db.execute("SELECT path, stat, digest FROM hashes")}
        except sqlite3.DatabaseError:
            with suppress(OSError):
                self.cache.unlink(missing_ok=True)
            return {}
        except OSError:  # no place for a file
            return {}

    def _remember(self, rows: Iterator[tuple[Path, str, str]]) -> None:
        if self.cache is None:
            return
        try:
            with closing(self._connect()) as db, db:
                values = [(str(path), stat, digest) for path, stat, digest in rows]
                db.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)", values)
        except (sqlite3.DatabaseError, OSError):
            pass  # a read-only or broken cache costs time only


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

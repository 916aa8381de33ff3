"""Digests of files in SQLite, by path and stamp, and of whole lists of files by one key (no torch).

A cache that is missing, broken, read-only or held by others costs time and nothing else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

BUSY_SECONDS = 60.0
"""How long another process may hold the remembered hashes before this one does without."""

LISTS = 32
"""Lists that are kept, the newest: one a set of CSVs as they are now."""

_AT_ONCE = 500  # some builds of SQLite take 999 values in a query


class RememberedHashes:
    """What is known from earlier: digests are hex in the table of files and bytes in that of lists.

    Args:
        file: the SQLite file; None to remember nothing.
        busy_seconds: how long to wait for another process.
    """

    def __init__(self, file: Path | None, busy_seconds: float | None = None) -> None:
        self.file, self._busy = file, busy_seconds

    def known(self, paths: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Stamp and hex digest of those of `paths` that are remembered; the file may hold many times as many."""
        found: dict[str, tuple[str, str]] = {}
        if self.file is None:
            return found
        try:
            if not self.file.exists():
                return found
            with closing(self._connect()) as db:
                for start in range(0, len(paths), _AT_ONCE):
                    some = paths[start : start + _AT_ONCE]
                    places = ",".join("?" * len(some))
                    rows = db.execute(f"SELECT path, stat, digest FROM hashes WHERE path IN ({places})", some)
                    found.update((path, (stat, digest)) for path, stat, digest in rows)
        except (sqlite3.OperationalError, OSError):
            pass  # there is no place for a file, or others hold it too long: its content is theirs still
        except sqlite3.DatabaseError:  # it is broken
            with suppress(OSError):
                self.file.unlink(missing_ok=True)
            return {}
        return found

    def remember(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Keep (path, stamp, hex digest) of each file."""
        if self.file is not None and rows:
            with suppress(sqlite3.DatabaseError, OSError), closing(self._connect()) as db, db:
                db.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)", sorted(rows))

    def known_list(self, key: str) -> bytes | None:
        """The digests that were remembered under `key`."""
        if self.file is None:
            return None
        with suppress(sqlite3.DatabaseError, OSError):
            if self.file.exists():
                with closing(self._connect()) as db:
                    found = db.execute("SELECT digests FROM lists WHERE key = ?", (key,)).fetchone()
                    return found[0] if found else None
        return None

    def remember_list(self, key: str, digests: bytes) -> None:
        if self.file is not None:
            with suppress(sqlite3.DatabaseError, OSError), closing(self._connect()) as db, db:
                db.execute("INSERT OR REPLACE INTO lists VALUES (?, ?)", (key, digests))
                newest = "SELECT rowid FROM lists ORDER BY rowid DESC LIMIT ?"
                db.execute(f"DELETE FROM lists WHERE rowid NOT IN ({newest})", (LISTS,))

    def forget(self, path: str) -> None:
        """The content of this file is not what was remembered, and which lists have it is not known."""
        if self.file is not None:
            with suppress(sqlite3.DatabaseError, OSError), closing(self._connect()) as db, db:
                db.execute("DELETE FROM hashes WHERE path = ?", (path,))
                db.execute("DELETE FROM lists")

    def _connect(self) -> sqlite3.Connection:
        assert self.file is not None
        self.file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.file, timeout=BUSY_SECONDS if self._busy is None else self._busy)
        connection.execute("PRAGMA synchronous = OFF")  # a power cut may break the file, which costs time only
        connection.execute("CREATE TABLE IF NOT EXISTS hashes (path TEXT PRIMARY KEY, stat TEXT, digest TEXT)")
        connection.execute("CREATE TABLE IF NOT EXISTS lists (key TEXT PRIMARY KEY, digests BLOB)")
        return connection

"""Digests of files in SQLite, by path and stamp, and of whole lists of files by one key (no torch).

A cache that is missing, broken, read-only or held by others costs time and nothing else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

from trainable.base.log import LOG

T = TypeVar("T")

BUSY_SECONDS = 10.0
"""How long another process may hold the remembered hashes before this one does without, and says so."""

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

        def look_up(db: sqlite3.Connection) -> bool:
            for start in range(0, len(paths), _AT_ONCE):
                some = paths[start : start + _AT_ONCE]
                places = ",".join("?" * len(some))
                rows = db.execute(f"SELECT path, stat, digest FROM hashes WHERE path IN ({places})", some)
                found.update((path, (stat, digest)) for path, stat, digest in rows)
            return True

        return found if self._try(look_up, only_old=True) else {}

    def remember(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Keep (path, stamp, hex digest) of each file."""
        if rows:
            self._try(lambda db: db.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)", sorted(rows)))

    def known_list(self, key: str) -> bytes | None:
        """The digests that were remembered under `key`."""
        query = "SELECT digests FROM lists WHERE key = ?"
        found = self._try(lambda db: db.execute(query, (key,)).fetchone(), only_old=True)
        return found[0] if found else None

    def remember_list(self, key: str, digests: bytes) -> None:
        """Keep the digests of a list of files, and no more than `LISTS` lists."""

        def keep(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO lists VALUES (?, ?)", (key, digests))
            newest = "SELECT rowid FROM lists ORDER BY rowid DESC LIMIT ?"
            db.execute(f"DELETE FROM lists WHERE rowid NOT IN ({newest})", (LISTS,))

        self._try(keep)

    def forget(self, path: str) -> None:
        """The content of this file is not what was remembered, and which lists have it is not known."""

        def drop(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM hashes WHERE path = ?", (path,))
            db.execute("DELETE FROM lists")

        self._try(drop)

    def _try(self, work: Callable[[sqlite3.Connection], T], *, only_old: bool = False) -> T | None:
        """What `work` makes of the file; None where that fails, or where there is no file and `only_old` ones count."""
        if self.file is None:
            return None
        try:
            if only_old and not self.file.exists():
                return None
            with closing(self._connect(self.file)) as db, db:
                return work(db)
        except sqlite3.OperationalError as error:  # there is no place for a file, or others hold it: it is theirs still
            if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                LOG.warning("%s: another process holds it; files are hashed again, and not remembered", self.file)
                self.file = None  # the next call would wait as long
        except sqlite3.DatabaseError:  # it is broken
            with suppress(OSError):
                self.file.unlink(missing_ok=True)
        except (sqlite3.Error, OSError, UnicodeError):  # the last one: a path whose bytes are no text
            pass
        return None

    def _connect(self, file: Path) -> sqlite3.Connection:
        file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(file, timeout=BUSY_SECONDS if self._busy is None else self._busy)
        connection.execute("PRAGMA synchronous = OFF")  # a power cut may break the file, which costs time only
        connection.execute("CREATE TABLE IF NOT EXISTS hashes (path TEXT PRIMARY KEY, stat TEXT, digest TEXT)")
        connection.execute("CREATE TABLE IF NOT EXISTS lists (key TEXT PRIMARY KEY, digests BLOB)")
        return connection

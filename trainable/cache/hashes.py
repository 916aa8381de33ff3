"""SHA-256 of files, each read once per size and time of modification (no torch)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from trainable.cache.digests import MISSING, file_digest, file_digests
from trainable.cache.remembered import RememberedHashes
from trainable.data.files import DIGEST_BYTES, ImageFiles, stamp_of
from trainable.data.tables import ImageTable

__all__ = ["MISSING", "ImageHashes", "Progress", "digest", "file_digest", "json_text", "no_progress"]

Progress = Callable[[int, int], None]
"""Takes the number of files whose digests are known, and that of all files asked for."""

_SAID = 64  # files after which it is said how far the hashing is


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""


class ImageHashes:
    """SHA-256 of files, remembered by path and stamp (see `trainable.data.files`).

    Paths are remembered in full, with the links of their folders followed: a cache may be shared by processes that have
    other working folders and name the same file in other ways.

    Args:
        cache: a SQLite file to remember digests in; None to hash every time.
        busy_seconds: how long another process may hold that file before this one does without.
        block: files that are looked up, hashed and remembered together.
    """

    def __init__(self, cache: Path | None = None, *, busy_seconds: float | None = None, block: int = 8192) -> None:
        self._block = block
        self._remembered = RememberedHashes(cache, busy_seconds)

    def of(self, files: Iterable[Path], progress: Progress = no_progress) -> dict[Path, str]:
        """Hex digests of `files`; `MISSING` for one that has gone."""
        distinct = list(dict.fromkeys(files))
        names = list(map(str, distinct))
        found = [MISSING] * len(names)
        self._digests(names, list(map(_stamp, names)), found.__setitem__, progress)
        return dict(zip(distinct, found, strict=True))

    def fill(self, tables: Iterable[ImageTable], progress: Progress = no_progress) -> None:
        """Note the digests of all files of the tables (see `ImageTable.digests`), unless they are known already.

        Files are looked up by their stamps from when the CSVs were checked. One that has gone since stays unknown.
        """
        wanted: dict[int, tuple[ImageFiles, bytearray]] = {}
        for table in tables:
            if table.hashed:
                continue
            files = table.files
            _, used = wanted.setdefault(id(files), (files, bytearray(len(files))))
            for number in table.numbers:
                used[number] = 1
        for files, used in wanted.values():
            numbers = [number for number, is_used in enumerate(used) if is_used and not files.hashed[number]]
            if numbers:
                self._fill(files, numbers, progress)

    def _fill(self, files: ImageFiles, numbers: list[int], progress: Progress) -> None:
        """The digests of a whole list that is as it was before take one look-up."""
        key = _list_key(files, numbers) if self._remembered.file else ""
        known = self._remembered.known_list(key) or b""
        if len(known) == DIGEST_BYTES * len(numbers):
            for place, number in enumerate(numbers):
                files.set_digest(number, known[DIGEST_BYTES * place : DIGEST_BYTES * (place + 1)])
            return

        def note(place: int, digest: str) -> None:
            if digest != MISSING:
                files.set_digest(numbers[place], bytes.fromhex(digest))

        names = [files.name(number) for number in numbers]
        stamps = [files.stamps[number] or _stamp(name) for number, name in zip(numbers, names, strict=True)]
        self._digests(names, stamps, note, progress)
        digests = [files.digests[DIGEST_BYTES * n : DIGEST_BYTES * (n + 1)] for n in numbers if files.hashed[n]]
        if len(digests) == len(numbers):
            self._remembered.remember_list(key, b"".join(digests))

    def forget(self, file: Path) -> None:
        """Its content is not what was remembered."""
        self._remembered.forget(_FullPaths().of(str(file)))

    def _digests(
        self, names: Sequence[str], stamps: Sequence[str], note: Callable[[int, str], None], progress: Progress
    ) -> None:
        """Find the hex digest of each file, `MISSING` for one that cannot be read.

        Args:
            note: takes a file's place in `names` and its digest.
        """
        full = _FullPaths()
        new: list[tuple[int, str]] = []
        for start in range(0, len(names), self._block):
            keys = [full.of(name) for name in names[start : start + self._block]]
            known = self._remembered.known(keys)
            for place, key in enumerate(keys, start):
                stamp, digest = known.get(key, (None, ""))
                if stamp == stamps[place]:
                    note(place, digest)
                else:
                    new.append((place, key))
        progress(len(names) - len(new), len(names))
        files = [(names[place], _size(stamps[place])) for place, _ in new]
        self._hash(new, files, stamps, note, progress)

    def _hash(
        self,
        new: Sequence[tuple[int, str]],
        files: Sequence[tuple[str, int]],
        stamps: Sequence[str],
        note: Callable[[int, str], None],
        progress: Progress,
    ) -> None:
        """Hash the new ones of all files (place, full path), and remember them, also those until an interrupt."""
        fresh, total = [], len(stamps)
        try:
            for done, (digest, (place, key)) in enumerate(
                zip(file_digests(files), new, strict=True), total - len(new) + 1
            ):
                note(place, digest)
                if digest != MISSING:
                    fresh.append((key, stamps[place], digest))
                if done % _SAID == 0 or done == total:
                    progress(done, total)
                if len(fresh) == self._block:
                    self._remembered.remember(fresh)
                    fresh.clear()
        finally:
            self._remembered.remember(fresh)


def _size(stamp: str) -> int:
    return -1 if stamp == MISSING else int(stamp.partition(":")[0])


def _list_key(files: ImageFiles, numbers: Sequence[int]) -> str:
    """A digest of all that says which files these are, and that they are as they were: full paths and stamps."""
    paths = [files.paths[number] for number in numbers]
    forms = bytes([files.forms[number] for number in numbers])
    names = [
        files.on_disk(number) if form or "\\" in path else path
        for number, path, form in zip(numbers, paths, forms, strict=True)
    ]
    folders = dict.fromkeys(name.rpartition("/")[0] for name in names)
    real = [os.path.realpath(files.root / folder) for folder in folders]
    found = hashlib.sha256(forms)
    for texts in (real, names, [files.stamps[number] for number in numbers]):
        found.update("\0".join([*texts, ""]).encode(errors="surrogateescape"))
        found.update(b"\0")
    return found.hexdigest()


class _FullPaths:
    """Absolute paths; links are followed once per folder, since images lie many to a folder."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def of(self, file: str) -> str:
        folder, _, name = file.rpartition(os.sep)
        if not folder:  # in the root or the working folder
            folder = os.path.dirname(file)  # noqa: PTH120 (as text)
        if folder not in self._folders:
            self._folders[folder] = os.path.join(os.path.realpath(folder), "")  # noqa: PTH118 (as text, once per file)
        return self._folders[folder] + name


def _stamp(file: str) -> str:
    try:
        return stamp_of(os.stat(file))  # noqa: PTH116 (once per image)
    except OSError:
        return MISSING


def digest(value: Any) -> str:
    """Hex SHA-256 of a JSON value."""
    return hashlib.sha256(json_text(value).encode()).hexdigest()


def json_text(value: Any) -> str:
    """JSON without spaces, with sorted keys and all characters as they are: equal values have equal texts."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

"""SHA-256 of files, each read once per size and time of modification (no torch)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from trainable.cache.remembered import RememberedHashes
from trainable.data.files import DIGEST_BYTES, ImageFiles, name_on_disk, stamp_of
from trainable.data.tables import ImageTable

MISSING = "missing"
"""Stands for the digest of a file that cannot be read."""

Progress = Callable[[int, int], None]
"""Takes the number of files whose digests are known, and that of all files asked for."""

_TASK = 64  # files that a thread hashes at a time: to hand it one costs as much as to hash a small file
_FIRST_READ, _NEXT_READ = 1 << 16, 1 << 20


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
        names = map(str, distinct)
        found: list[str] = []
        while block := list(islice(names, self._block)):
            found += self._digests(block, list(map(_stamp, block)))
            progress(len(found), len(distinct))
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
        key = _list_key(files, numbers)
        found = self._remembered.known_list(key) or b""
        if len(found) == DIGEST_BYTES * len(numbers):
            for place, number in enumerate(numbers):
                files.set_digest(number, found[DIGEST_BYTES * place : DIGEST_BYTES * (place + 1)])
            return
        self._look_up(files, numbers, progress)
        digests = [files.digests[DIGEST_BYTES * n : DIGEST_BYTES * (n + 1)] for n in numbers if files.hashed[n]]
        if len(digests) == len(numbers):
            self._remembered.remember_list(key, b"".join(digests))

    def _look_up(self, files: ImageFiles, numbers: list[int], progress: Progress) -> None:
        """Block by block, so that what was hashed is remembered where the process ends before the rest is."""
        for start in range(0, len(numbers), self._block):
            block = numbers[start : start + self._block]
            names = [files.name(number) for number in block]
            stamps = [files.stamps[number] or _stamp(name) for number, name in zip(block, names, strict=True)]
            digests = self._digests(names, stamps, partial(_advance, progress, start, len(numbers)))
            for number, digest in zip(block, digests, strict=True):
                if digest != MISSING:
                    files.set_digest(number, bytes.fromhex(digest))

    def forget(self, file: Path) -> None:
        """Its content is not what was remembered."""
        self._remembered.forget(_FullPaths().of(str(file)))

    def _digests(
        self, names: Sequence[str], stamps: Sequence[str], advance: Callable[[int], None] = lambda done: None
    ) -> list[str]:
        """Hex digests in this order, `MISSING` for one that cannot be read.

        Args:
            advance: called with the number of files whose digests are known.
        """
        full = _FullPaths()
        keys = [full.of(name) for name in names]
        known = self._remembered.known(keys)
        found = [known[key][1] if known.get(key, ("",))[0] == s else "" for key, s in zip(keys, stamps, strict=True)]
        new = [place for place, digest in enumerate(found) if not digest]
        advance(len(names) - len(new))
        fresh = []
        for place, digest in zip(new, _hashed([names[place] for place in new]), strict=True):
            found[place] = digest
            if digest != MISSING:
                fresh.append((keys[place], stamps[place], digest))
            if len(fresh) % _TASK == 0:
                advance(len(names) - len(new) + len(fresh))
        self._remembered.remember(fresh)
        return found


def _advance(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _list_key(files: ImageFiles, numbers: Sequence[int]) -> str:
    """A digest of all that says which files these are, and that they are as they were: full paths and stamps."""
    paths = [files.paths[number] for number in numbers]
    forms = bytes([files.forms[number] for number in numbers])
    names = [
        name_on_disk(path, form) if form or "\\" in path else path for path, form in zip(paths, forms, strict=True)
    ]
    folders = dict.fromkeys(name.rpartition("/")[0] for name in names)
    real = [os.path.realpath(files.root / folder) for folder in folders]
    found = hashlib.sha256(forms)
    for texts in (real, paths, [files.stamps[number] for number in numbers]):
        found.update("\0".join([*texts, ""]).encode(errors="surrogateescape"))
        found.update(b"\0")
    return found.hexdigest()


def _hashed(names: Sequence[str]) -> Iterator[str]:
    """Digests as they come, in order. Reading and hashing run without Python's lock, so threads do them at once."""
    tasks = [names[start : start + _TASK] for start in range(0, len(names), _TASK)]
    if len(tasks) < 2:
        yield from map(file_digest, names)
        return
    pool = ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1)))
    try:
        for digests in pool.map(lambda task: [file_digest(name) for name in task], tasks):
            yield from digests
    finally:
        pool.shutdown(cancel_futures=True)  # else Ctrl-C would wait until all of them are hashed


class _FullPaths:
    """Absolute paths; links are followed once per folder, since images lie many to a folder."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def of(self, file: str) -> str:
        folder, name = os.path.split(file)
        if folder not in self._folders:
            self._folders[folder] = os.path.join(os.path.realpath(folder), "")  # noqa: PTH118 (as text, once per file)
        return self._folders[folder] + name


def _stamp(file: str) -> str:
    try:
        return stamp_of(os.stat(file))  # noqa: PTH116 (once per image)
    except OSError:
        return MISSING


def file_digest(file: Path | str) -> str:
    """Hex SHA-256 of a file's content; `MISSING` where it cannot be read."""
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError:
        return MISSING
    try:
        found = hashlib.sha256(os.read(descriptor, _FIRST_READ))  # mostly a whole crop
        while data := os.read(descriptor, _NEXT_READ):
            found.update(data)
        return found.hexdigest()
    except OSError:
        return MISSING
    finally:
        os.close(descriptor)


def digest(value: Any) -> str:
    """Hex SHA-256 of a JSON value."""
    return hashlib.sha256(json_text(value).encode()).hexdigest()


def json_text(value: Any) -> str:
    """JSON without spaces, with sorted keys and all characters as they are: equal values have equal texts."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

"""SHA-256 of files (no torch)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trainable.base.limits import usable_cpus

MISSING = "missing"
"""Stands for the digest of a file that cannot be read."""

_TASK = 64  # files at a time: to hand a thread its work costs as much as to hash a small file
_MOST_READ = 1 << 20

File = tuple[str, int]
"""A name, and the size in bytes as far as it is known, else -1."""


def file_digest(file: Path | str, size: int = -1) -> str:
    """Hex SHA-256 of a file's content; `MISSING` where it cannot be read.

    Args:
        size: the file's bytes as far as they are known. A read that asks for more and gets as many has read it all.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError:
        return MISSING
    try:
        data = os.read(descriptor, size + 1 if 0 <= size < _MOST_READ else _MOST_READ)
        found = hashlib.sha256(data)
        if len(data) != size:
            while data := os.read(descriptor, _MOST_READ):
                found.update(data)
        return found.hexdigest()
    except OSError:
        return MISSING
    finally:
        os.close(descriptor)


def file_digests(files: Sequence[File]) -> Iterator[str]:
    """The digest of each file, in this order, as they come; threads read and hash without Python's lock."""
    if len(files) <= _TASK:
        yield from _hash_task(files)
        return
    tasks = [files[start : start + _TASK] for start in range(0, len(files), _TASK)]
    pool = ThreadPoolExecutor(min(16, 2 * usable_cpus()))
    try:
        yield from (digest for task in pool.map(_hash_task, tasks) for digest in task)
    finally:
        pool.shutdown(cancel_futures=True)  # else Ctrl-C would wait until all of them are hashed


def _hash_task(files: Sequence[File]) -> list[str]:
    return [file_digest(name, size) for name, size in files]

"""Digests of many files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from trainable.cache.digests import MISSING, file_digest, file_digests


@pytest.fixture
def files(tmp_path: Path) -> list[tuple[str, int]]:
    """Some empty, some gone, with names of all kinds."""
    found = []
    for number in range(300):
        file = tmp_path / f"{number} 기쁨\n:&.jpg"
        if number % 50:
            file.write_bytes(bytes([number % 256]) * (number % 7))
        found.append((str(file), number % 7 if number % 3 else -1))
    return found


def expected(files: list[tuple[str, int]]) -> list[str]:
    paths = [Path(name) for name, _ in files]
    return [hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else MISSING for path in paths]


def test_digests_come_in_order(files: list[tuple[str, int]]) -> None:
    for some in (files, files[:1], []):
        assert list(file_digests(some)) == expected(some)


def test_a_folder_has_no_digest(tmp_path: Path) -> None:
    assert file_digest(tmp_path) == MISSING

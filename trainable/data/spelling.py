"""Names that are written in another Unicode form than on disk.

The same Korean name may be stored composed (Linux, Windows: NFC) or decomposed (macOS, some archives: NFD). Where
folders come from several machines, one path has both forms, so each component is compared by itself.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path


class Spellings:
    """Finds paths below a folder whatever the forms of their components; each folder on the way is read once.

    Args:
        prefix: what comes before every path: the folder with a separator at its end, or nothing.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._names: dict[str, dict[str, list[str]]] = {}

    def of(self, path: str) -> Iterator[str]:
        """The paths on disk whose components equal those of `path` (with `/`) in NFC.

        Where a folder has a name in several forms, the one as it is written comes first.
        """
        return self._below("", path.split("/"))

    def _below(self, folder: str, parts: Sequence[str]) -> Iterator[str]:
        for name in self._same(folder, parts[0]):
            if len(parts) == 1:
                yield folder + name
            else:
                yield from self._below(f"{folder}{name}/", parts[1:])

    def _same(self, folder: str, name: str) -> list[str]:
        """The names in a folder that equal `name`."""
        if name.isascii():
            return [name]
        if folder not in self._names:
            self._names[folder] = self._read(folder)
        same = self._names[folder].get(unicodedata.normalize("NFC", name), [])
        return sorted(same, key=lambda other: (other != name, other))

    def _read(self, folder: str) -> dict[str, list[str]]:
        """The names in a folder that have several forms, by their NFC."""
        found: dict[str, list[str]] = {}
        try:
            names = os.listdir(self._prefix + folder or os.curdir)  # noqa: PTH208 (names, not paths)
        except OSError:  # there is no such folder, or it may not be read
            return found
        for name in names:
            if not name.isascii():
                found.setdefault(unicodedata.normalize("NFC", name), []).append(name)
        return found


def spelled(path: Path) -> Path:
    """What a path that a user typed names on disk; the path itself where it is there as written, or not at all."""
    text = path.as_posix()
    if text.isascii() or os.path.lexists(path):
        return path
    return next((Path(found) for found in Spellings("").of(text) if os.path.lexists(found)), path)

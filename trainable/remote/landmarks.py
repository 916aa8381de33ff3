"""Whether a process sees the folders of the driver, and not others of the same name (no torch)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Landmarks:
    """What the driver has left in its folders for others to find.

    Args:
        marker: a file among the outputs.
        word: its content, which is drawn anew for every command.
        files: some of the project's files, where nothing may be written, with their sizes, times of modification and
            numbers in their file system: a copy of a project on another disk differs in the last.
    """

    marker: Path
    word: str
    files: Mapping[Path, Stamp]

    @classmethod
    def leave(cls, folder: Path, files: Iterable[Path]) -> Landmarks:
        """Leave a marker in `folder`, and note what some of the project's files are."""
        marker, word = folder.absolute() / "driver", secrets.token_hex(16)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(word, encoding="ascii")
        paths = [file.absolute() for file in files]
        return cls(marker, word, {path: stamp for path in paths if (stamp := _stamp(path))})

    def remove(self) -> None:
        """The command is over."""
        self.marker.unlink(missing_ok=True)

    @property
    def output_is_here(self) -> bool:
        """Whether what is written into the output root here, the driver sees."""
        try:
            return self.marker.read_text(encoding="ascii") == self.word
        except (OSError, ValueError):
            return False

    @property
    def project_is_here(self) -> bool:
        """Whether the project's files are here."""
        return bool(self.files) and all(_stamp(path) == stamp for path, stamp in self.files.items())


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino

"""The photos of a part of a FaceAPI split, for a task on a node that may not see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from trainable.cache.hashes import MISSING
from trainable.data.tables import ImageTable
from trainable.remote.landmarks import Landmarks

AT_ONCE = 8
"""Photos that come in one message: some MB each."""


class PhotoDisk(Protocol):
    """The driver's disk (see `trainable.ray_disk.RayDisk`)."""

    landmarks: Landmarks

    def images(self, digests: Sequence[str]) -> list[bytes]: ...


@dataclass(frozen=True)
class Photos:
    """The photos of some rows.

    Args:
        root: absolute path of the project, where the driver has it.
        names: where each row's photo lies below the root, with `/`.
        digests: SHA-256 of each, in hex; `MISSING` for one that cannot be read.
    """

    disk: PhotoDisk
    root: Path
    names: Sequence[str]
    digests: Sequence[str]

    @classmethod
    def of(cls, table: ImageTable, root: Path, disk: PhotoDisk) -> Photos:
        """Those of a table's rows."""
        files, numbers = table.files, table.numbers
        names, digests = map(files.on_disk, numbers), (files.digest(number, MISSING) for number in numbers)
        return cls(disk, root, list(names), list(digests))

    @contextmanager
    def here(self) -> Iterator[Path]:
        """A folder with the photos under their names: the project, or a copy of them that goes with the block."""
        if self.disk.landmarks.project_is_here:
            yield self.root
            return
        with TemporaryDirectory(prefix="emosweep-photos-") as folder:
            self._fetch(Path(folder))
            yield Path(folder)

    def _fetch(self, folder: Path) -> None:
        """Each comes once, whatever number of rows names it; one that cannot be read here either is left out."""
        wanted = {name: digest for name, digest in zip(self.names, self.digests, strict=True) if digest != MISSING}
        names = list(wanted)
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            for name, content in zip(some, self.disk.images([wanted[name] for name in some]), strict=True):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)

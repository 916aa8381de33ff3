"""What the driver's node does for nodes that do not see its folders: it hands out files and takes in what trials save.

No torch and no Ray: `trainable/ray_disk.py` makes an actor of this class. It reads only what the command's tables,
trainings and evaluations name, and writes only into the run folders of the command's trainings.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from trainable.base.config import NAMED_WEIGHTS, Job
from trainable.base.errors import ExperimentError
from trainable.base.files import replacing
from trainable.base.paths import RunPaths, checkpoint_pairs
from trainable.cache.folder import HASHES, cache_root
from trainable.cache.hashes import ImageHashes
from trainable.data.files import ImageFiles
from trainable.data.images import read_image
from trainable.data.tables import ImageTable
from trainable.network.weight_files import imagenet_file
from trainable.run.identity import Identity
from trainable.run.placing import new_results, put_in_place
from trainable.run.resumption import find_checkpoint, keep_previous

T = TypeVar("T")
Traffic = dict[str, tuple[int, int]]


@dataclass
class _Run:
    """A training that may begin on any node, and again on another one.

    `turn` counts the processes that have begun it. Only the last one may save: one that was cut off may still be alive.
    """

    paths: RunPaths
    identity: Identity
    turn: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class DriverDisk:
    """The disk that has the project and gets the results. Its methods may be called from several threads.

    Args:
        tables: whose images are handed out, with their digests.
        base: the folder that relative paths in them start from.
    """

    def __init__(self, tables: Iterable[ImageTable], base: Path) -> None:
        self._tables, self._base = list(tables), base
        self._runs: dict[str, _Run] = {}
        self._weights: set[str] = set()
        self._lock = threading.Lock()
        self._places: dict[str, tuple[ImageFiles, int]] | None = None
        self._files: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def expect(self, job: Job) -> None:
        """A training that will begin somewhere; only such trainings are served."""
        self._runs.setdefault(job["out"], _Run(RunPaths(Path(job["out"])), job["identity"]))
        self._weights.add(job["config"]["weights"])

    def traffic(self) -> Traffic:
        """The files that have travelled and their bytes, by kind: images, weights, checkpoints, states and results."""
        with self._lock:
            return {kind: (files, self._bytes[kind]) for kind, files in self._files.items()}

    # -- files

    def images(self, digests: Sequence[str]) -> list[bytes]:
        """The contents of image files. Whoever gets them compares them with their digests.

        Raises:
            ExperimentError: one has gone, or no table names it.
        """
        return self._sent("images", [read_image(self._place(digest)) for digest in digests])

    def _place(self, digest: str) -> Path:
        with self._lock:
            if self._places is None:
                self._places = {}
                for table in self._tables:
                    self._places.update(_places(table))
        found = self._places.get(digest)
        if found is None:
            raise ExperimentError(f"no table of this command has an image of the digest {digest or '(none)'}")
        files, number = found
        return self._base / files.file(number)

    def changed(self, digest: str) -> None:
        """The file was written over with its size and time of before: its remembered hash must not deceive again."""
        ImageHashes(cache_root() / HASHES).forget(self._place(digest))

    def weights(self, weights: str) -> bytes:
        """The content of the file that `weights` of a configuration names.

        Raises:
            ExperimentError: no training asks for it, or it has gone.
        """
        if weights not in self._weights:
            raise ExperimentError(f"no training of this command has the weights {weights}")
        file = imagenet_file() if weights in NAMED_WEIGHTS else Path(weights)
        return self._sent("weights", [read_image(file)])[0]

    # -- runs

    def begin(self, out: str) -> tuple[int, dict[str, bytes]]:
        """Another process begins the run, or goes on with it.

        Returns:
            Its turn, and the files of `RunPaths.checkpoints` that it goes on from. Of a broken checkpoint that is newer
            than the last whole one only the note comes, so that the run says the same of it as here.
        """
        run = self._run(out)
        with run.lock:
            run.turn += 1
            return run.turn, self._checkpoints(run)

    def own(self, out: str) -> None:
        """A process that sees the run's folder goes on with it there; who had the run before saves no more."""
        run = self._run(out)
        with run.lock:
            run.turn += 1

    def _checkpoints(self, run: _Run) -> dict[str, bytes]:
        found, files = find_checkpoint(run.paths.checkpoints, run.identity), dict[str, bytes]()
        for file, note in checkpoint_pairs(run.paths.checkpoints):
            if note.is_file():
                files[note.name] = note.read_bytes()
            elif file.exists():  # broken, and nothing tells of which epoch it was
                files[file.name] = b""
            if file == found.file:
                return files | {file.name: self._sent("checkpoints", [file.read_bytes()])[0]}
        return files

    def save(self, out: str, turn: int, checkpoint: bytes, note: bytes) -> None:
        """Keep the state of a run after an epoch as `save_checkpoint` does.

        Raises:
            ExperimentError: another process has begun the run since.
            OSError: the disk is full or fails.
        """

        def keep(run: _Run) -> None:
            keep_previous(run.paths, run.identity, json.loads(note)["epoch"])
            _write(run.paths.checkpoint, checkpoint)
            _write(run.paths.checkpoint_note, note)

        self._taken("states", [checkpoint])  # and its note, a thousandth of it
        self._change(out, turn, keep)

    def finish(self, out: str, turn: int, files: Mapping[str, bytes]) -> str:
        """Put all results of a run in place, by name; those of others are moved aside here (see `put_in_place`).

        Raises:
            ExperimentError, OSError: as `save`.
        """

        def keep(run: _Run) -> str:
            new = new_results(run.paths)
            for file in new.files:
                if file.name in files:
                    _write(file, files[file.name])
            return put_in_place(run.paths, json.loads(files[new.manifest.name]))

        self._taken("results", files.values())
        return self._change(out, turn, keep)

    def _change(self, out: str, turn: int, change: Callable[[_Run], T]) -> T:
        run = self._run(out)
        with run.lock:
            if turn != run.turn:
                raise ExperimentError(f"{out}: another process goes on with this run")
            return change(run)

    def _run(self, out: str) -> _Run:
        if out not in self._runs:
            raise ExperimentError(f"{out}: no run of this command")
        return self._runs[out]

    def _sent(self, kind: str, contents: list[bytes]) -> list[bytes]:
        self._taken(kind, contents)
        return contents

    def _taken(self, kind: str, contents: Iterable[bytes]) -> None:
        sizes = list(map(len, contents))
        with self._lock:
            self._files[kind] += len(sizes)
            self._bytes[kind] += sum(sizes)


def _places(table: ImageTable) -> dict[str, tuple[ImageFiles, int]]:
    """Where each image of a table lies, by its digest."""
    files = table.files
    return {files.digest(number): (files, number) for number in set(table.numbers) if files.hashed[number]}


def _write(path: Path, content: bytes) -> None:
    with replacing(path, lambda: len(content)) as temporary:
        temporary.write_bytes(content)

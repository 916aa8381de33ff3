"""A run on a node that does not see the driver's folders: it works in a folder of its own, which the driver gets.

The trainer knows nothing of this. It reads its files through `FetchedFiles` and writes its run folder on this node's
disk; `MirroredRun` fetches the checkpoint to go on from and sends every epoch's state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Protocol

from filelock import FileLock

from trainable.base.config import Job
from trainable.base.files import replacing
from trainable.base.paths import RunPaths
from trainable.cache.folder import WEIGHTS, cache_root
from trainable.cache.hashes import file_digest
from trainable.data.input_files import Contents, InputFiles
from trainable.network.weight_files import imagenet_file


class Disk(Protocol):
    """What a node asks of the driver's (see `trainable.remote.disk.DriverDisk`)."""

    def images(self, digests: Sequence[str]) -> list[bytes]: ...
    def changed(self, digest: str) -> None: ...
    def weights(self, weights: str) -> bytes: ...
    def begin(self, out: str) -> tuple[int, dict[str, bytes]]: ...
    def save(self, out: str, turn: int, checkpoint: bytes, note: bytes) -> None: ...
    def finish(self, out: str, turn: int, files: Mapping[str, bytes]) -> str: ...


class FetchedFiles(InputFiles):
    """Files of the driver's disk.

    Images come in the blocks in which they are decoded, and are kept decoded in this node's cache (see
    `trainable.cache.rows`, whose processes share that work): each comes once to a node.

    Args:
        disk: the driver's.
        job: the training that reads them.
        local: the project is on a disk that this node has, too; its images are read there.
    """

    def __init__(self, disk: Disk, job: Job, *, local: bool = False) -> None:
        self.local = local
        self._disk, self._weights = disk, str(job["identity"].get("weights", "")).removeprefix("sha256:")

    def images(self, digests: Sequence[str], files: Sequence[Path]) -> Contents:
        if self.local:
            return super().images(digests, files)
        return self._disk.images(digests).__getitem__

    def changed(self, digest: str) -> None:
        if not self.local:
            self._disk.changed(digest)

    def weights(self, weights: str) -> str:
        """The weights' file on this node's disk; it comes once to a node, too."""
        if weights == "none" or file_digest(weights) == self._weights:
            return weights
        if weights == "imagenet":
            self._fetch(weights, imagenet_file())
            return weights
        file = cache_root() / WEIGHTS / f"{self._weights}.pt"
        self._fetch(weights, file)
        return str(file)

    def _fetch(self, weights: str, file: Path) -> None:
        if file.is_file():
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock"):
            if not file.is_file():
                content = self._disk.weights(weights)
                with replacing(file, lambda: len(content)) as temporary:
                    temporary.write_bytes(content)


class MirroredRun:
    """The folder of a run on this node, and its way to the driver: in order, one state after the other."""

    def __init__(self, disk: Disk, job: Job) -> None:
        self._disk, self._out = disk, job["out"]
        self._folder = TemporaryDirectory(prefix="emosweep-run-", ignore_cleanup_errors=True)
        self._paths = RunPaths(Path(self._folder.name) / Path(self._out).name)
        self._sender = ThreadPoolExecutor(1, "sender")
        self._sent: Future[None] | None = None
        self._turn, files = disk.begin(self._out)
        self._paths.checkpoints.mkdir(parents=True)
        for name, content in files.items():
            (self._paths.checkpoints / name).write_bytes(content)
        self.name = self._paths.out.name
        self.job: Job = {**job, "out": str(self._paths.out)}
        """The same training in this folder."""

    def saved(self) -> None:
        """An epoch is in the checkpoint: send it while the next one is trained.

        The epoch before has arrived then, so a run that dies repeats one epoch at most.

        Raises:
            Exception: what went wrong at the driver, with this state or with the one before.
        """
        self.settle()
        # The next epoch puts another file in the place of this one, which stays as it is.
        state, note = self._paths.checkpoint.open("rb"), self._paths.checkpoint_note.read_bytes()
        self._sent = self._sender.submit(self._send, state, note)

    def _send(self, state: BinaryIO, note: bytes) -> None:
        with state:
            self._disk.save(self._out, self._turn, state.read(), note)

    def settle(self) -> None:
        """Wait until everything that was sent is on the driver's disk."""
        if self._sent is not None:
            self._sent.result()

    def finish(self) -> str:
        """Send the results of the finished run. Returns what the driver says of earlier ones that it moved aside."""
        self.settle()
        files = [file for file in (*self._paths.files, self._paths.manifest) if file.is_file()]
        return self._disk.finish(self._out, self._turn, {file.name: file.read_bytes() for file in files})

    def close(self) -> None:
        """Let what is on its way arrive; then the folder goes."""
        with suppress(Exception):  # the run is over here, and goes on elsewhere from what has arrived
            self.settle()
        self._sender.shutdown()
        self._folder.cleanup()

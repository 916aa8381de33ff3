"""The image pack: every image decoded once per machine, as raw pixels that all runs map (as FFCV does).

Rows are keyed by the SHA-256 of the file's content. So splits share their images, a changed file is decoded anew, and
a renamed one is not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor

from trainable.base.config import IMAGE_SIZE
from trainable.base.errors import ExperimentError
from trainable.cache.folder import HASHES, cache_root
from trainable.cache.hashes import ImageHashes
from trainable.cache.rows import Rows, RowStore
from trainable.data.images import decode, read_image

SHAPE = (IMAGE_SIZE, IMAGE_SIZE, 3)


class ImagePack:
    """The decoded images of this machine.

    Args:
        root: the cache's folder; by default the machine's.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_root()
        self.hashes = ImageHashes(self.root / HASHES)
        # Another version may round differently.
        self.store = RowStore(self.root, self.root / "images" / f"pillow-{PIL.__version__}", SHAPE, torch.uint8)

    def digests(self, files: Sequence[Path]) -> list[str]:
        """The keys of `files`, in this order.

        Raises:
            ExperimentError: a file cannot be read, or has gone since the inputs were checked.
        """
        found = self.hashes.of(files)
        for file in files:
            if found[file] == "missing":
                read_image(file)  # says why
                raise _changed(file)
        return [found[file] for file in files]

    def fill(
        self, files: Iterable[Path], *, threads: int | None = None, advance: Callable[[int], None] = lambda n: None
    ) -> int:
        """Decode what is not there yet.

        Args:
            threads: that decode; Pillow does so without the GIL. Default: all CPUs.
            advance: called with the number of images that have come.

        Returns:
            The number of images decoded here.

        Raises:
            CacheFull: they do not fit. ExperimentError: a file cannot be read, or changes while it is being used.
        """
        by_digest: dict[str, Path] = {}
        listed = list(files)
        for file, digest in zip(listed, self.digests(listed), strict=True):
            by_digest.setdefault(digest, file)
        with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
            return self.store.fill(by_digest, lambda keys: self._decode(keys, by_digest, pool), advance)

    def rows(self, files: Sequence[Path]) -> tuple[Rows, list[str]]:
        """Pixels of `files` (uint8, (n, 160, 160, 3); flagged where corrupt) and their keys, after `fill`.

        Raises:
            ExperimentError: a file has gone or changed since then.
        """
        digests = self.digests(files)
        absent = set(self.store.missing(digests))
        for file, digest in zip(files, digests, strict=True):
            if digest in absent:
                raise _changed(file)
        return self.store.rows(digests), digests

    def _decode(
        self, keys: list[str], files: Mapping[str, Path], pool: ThreadPoolExecutor
    ) -> tuple[Tensor, list[bool]]:
        out = np.zeros((len(keys), *SHAPE), np.uint8)

        def one(place: int) -> bool:
            file = files[keys[place]]
            content = read_image(file)
            if hashlib.sha256(content).hexdigest() != keys[place]:
                self.hashes.forget(file)  # it may have been written over with the size and mtime of before
                raise _changed(file)
            pixels = decode(content)
            if pixels is not None:
                out[place] = pixels
            return pixels is None

        return torch.from_numpy(out), list(pool.map(one, range(len(keys))))


def _changed(file: Path) -> ExperimentError:
    return ExperimentError(f"{file}: changed while it was being used; try again")

"""The image store: every image is decoded once per machine, as raw pixels that all runs map (as FFCV does).

Rows are keyed by the SHA-256 of the file's content. So splits share their images, a changed file is decoded anew, and
a renamed one is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor

from trainable.base.config import IMAGE_SIZE
from trainable.base.errors import ExperimentError
from trainable.base.limits import usable_cpus
from trainable.cache.folder import HASHES, cache_root
from trainable.cache.hashes import MISSING, ImageHashes
from trainable.cache.rows import Rows, RowStore
from trainable.data.images import decode, read_image
from trainable.data.input_files import ON_DISK, InputFiles

SHAPE = (IMAGE_SIZE, IMAGE_SIZE, 3)


class ImageStore:
    """The decoded images of this machine.

    Args:
        root: the cache's folder; by default the machine's.
        source: where the files' contents come from.
    """

    def __init__(self, root: Path | None = None, source: InputFiles = ON_DISK) -> None:
        self.root, self.source = root or cache_root(), source
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
            if found[file] == MISSING:
                read_image(file)  # says why
                raise _changed(file)
        return [found[file] for file in files]

    def fill(
        self,
        files: Sequence[Path],
        digests: Sequence[str] | None = None,
        *,
        threads: int | None = None,
        advance: Callable[[int], None] = lambda n: None,
    ) -> Sequence[str]:
        """Decode what is not there yet.

        Args:
            digests: the keys of `files` where these are known already, in which case only what is decoded is read.
            threads: that decode; Pillow does so without the GIL. Default: all CPUs that may be used.
            advance: called with the number of images that have come.

        Returns:
            The keys of `files`, in this order.

        Raises:
            CacheFull: they do not fit. ExperimentError: a file cannot be read, or its content is not that of its key.
        """
        digests = self.digests(files) if digests is None else digests
        absent = set(self.store.missing(digests))
        places = {digest: place for place, digest in enumerate(digests) if digest in absent}
        with ThreadPoolExecutor(threads or usable_cpus()) as pool:

            def decode_block(keys: list[str]) -> tuple[Tensor, list[bool]]:
                return self._decode(keys, [files[places[key]] for key in keys], pool)

            self.store.fill(digests, decode_block, advance)
        return digests

    def rows(self, files: Sequence[Path], digests: Sequence[str] | None = None) -> tuple[Rows, Sequence[str]]:
        """Pixels of `files` (uint8, (n, 160, 160, 3); flagged where corrupt) and their keys, after `fill`.

        Args:
            digests: the keys that `fill` returned; without them each file is looked up again.

        Raises:
            ExperimentError: a file has gone or changed since then.
        """
        digests = self.digests(files) if digests is None else digests
        absent = set(self.store.missing(digests))
        for place, digest in enumerate(digests) if absent else ():
            if digest in absent:
                raise _changed(files[place])
        return self.store.rows(digests), digests

    def _decode(self, keys: list[str], files: list[Path], pool: ThreadPoolExecutor) -> tuple[Tensor, list[bool]]:
        out = np.zeros((len(keys), *SHAPE), np.uint8)
        content_of = self.source.images(keys, files)

        def one(place: int) -> bool:
            content = content_of(place)
            if hashlib.sha256(content).hexdigest() != keys[place]:
                self.source.changed(keys[place])
                self.hashes.forget(files[place])  # it may have been written over with the size and mtime of before
                raise _changed(files[place])
            pixels = decode(content)
            if pixels is not None:
                out[place] = pixels
            return pixels is None

        return torch.from_numpy(out), list(pool.map(one, range(len(keys))))


def _changed(file: Path) -> ExperimentError:
    return ExperimentError(f"{file}: changed while it was being used; try again")

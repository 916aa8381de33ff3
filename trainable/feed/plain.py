"""The plain path: every image is decoded, and every frozen layer run, in every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from trainable.base.config import IMAGE_SIZE
from trainable.base.errors import ExperimentError
from trainable.data.images import decode
from trainable.data.input_files import ON_DISK, InputFiles
from trainable.data.tables import ImageTable
from trainable.feed.order import epoch_flips, epoch_order
from trainable.network.compute import Compute
from trainable.network.pixels import normalise
from trainable.network.stages import StageBoundary

Item = tuple[int, bool]


Batch = tuple[Tensor, Tensor, list[str]]


class FaceImages(Dataset[tuple[Tensor, int, int]]):
    """Rows of a CSV as (pixels, class index, row if it is corrupt else -1). A corrupt image is a black patch
    (runbook section 9).

    Items are asked for by (index, mirrored); pixels are uint8 of shape (3, 160, 160).
    """

    def __init__(self, table: ImageTable, classes: list[str], source: InputFiles = ON_DISK) -> None:
        index = {name: i for i, name in enumerate(classes)}
        self.files, self.source = table.images, source
        self.digests = [] if source.local else table.digests()
        self.labels = [index[label] for label in table.labels]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, item: Item) -> tuple[Tensor, int, int]:
        return self.__getitems__([item])[0]

    def __getitems__(self, items: list[Item]) -> list[tuple[Tensor, int, int]]:
        """A batch, which DataLoader asks for as one: contents that come from elsewhere come together."""
        at = [index for index, _ in items]
        contents = self.source.images([self.digests[i] for i in at if self.digests], [self.files[i] for i in at])
        return [self._item(contents(place), *item) for place, item in enumerate(items)]

    def _item(self, content: bytes, index: int, mirrored: bool) -> tuple[Tensor, int, int]:
        pixels, corrupt = decode(content), -1
        if pixels is None:
            corrupt = index
            pixels = np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
        if mirrored:
            pixels = pixels[:, ::-1]
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))), self.labels[index], corrupt


class EpochBatches(Sampler[list[Item]]):
    """Batches of (index, mirrored): shuffled and mirrored by (seed, epoch), or in file order where `seed` is None."""

    def __init__(self, n: int, batch: int, seed: int | None = None) -> None:
        self.n, self.batch, self.seed, self.epoch = n, batch, seed, 0

    def __len__(self) -> int:
        return -(-self.n // self.batch)

    def __iter__(self) -> Iterator[list[Item]]:
        if self.seed is None:
            items = [(i, False) for i in range(self.n)]
        else:
            flips = epoch_flips(self.seed, self.epoch, self.n).tolist()
            items = [(i, flips[i]) for i in epoch_order(self.seed, self.epoch, self.n).tolist()]
        for start in range(0, self.n, self.batch):
            yield items[start : start + self.batch]


class ImageBatches:
    """Iterates over one part of a split, batch by batch, in the order of `EpochBatches`.

    Args:
        seed: shuffles and mirrors by it; None for file order.
    """

    def __init__(
        self, table: ImageTable, classes: list[str], batch: int, *, seed: int | None, workers: int, pin: bool,
        source: InputFiles = ON_DISK,
    ) -> None:  # fmt: skip
        self.sampler = EpochBatches(len(table), batch, seed)
        self.paths = table.paths
        self.loader: DataLoader[Any] = DataLoader(
            FaceImages(table, classes, source),
            batch_sampler=self.sampler,
            num_workers=workers,
            pin_memory=pin,
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # else every pass would take a number from dropout's generator
        )

    def __len__(self) -> int:
        return self.sampler.n

    def epoch(self, epoch: int = 0) -> Iterator[Batch]:
        """Pixels uint8 (b, 3, 160, 160) and labels int64 (b,), both on the CPU, and the CSV paths of the corrupt."""
        self.sampler.epoch = epoch
        try:
            for pixels, labels, corrupt in self.loader:
                yield pixels, labels, [self.paths[i] for i in corrupt[corrupt >= 0].tolist()]
        except ExperimentError as error:  # a worker's message comes with its traceback around it
            message = str(error).rstrip().rpartition(f"{ExperimentError.__name__}: ")[2]
            raise ExperimentError(message) from error


class PlainBatches:
    """Decodes every image and runs the frozen layers every time.

    Args:
        check: is told at the end of a pass which images were corrupt, by their CSV paths, and may raise.
    """

    def __init__(
        self, images: ImageBatches, boundary: StageBoundary, compute: Compute,
        check: Callable[[set[str]], None] = lambda corrupt: None,
    ) -> None:  # fmt: skip
        self.images, self.boundary, self.compute, self.check = images, boundary, compute, check
        self.corrupt: set[str] = set()

    def __len__(self) -> int:
        return len(self.images)

    def epoch(self, epoch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        for pixels, labels, corrupt in self.images.epoch(epoch):
            self.corrupt.update(corrupt)
            x = normalise(pixels, self.compute.device)
            if self.boundary.stage < 3:
                with self.compute.autocast():
                    x = torch.cat([self.boundary.before(some) for (some,) in self.compute.chunks(x)])
            yield x, labels.to(self.compute.device, non_blocking=True)
        self.check(self.corrupt)

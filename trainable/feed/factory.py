"""Makes the batches of a run: from the image store and the frozen features, or on the plain path."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial

import torch
from torch import nn

from trainable.base.config import TrainConfig
from trainable.base.errors import CacheFull
from trainable.cache.images import ImageStore
from trainable.cache.rows import Rows
from trainable.data.input_files import ON_DISK, InputFiles
from trainable.data.tables import ImageTable
from trainable.feed.batches import Batches, PixelBatches, StoredBatches, free_gpu_memory
from trainable.feed.corrupt import check_corrupt
from trainable.feed.features import FrozenFeatures
from trainable.feed.plain import ImageBatches, PlainBatches
from trainable.network.compute import Compute
from trainable.network.stages import StageBoundary

EVALUATED = 256
"""Images that are fetched at a time to be evaluated on a CPU."""


class InputFactory:
    """Makes the batches of each part of a split at each stage. Both paths give the same numbers.

    Args:
        plain: decode every image and run every layer every time.
        workers: DataLoader workers of the plain path.
        source: where the images' contents come from.
        allow_corrupt: whether a part may have any number of corrupt images (see `trainable.feed.corrupt`).
        free_memory: bytes that a device has free for rows to stay there.
    """

    def __init__(
        self, tables: Mapping[str, ImageTable], classes: list[str], config: TrainConfig, *,
        plain: bool, workers: int, log: Callable[[str], None], source: InputFiles = ON_DISK,
        allow_corrupt: bool = False,
        free_memory: Callable[[torch.device], int] = free_gpu_memory,
    ) -> None:  # fmt: skip
        self.free_memory = free_memory
        self.tables, self.classes, self.config = tables, classes, config
        self.plain, self.log, self.allow_corrupt = plain, log, allow_corrupt
        self.source, self.workers = source, workers if source.local else 0
        self.resident = True
        self._images: ImageStore | None = None
        self._ready: dict[tuple[str, int, Compute], Batches] = {}

    def forget(self) -> None:
        """Give back what the last batches hold: device memory, DataLoader workers."""
        self._ready.clear()

    @property
    def on_device(self) -> bool:
        """Whether the last batches keep rows on the GPU."""
        return any(isinstance(inputs, StoredBatches) and inputs.resident is not None for inputs in self._ready.values())

    def leave_device(self) -> None:
        """Let rows stream to the GPU from now on."""
        self.resident = False

    def inputs(self, part: str, model: nn.Module, stage: int, compute: Compute) -> Batches:
        """The batches of one part at one stage: train is shuffled and mirrored by the seed and the epoch, and the other
        parts come in file order. Those of another stage or compute are given up.

        Raises:
            TooManyCorrupt: too many images of some part are corrupt, as far as that is known before the first pass.
        """
        if self._images is None and not self.plain:
            self._decode_all()
        key = (part, stage, compute)
        if key not in self._ready:
            self._ready = {known: inputs for known, inputs in self._ready.items() if known[1:] == (stage, compute)}
            self._ready[key] = self._make(part, StageBoundary(model, stage), compute)
        return self._ready[key]

    def _decode_all(self) -> None:
        """Before the first epoch, so that too many corrupt images end a run before it has trained for nothing."""
        held = list[Rows]()
        with suppress(CacheFull):  # then batches are made in another way, which checks its images itself
            for part in self.tables:
                rows, _ = self._pixels(part)
                held.append(rows)  # so that no part makes room at the cost of another
                self._check(part, self._flagged(part, rows))

    def _check(self, part: str, corrupt: Collection[str]) -> None:
        table = self.tables[part]
        rows = [path for path in table.paths if path in corrupt] if corrupt else []
        check_corrupt(part, rows, len(table), allowed=self.allow_corrupt)

    def _flagged(self, part: str, rows: Rows) -> set[str]:
        return {path for path, flag in zip(self.tables[part].paths, rows.flags, strict=True) if flag}

    def _make(self, part: str, boundary: StageBoundary, compute: Compute) -> Batches:
        if not self.plain:
            try:
                return self._stored(part, boundary, compute)
            except CacheFull as error:
                self.log(f"{error}; going on without it, every epoch decodes and computes everything")
                self.plain = True
        return self._plain(part, boundary, compute)

    def _plain(self, part: str, boundary: StageBoundary, compute: Compute) -> Batches:
        images = ImageBatches(
            self.tables[part], self.classes, self._batch(part, compute),
            seed=self._seed(part), workers=self.workers, pin=compute.device.type == "cuda",
            source=self.source,
        )  # fmt: skip
        return PlainBatches(images, boundary, compute, partial(self._check, part))

    def _stored(self, part: str, boundary: StageBoundary, compute: Compute) -> Batches:
        table = self.tables[part]
        rows, digests = self._pixels(part)
        corrupt = self._flagged(part, rows)
        self._check(part, corrupt)
        index = {name: i for i, name in enumerate(self.classes)}
        labels = [index[label] for label in table.labels]
        both_flips = boundary.stage < 3 and part == "train"
        kind: type[StoredBatches] = PixelBatches
        if boundary.stage < 3:
            features = FrozenFeatures(self._store(), boundary.model, boundary.stage, compute)
            if self.config.mode == "finetune" and boundary.stage == 1:
                features.fill_trunk(digests, both_flips=both_flips)
            rows, kind = features.rows(digests, both_flips=both_flips), StoredBatches
        return kind(
            rows, labels, corrupt, self._batch(part, compute),
            seed=self._seed(part), device=compute.device, both_flips=both_flips, resident=self.resident,
            free_memory=self.free_memory,
        )  # fmt: skip

    def _pixels(self, part: str) -> tuple[Rows, Sequence[str]]:
        """The decoded images of a part and their keys."""
        table, images = self.tables[part], self._store()
        digests = images.fill(table.images, table.digests() if table.hashed else None)
        return images.rows(table.images, digests)

    def _store(self) -> ImageStore:
        if self._images is None:
            self._images = ImageStore(source=self.source)
        return self._images

    def _batch(self, part: str, compute: Compute) -> int:
        """On a CPU an image is evaluated by itself, whatever the batch."""
        return EVALUATED if part != "train" and compute.device.type == "cpu" else self.config.batch

    def _seed(self, part: str) -> int | None:
        return self.config.seed if part == "train" else None

"""Makes the batches of a run: from the image store and the frozen features, or on the plain path."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from trainable.base.config import TrainConfig
from trainable.base.errors import CacheFull
from trainable.cache.images import ImageStore
from trainable.data.tables import ImageTable
from trainable.feed.batches import Batches, PixelBatches, StoredBatches, free_gpu_memory
from trainable.feed.features import FrozenFeatures
from trainable.feed.plain import ImageBatches, PlainBatches
from trainable.network.compute import Compute
from trainable.network.stages import StageBoundary


class InputFactory:
    """Makes the batches of each part of a split at each stage. Both paths give the same numbers.

    Args:
        plain: decode every image and run every layer every time.
        workers: DataLoader workers of the plain path.
        free_memory: bytes that a device has free for rows to stay there.
    """

    def __init__(
        self, tables: Mapping[str, ImageTable], classes: list[str], config: TrainConfig, *,
        plain: bool, workers: int, log: Callable[[str], None],
        free_memory: Callable[[torch.device], int] = free_gpu_memory,
    ) -> None:  # fmt: skip
        self.free_memory = free_memory
        self.tables, self.classes, self.config = tables, classes, config
        self.plain, self.workers, self.log = plain, workers, log
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
        parts come in file order. Those of another stage or compute are given up."""
        key = (part, stage, compute)
        if key not in self._ready:
            self._ready = {known: inputs for known, inputs in self._ready.items() if known[1:] == (stage, compute)}
            self._ready[key] = self._make(part, StageBoundary(model, stage), compute)
        return self._ready[key]

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
            self.tables[part], self.classes, self.config.batch,
            seed=self._seed(part), workers=self.workers, pin=compute.device.type == "cuda",
        )  # fmt: skip
        return PlainBatches(images, boundary, compute)

    def _stored(self, part: str, boundary: StageBoundary, compute: Compute) -> Batches:
        table = self.tables[part]
        if self._images is None:
            self._images = ImageStore()
        digests = self._images.fill(table.images, table.digests() if table.hashed else None)
        rows, _ = self._images.rows(table.images, digests)
        corrupt = {path for path, flag in zip(table.paths, rows.flags, strict=True) if flag}
        index = {name: i for i, name in enumerate(self.classes)}
        labels = [index[label] for label in table.labels]
        both_flips = boundary.stage < 3 and part == "train"
        kind: type[StoredBatches] = PixelBatches
        if boundary.stage < 3:
            features = FrozenFeatures(self._images, boundary.model, boundary.stage, compute)
            if self.config.mode == "finetune" and boundary.stage == 1:
                features.fill_trunk(digests, both_flips=both_flips)
            rows, kind = features.rows(digests, both_flips=both_flips), StoredBatches
        return kind(
            rows, labels, corrupt, self.config.batch,
            seed=self._seed(part), device=compute.device, both_flips=both_flips, resident=self.resident,
            free_memory=self.free_memory,
        )  # fmt: skip

    def _seed(self, part: str) -> int | None:
        return self.config.seed if part == "train" else None

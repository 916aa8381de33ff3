"""Batches of one part of a split, from rows that were computed before.

They have the values and the order of the plain path's (`trainable.feed.plain`), at the boundary of the stage (see
`trainable.network.stages`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from trainable.base.config import IMAGE_SIZE
from trainable.cache.rows import Rows, words_of
from trainable.feed.order import epoch_flips, epoch_order
from trainable.network.pixels import MEAN, STD, normalise
from trainable.pieces.threads import each

RESIDENT_SHARE = 0.25
"""The part of a GPU's free memory that one part of a split may take."""


_LOAD_ROWS = 4096


class Batches(Protocol):
    """One part of a split, epoch by epoch; `corrupt` holds the CSV paths of the corrupt images so far."""

    corrupt: set[str]

    def __len__(self) -> int: ...

    def epoch(self, epoch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs at the stage's boundary and labels (int64) on the device, batch by batch."""
        ...


def free_gpu_memory(device: torch.device) -> int:
    """Bytes that a GPU has free; 0 for a CPU."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


class StoredBatches:
    """Batches of stored rows, from device memory where they fit, else from the mapped files.

    Args:
        rows: at the boundary, one an image, or two where `both_flips`: as it is, and mirrored.
        labels: class indices.
        corrupt: CSV paths of the corrupt images.
        seed: shuffles and mirrors by it; None for file order.
        resident: whether a GPU may keep them all; else they stream to it.
        free_memory: bytes that a device has free for rows to stay there; none on a CPU, which maps the files instead.
        streamed: whether batches are gathered one ahead; by default on a GPU, whose copies overlap with its work.
    """

    def __init__(
        self, rows: Rows, labels: list[int], corrupt: set[str], batch: int, *,
        seed: int | None, device: torch.device, both_flips: bool, resident: bool = True,
        free_memory: Callable[[torch.device], int] = free_gpu_memory, streamed: bool | None = None,
    ) -> None:  # fmt: skip
        self.free_memory, self.streamed = free_memory, device.type != "cpu" if streamed is None else streamed
        self.rows, self.corrupt, self.batch, self.seed, self.device = rows, corrupt, batch, seed, device
        self.labels = torch.tensor(labels).to(device)
        self.resident = self._on_device() if resident else None
        self.both_flips = both_flips or (self.resident is not None and len(self.resident) == 2 * len(labels))

    def __len__(self) -> int:
        return len(self.labels)

    def _on_device(self) -> Tensor | None:
        return self._copies(1)

    def _copies(self, count: int) -> Tensor | None:
        """All rows on a device that has room for them, each followed by its mirror image where `count` is 2."""
        if count * self.rows.nbytes > RESIDENT_SHARE * self.free_memory(self.device):
            return None
        try:
            return _loaded(self.rows, self.device, count)
        except torch.OutOfMemoryError:  # another trial on this GPU was faster
            return None

    def epoch(self, epoch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        n = len(self)
        order = torch.arange(n) if self.seed is None else epoch_order(self.seed, epoch, n)
        flips = torch.zeros(n, dtype=torch.bool) if self.seed is None else epoch_flips(self.seed, epoch, n)[order]
        places = 2 * order + flips if self.both_flips else order
        home = self.device if self.resident is not None else torch.device("cpu")
        labels = self.labels.index_select(0, order.to(self.device))
        per_batch = (t.split(self.batch) for t in (places.to(home), flips.to(self.device), labels))
        yield from self._batches(*per_batch)

    def _batches(
        self, places: tuple[Tensor, ...], flips: tuple[Tensor, ...], labels: tuple[Tensor, ...]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        if self.resident is not None:
            for at, mirrored, y in zip(places, flips, labels, strict=True):
                yield self._prepare(_select(self.resident, at), mirrored), y
        elif not self.streamed:
            for at, mirrored, y in zip(places, flips, labels, strict=True):
                yield self._gather(at, mirrored), y
        else:
            yield from self._streamed(places, flips, labels)

    def _streamed(
        self, places: tuple[Tensor, ...], flips: tuple[Tensor, ...], labels: tuple[Tensor, ...]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One batch ahead, through pinned memory, which PyTorch's allocator holds back until its copy is done."""
        gather = partial(self.rows.gather, pin=self.device.type == "cuda")
        with ThreadPoolExecutor(1) as pool:
            upcoming = pool.submit(gather, places[0])
            for number, (mirrored, y) in enumerate(zip(flips, labels, strict=True)):
                rows = upcoming.result()
                if number + 1 < len(places):
                    upcoming = pool.submit(gather, places[number + 1])
                yield self._prepare(rows.to(self.device, non_blocking=True), mirrored), y

    def _gather(self, places: Tensor, mirrored: Tensor) -> Tensor:
        return self._prepare(self.rows.gather(places), mirrored)

    def _prepare(self, rows: Tensor, mirrored: Tensor) -> Tensor:
        """Stored rows, already mirrored, as the network takes them."""
        return rows.permute(0, 3, 1, 2) if rows.dim() == 4 else rows


class PixelBatches(StoredBatches):
    """Stage 3: rows are uint8 (160, 160, 3), mirrored and normalised batch by batch.

    A GPU that has room for it keeps each training image as it is and mirrored: to copy rows is faster than to turn
    them, byte by byte.
    """

    def _on_device(self) -> Tensor | None:
        twice = self._copies(2) if self.seed is not None else None
        return super()._on_device() if twice is None else twice

    def _gather(self, places: Tensor, mirrored: Tensor) -> Tensor:
        """Image by image, so that the four steps from bytes to floats stay in the processor's cache."""
        out = torch.empty(len(places), IMAGE_SIZE, IMAGE_SIZE * 3)
        mean, std = torch.tensor(MEAN).repeat(IMAGE_SIZE), torch.tensor(STD).repeat(IMAGE_SIZE)
        rows, flips = list(self.rows.each(places)), mirrored.tolist()

        def work(k: int) -> None:
            pixels = rows[k].flip(1) if flips[k] else rows[k]
            out[k].copy_(pixels.view(IMAGE_SIZE, -1)).div_(255).sub_(mean).div_(std)

        each(len(places), work)
        return out.view(-1, IMAGE_SIZE, IMAGE_SIZE, 3).permute(0, 3, 1, 2)

    def _prepare(self, rows: Tensor, mirrored: Tensor) -> Tensor:
        if not self.both_flips:
            rows = torch.where(mirrored.view(-1, 1, 1, 1), rows.flip(2), rows)
        return normalise(rows.permute(0, 3, 1, 2), self.device)


def _loaded(rows: Rows, device: torch.device, copies: int) -> Tensor:
    """Where `copies` is 2, each row's mirror image lies behind it."""
    shape = rows.chunks[0].shape[1:]
    out = torch.empty((len(rows), copies, *shape), dtype=rows.chunks[0].dtype, device=device)
    for start in range(0, len(rows), _LOAD_ROWS):
        part = rows.gather(torch.arange(start, min(start + _LOAD_ROWS, len(rows)))).to(device)
        out[start : start + len(part), 0] = part
        if copies == 2:
            out[start : start + len(part), 1] = part.flip(2)
    return out.view(-1, *shape)


def _select(rows: Tensor, at: Tensor) -> Tensor:
    """`rows[at]`, copied as words."""
    return words_of(rows).index_select(0, at).view(rows.dtype).view(-1, *rows.shape[1:])

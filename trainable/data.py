"""Images and the order in which a run sees them: the plain path, which decodes every image in every epoch.

Order and flips are functions of (seed, epoch) alone, never of worker counts or of what ran before. So a resumed run
sees what the uninterrupted one would have seen, and a faster path can be proved equal to this one.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from trainable.config import IMAGE_SIZE
from trainable.errors import ExperimentError
from trainable.tables import ImageTable

# ImageNet's, which torchvision's weights expect; RGB, for values in 0..1.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

_STREAMS = {"init": 0, "order": 1, "flip": 2, "dropout": 3}

Item = tuple[int, bool]
Batch = tuple[Tensor, Tensor, list[str]]


def derived_seed(seed: int, stream: str, epoch: int = 0) -> int:
    """A 64-bit seed for one purpose in one epoch; streams do not overlap (NumPy's SeedSequence)."""
    return int(np.random.SeedSequence((seed, _STREAMS[stream], epoch)).generate_state(1, np.uint64)[0])


def epoch_order(seed: int, epoch: int, n: int) -> Tensor:
    """The permutation of `n` training images in `epoch`: int64, shape (n,)."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(derived_seed(seed, "order", epoch)))


def epoch_flips(seed: int, epoch: int, n: int) -> Tensor:
    """Which images are mirrored in `epoch`, by image, not by place in the order: bool, shape (n,)."""
    return torch.rand(n, generator=torch.Generator().manual_seed(derived_seed(seed, "flip", epoch))) < 0.5


def read_image(file: Path) -> bytes:
    """The content of an image file.

    Raises:
        ExperimentError: the system cannot read the file, or it has gone since the inputs were checked. That is no
            corrupt image, and a black patch would hide it.
    """
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise ExperimentError(f"{file}: has gone since the inputs were checked") from error
    except OSError as error:
        raise ExperimentError(f"{file}: cannot be read: {error.strerror}") from error


def decode(content: bytes) -> np.ndarray | None:
    """Pixels of an image file's content: uint8, (160, 160, 3), RGB; None where it is corrupt."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            rgb = _eight_bits(image).convert("RGB")
            if rgb.size != (IMAGE_SIZE, IMAGE_SIZE):
                rgb = rgb.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR)
            return np.array(rgb)
    except MemoryError:
        raise
    except Exception:  # whatever a decoder raises on a broken file, Pillow's documentation sets no limit
        return None


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey scaled down; Pillow's own conversion would clip it to white."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


class FaceImages(Dataset[tuple[Tensor, int, int]]):
    """Rows of a CSV as (pixels, class index, row if it is corrupt else -1). A corrupt image is a black patch
    (runbook section 9).

    Items are asked for by (index, mirrored); pixels are uint8 of shape (3, 160, 160).
    """

    def __init__(self, table: ImageTable, classes: list[str]) -> None:
        index = {name: i for i, name in enumerate(classes)}
        self.files = [row.file for row in table.rows]
        self.labels = [index[row.label] for row in table.rows]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, item: Item) -> tuple[Tensor, int, int]:
        index, mirrored = item
        pixels = decode(read_image(self.files[index]))
        corrupt = -1
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
        self, table: ImageTable, classes: list[str], batch: int, *, seed: int | None, workers: int, pin: bool
    ) -> None:
        self.sampler = EpochBatches(len(table), batch, seed)
        self.paths = [row.path for row in table.rows]
        self.loader: DataLoader[Any] = DataLoader(
            FaceImages(table, classes),
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


def normalise(pixels: Tensor, device: torch.device) -> Tensor:
    """uint8 (b, 3, 160, 160) to float32 in channels_last on `device`, as ToTensor and Normalize compute it.

    On a GPU in one pass over memory instead of four, which rounds differently, by less than 1e-6.
    """
    x = pixels.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
    return _normalise_on_gpu(x) if device.type == "cuda" else _normalise_on_cpu(x)


def _normalise_on_cpu(x: Tensor) -> Tensor:
    mean, std = _constants(x.device)[:2]
    return x.to(torch.float32).div_(255).sub_(mean).div_(std)


def _normalise_on_gpu(x: Tensor) -> Tensor:
    offset, factor = _constants(x.device)[2:]
    return torch.addcmul(offset, x, factor)


@functools.cache
def _constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean, deviation, and what they are for bytes: offset, factor. On the device once: a copy makes the host wait."""
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (MEAN, STD))
    return mean, std, -mean / std, 1 / (255 * std)

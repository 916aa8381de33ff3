"""Rows gathered for a batch as 8-byte words, as `Rows.gather` does it, against the same rows gathered as bytes.

    python -m benchmarks.gather

4,096 images in segments of 512, batches of 1,024; prints the median ratio of eleven pairs and its spread.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from trainable.base.config import IMAGE_SIZE
from trainable.cache.rows import BLOCK, Rows

IMAGES, BATCH, PAIRS = 4096, 1024, 11


def as_bytes(rows: Rows, indices: Tensor) -> Tensor:
    places = rows.places[indices]
    out = rows.chunks[0].new_empty((len(indices), *rows.chunks[0].shape[1:]))
    for chunk in places[:, 0].unique().tolist():
        here = (places[:, 0] == chunk).nonzero().squeeze(1)
        out[here] = rows.chunks[chunk].index_select(0, places[here, 1])
    return out


def seconds(gather: Callable[[], Tensor]) -> float:
    began = time.perf_counter()
    gather()
    return time.perf_counter() - began


def main() -> None:
    pixels = torch.randint(256, (IMAGES, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=torch.uint8)
    places = torch.stack([torch.arange(IMAGES) // BLOCK, torch.arange(IMAGES) % BLOCK], 1)
    rows = Rows(list(pixels.split(BLOCK)), [], places, [False] * IMAGES)
    indices = torch.randperm(IMAGES)[:BATCH]
    assert torch.equal(as_bytes(rows, indices), rows.gather(indices))
    pairs = [(seconds(lambda: as_bytes(rows, indices)), seconds(lambda: rows.gather(indices))) for _ in range(PAIRS)]
    ratios = sorted(a / b for a, b in pairs)
    print(f"bytes / words: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()

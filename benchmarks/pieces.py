"""How many images one thread should take at a time through the frozen layers and in evaluation.

    python -m benchmarks.pieces

Prints CPU milliseconds an image of one thread, and the seconds that two threads take for all, against PyTorch's own
threads over batches of 256.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from trainable.base.config import TrainConfig
from trainable.network.model import build_model
from trainable.pieces import images
from trainable.pieces.threads import share_among
from trainable.run.allocator import keep_freed_memory

IMAGES, REPEATS = 512, 3
SIZES = (4, 8, 16, 24, 32, 48, 64, 128, 256)
CPU = torch.device("cpu")


def least(clock: Callable[[], float], work: Callable[[], object]) -> float:
    found = []
    for _ in range(REPEATS):
        began = clock()
        work()
        found.append(clock() - began)
    return min(found)


@torch.no_grad()
def main() -> None:
    keep_freed_memory()
    model, _ = build_model(TrainConfig("probe", 1, 1e-3, weights="none"), [str(i) for i in range(7)])
    model.eval()
    x = torch.randn(IMAGES, 3, 160, 160).contiguous(memory_format=torch.channels_last)
    torch.set_num_threads(2)
    whole = least(time.perf_counter, lambda: [model(part) for part in x.split(256)])
    print(f"PyTorch's two threads: {whole:.2f} s")
    for size in SIZES:
        images.PIECE = size
        share_among(lambda: 1)
        one = least(time.thread_time, lambda: images.image_by_image(model, CPU, x))
        share_among(lambda: 2)
        two = least(time.perf_counter, lambda: images.image_by_image(model, CPU, x))
        print(f"{size:4} images: {1000 * one / IMAGES:.2f} ms, two threads {two:.2f} s")


if __name__ == "__main__":
    main()

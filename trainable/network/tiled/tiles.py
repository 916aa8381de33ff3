"""A batch in tiles of a few images, and threads that share them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache

import torch

TILE_BYTES = 3 << 19
"""What the larger of a layer's input and output takes in one tile: small enough for the cache, large enough for
Python (`python -m benchmarks.step_profile`)."""

Tiles = list[int]
"""Images in each tile."""


def tiles_of(images: int, image_bytes: int) -> Tiles:
    """As many images a tile as fit, at least one; the tiles differ by one at most."""
    count = -(-images // max(1, TILE_BYTES // image_bytes))
    return [images * (k + 1) // count - images * k // count for k in range(count)]


def each(count: int, work: Callable[[int], object], threads: int) -> None:
    """Calls `work` with 0 to count - 1, without gradients. PyTorch's operations give up the GIL, so threads run side
    by side; which of them takes which number differs from call to call.

    Raises:
        What `work` raises.
    """
    left = iter(range(count))

    @torch.no_grad()
    def drain() -> None:
        for k in left:
            work(k)

    helpers = [_pool(threads).submit(drain) for _ in range(min(threads, count) - 1)]
    try:
        drain()
    finally:
        for helper in helpers:
            helper.result()


@lru_cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))


@contextmanager
def single_threaded_operations() -> Iterator[int]:
    """Each operation on one thread, for `each`; gives the number of threads there were."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)

"""The threads that share the pieces of what a process computes on its CPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache

import torch

MOST = 1024
"""Threads at once. A pool starts no more than it is asked for."""

_asked: list[Callable[[], int]] = []


def share_among(threads: Callable[[], int]) -> None:
    """From now on, `each` asks `threads` how many threads may work at the moment. Before the first call it is one.

    PyTorch's own operations get one thread each.
    """
    _asked[:] = [threads]
    torch.set_num_threads(1)


def use_cpus(device: torch.device, threads: Callable[[], int]) -> None:
    """For computing on `device`: on a CPU as `share_among`, else PyTorch's own threads prepare what the device gets."""
    if device.type == "cpu":
        share_among(threads)
    else:
        torch.set_num_threads(threads())


def each(count: int, work: Callable[[int], object]) -> None:
    """Calls `work` with 0 to count - 1, without gradients, under the caller's autocast. PyTorch's operations give up
    the GIL, so threads run side by side; which of them takes which number differs from call to call.

    Raises:
        What `work` raises.
    """
    left = iter(range(count))
    half, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    @torch.no_grad()
    def drain() -> None:
        with torch.autocast("cpu", dtype=dtype, enabled=half):
            for k in left:
                work(k)

    with single_threaded_operations():
        helpers = [_pool().submit(drain) for _ in range(min(_threads(), count) - 1)]
        try:
            drain()
        finally:
            for helper in helpers:
                helper.result()


def _threads() -> int:
    return _asked[0]() if _asked else 1


@lru_cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST, "pieces", initializer=torch.set_num_threads, initargs=(1,))


@contextmanager
def single_threaded_operations() -> Iterator[None]:
    """Each operation of PyTorch on one thread, whatever the process has set."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

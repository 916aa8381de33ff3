"""Threads share pieces, and PyTorch's own threads are out of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from trainable.pieces.threads import each, share_among, single_threaded_operations


@pytest.fixture(autouse=True)
def _one_thread_after() -> Iterator[None]:
    yield
    share_among(lambda: 1)


@pytest.mark.parametrize(("threads", "pieces", "used"), [(1, 9, 1), (3, 9, 3), (8, 3, 3), (4, 0, 0)])
def test_so_many_threads_take_every_piece_once(threads: int, pieces: int, used: int) -> None:
    share_among(lambda: threads)
    together, taken = threading.Barrier(max(used, 1)), list[tuple[int, int]]()

    def work(k: int) -> None:
        if k < used:
            together.wait(60)  # a thread that took two of these would wait for itself
        taken.append((k, threading.get_ident()))

    each(pieces, work)
    assert sorted(k for k, _ in taken) == list(range(pieces))
    assert len({thread for k, thread in taken if k < used}) == used


def test_the_number_may_change_at_any_moment() -> None:
    numbers = iter([1, 4, 2, 3])
    share_among(lambda: next(numbers))
    for expected in (1, 4, 2, 3):
        together, seen = threading.Barrier(expected), set[int]()

        def work(k: int, together: threading.Barrier = together, seen: set[int] = seen) -> None:
            together.wait(60)
            seen.add(threading.get_ident())

        each(expected, work)
        assert len(seen) == expected


def test_no_thread_computes_with_threads_of_pytorch() -> None:
    torch.set_num_threads(2)
    found = []
    each(4, lambda k: found.append(torch.get_num_threads()))
    assert found == [1] * 4 and torch.get_num_threads() == 2
    with single_threaded_operations():
        assert torch.get_num_threads() == 1
    share_among(lambda: 3)
    each(4, lambda k: found.append(torch.get_num_threads()))
    assert found == [1] * 8 and torch.get_num_threads() == 1


def test_all_threads_compute_in_the_caller_s_precision_and_without_gradients() -> None:
    share_among(lambda: 3)
    weight = torch.ones(2, 2, requires_grad=True)
    for half, expected in ((False, torch.float32), (True, torch.bfloat16)):
        found = list[torch.Tensor]()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            each(6, lambda k, found=found: found.append(weight @ weight))  # type: ignore[misc]
        assert {t.dtype for t in found} == {expected}
        assert not any(t.requires_grad for t in found)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_piece_raises_is_raised(threads: int) -> None:
    def work(k: int) -> None:
        if k == 5:
            raise MemoryError("piece")

    share_among(lambda: threads)
    with pytest.raises(MemoryError, match="piece"):
        each(9, work)

"""Images kept on a GPU, twice: as they are and mirrored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from trainable.cache.rows import Rows
from trainable.feed.batches import PixelBatches, StoredBatches, free_gpu_memory

N, BATCH = 11, 4
CPU = torch.device("cpu")


def rows_of(*shape: int) -> Rows:
    return Rows.of(torch.randint(256, (N, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)))


def pixels(rows: Rows, seed: int | None, **options: Any) -> PixelBatches:
    labels = [i % 3 for i in range(N)]
    return PixelBatches(rows, labels, set(), BATCH, seed=seed, device=CPU, both_flips=False, **options)


@pytest.fixture(params=[1, 2])
def room(request: pytest.FixtureRequest) -> int:
    """So many copies of all rows fit."""
    copies: int = request.param
    return copies


def memory(rows: Rows, copies: int) -> Callable[[torch.device], int]:
    """A device of whose free memory a quarter takes so many copies of the rows."""
    return lambda device: 4 * copies * rows.nbytes


@pytest.mark.parametrize("seed", [7, None])
def test_they_give_the_batches_of_the_mapped_files(room: int, seed: int | None) -> None:
    rows = rows_of(160, 160, 3)
    kept, mapped = pixels(rows, seed, free_memory=memory(rows, room)), pixels(rows, seed, resident=False)
    assert kept.resident is not None and mapped.resident is None
    assert len(kept.resident) == (2 * N if room == 2 and seed is not None else N)
    for epoch in range(3):
        pairs = list(zip(kept.epoch(epoch), mapped.epoch(epoch), strict=True))
        assert [len(y) for (_, y), _ in pairs] == [4, 4, 3]
        for (x, y), (expected, labels) in pairs:
            assert torch.equal(x, expected) and torch.equal(y, labels)
            assert x.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", [(5, 5, 96), (1024,), (3,)])
def test_features_are_kept_once(room: int, shape: tuple[int, ...]) -> None:
    """Also rows that do not divide into words."""
    rows = rows_of(*shape)
    kept, mapped = (
        StoredBatches(
            rows, [0] * N, set(), BATCH, seed=7, device=CPU, both_flips=False,
            resident=resident, free_memory=memory(rows, room),
        )
        for resident in (True, False)
    )  # fmt: skip
    assert kept.resident is not None and len(kept.resident) == N
    assert all(torch.equal(x, y) for (x, _), (y, _) in zip(kept.epoch(2), mapped.epoch(2), strict=True))


def test_rows_stay_on_a_device_up_to_a_quarter_of_its_free_memory() -> None:
    rows = rows_of(160, 160, 3)
    assert pixels(rows, None, free_memory=lambda device: 4 * rows.nbytes).resident is not None
    assert pixels(rows, None, free_memory=lambda device: 4 * rows.nbytes - 1).resident is None
    once = pixels(rows, 7, free_memory=lambda device: 8 * rows.nbytes - 1).resident
    assert once is not None and len(once) == N
    assert free_gpu_memory(CPU) == 0


@pytest.mark.parametrize("seed", [7, None])
def test_streamed_batches_come_in_order(seed: int | None) -> None:
    """They are gathered one ahead; here without the pinned memory that only a GPU's machine has."""
    rows = rows_of(160, 160, 3)
    streamed, mapped = pixels(rows, seed, streamed=True), pixels(rows, seed)
    pairs = list(zip(streamed.epoch(1), mapped.epoch(1), strict=True))
    assert len(pairs) == 3
    assert all(torch.equal(x, z) and torch.equal(y, labels) for (x, y), (z, labels) in pairs)

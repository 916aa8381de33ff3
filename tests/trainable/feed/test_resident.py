"""Images kept on a GPU, twice: as they are and mirrored."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import trainable.feed.batches
from trainable.cache.rows import Rows
from trainable.feed.batches import PixelBatches, StoredBatches, _loaded

N, BATCH = 11, 4
CPU = torch.device("cpu")


def rows_of(*shape: int) -> Rows:
    return Rows.of(torch.randint(256, (N, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)))


def pixels(rows: Rows, seed: int | None, *, resident: bool) -> PixelBatches:
    labels = [i % 3 for i in range(N)]
    return PixelBatches(rows, labels, set(), BATCH, seed=seed, device=CPU, both_flips=False, resident=resident)


@pytest.fixture(params=[1, 2])
def room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A device with room for so many copies; only a GPU asks for it, and there need not be one here."""
    most: int = request.param

    def resident(rows: Rows, device: torch.device, copies: int = 1) -> Tensor | None:
        return _loaded(rows, device, copies) if copies <= most else None

    monkeypatch.setattr(trainable.feed.batches, "_resident", resident)
    return most


@pytest.mark.parametrize("seed", [7, None])
def test_they_give_the_batches_of_the_mapped_files(room: int, seed: int | None) -> None:
    rows = rows_of(160, 160, 3)
    kept, mapped = pixels(rows, seed, resident=True), pixels(rows, seed, resident=False)
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
        StoredBatches(rows, [0] * N, set(), BATCH, seed=7, device=CPU, both_flips=False, resident=resident)
        for resident in (True, False)
    )
    assert kept.resident is not None and len(kept.resident) == N
    assert all(torch.equal(x, y) for (x, _), (y, _) in zip(kept.epoch(2), mapped.epoch(2), strict=True))

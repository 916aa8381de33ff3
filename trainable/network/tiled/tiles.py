"""A batch in tiles of a few images."""

from __future__ import annotations

TILE_BYTES = 3 << 19
"""What the larger of a layer's input and output takes in one tile: small enough for the cache, large enough for
Python (`python -m benchmarks.step_profile`)."""

Tiles = list[int]
"""Images in each tile."""


def tiles_of(images: int, image_bytes: int) -> Tiles:
    """As many images a tile as fit, at least one; the tiles differ by one at most. No machine has other tiles."""
    count = -(-images // max(1, TILE_BYTES // image_bytes))
    return [images * (k + 1) // count - images * k // count for k in range(count)]

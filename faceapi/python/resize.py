"""Makes a network's input from an image as face-api does: pad to a square, then resize bilinearly as tfjs does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class _Axis:
    """The source pixels of the outputs along one axis.

    Output `begin + i` lies between the pixels `low[i]` and `high[i]`, `part[i]` of the way to `high[i]`; `low_out` and
    `high_out` are the outputs whose pixel lies in the padding. All other outputs see padding only.
    """

    begin: int
    low: NDArray[np.intp]
    high: NDArray[np.intp]
    part: NDArray[np.float32]
    low_out: NDArray[np.intp]
    high_out: NDArray[np.intp]


def square_input(pixels: NDArray[np.uint8], size: int, *, centred: bool) -> NDArray[np.float32]:
    """Pad and resize an image (face-api: NetInput.toBatchTensor; tfjs: resizeBilinear without aligned corners).

    Args:
        pixels: uint8, height x width x 3.
        size: side of the result, in pixels.
        centred: whether the black padding goes to both sides (the second gets the odd pixel) or to the end only.

    Returns:
        float32, 3 x size x size, 0..255.
    """
    height, width = pixels.shape[:2]
    side = max(height, width)
    rows = _axis(height, side, size, (side - height) // 2 if centred else 0)
    columns = _axis(width, side, size, (side - width) // 2 if centred else 0)
    result = np.zeros((3, size, size), np.float32)
    if not (len(rows.low) and len(columns.low)):
        return result  # the image is so thin that all outputs see padding only
    wide = _across(pixels, rows, columns)
    part = result[:, rows.begin : rows.begin + len(rows.low), columns.begin : columns.begin + len(columns.low)]
    part[:] = wide.transpose(2, 0, 1)
    return result


def _axis(length: int, side: int, size: int, offset: int) -> _Axis:
    """Find the outputs that see any of the `length` pixels, which begin at `offset` on a square's side of `side`."""
    at = np.arange(size, dtype=np.float32) * (np.float32(side) / np.float32(size))
    low = at.astype(np.intp)
    part = at - low.astype(np.float32)
    high = np.minimum(low + 1, side - 1) - offset
    low -= offset
    seen = np.flatnonzero((high >= 0) & (low < length))
    low, high = low[seen], high[seen]
    low_out, high_out = np.flatnonzero(low < 0), np.flatnonzero(high >= length)
    begin = int(seen[0]) if len(seen) else 0
    return _Axis(begin, low.clip(0), high.clip(max=length - 1), part[seen], low_out, high_out)


def _across(pixels: NDArray[np.uint8], rows: _Axis, columns: _Axis) -> NDArray[np.float32]:
    """Interpolate along the rows first, then between them; returns rows x columns x 3."""
    needed, at = np.unique(np.concatenate([rows.low, rows.high]), return_inverse=True)
    dense = len(needed) == needed[-1] - needed[0] + 1
    lines = pixels[needed[0] : needed[-1] + 1] if dense else pixels[needed]
    left, right = lines.take(columns.low, axis=1), lines.take(columns.high, axis=1)
    left[:, columns.low_out] = 0
    right[:, columns.high_out] = 0
    wide = _between(left.astype(np.float32), right.astype(np.float32), columns.part[:, None])
    top, bottom = at[: len(rows.low)], at[len(rows.low) :]
    upper, lower = wide[top], wide[bottom]
    upper[rows.low_out] = 0
    lower[rows.high_out] = 0
    return _between(upper, lower, rows.part[:, None, None])


def _between(first: NDArray[np.float32], second: NDArray[np.float32], part: NDArray[np.float32]) -> NDArray[np.float32]:
    second -= first
    second *= part
    second += first
    return second

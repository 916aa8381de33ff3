"""Computes face boxes from the detector's output, and chooses the face of a row (face-api: src/tinyYolov2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainable.data.tables import Box

ANCHORS = np.array(
    [(1.603231, 2.094468), (6.041143, 7.080126), (2.882459, 3.518061), (4.266906, 5.178857), (9.041765, 10.66308)]
)
SUPPRESSION_IOU = 0.4
"""Of two detections with a greater IoU, the one with the lower score is dropped."""


@dataclass(frozen=True)
class Face:
    """A detection: `box` is left, top, right, bottom in pixels of the decoded photo, `score` the detector's, 0..1."""

    box: Box
    score: float

    def crop(self, width: int, height: int) -> tuple[slice, slice]:
        """Compute the rows and columns of the photo that the box covers, in whole pixels; empty if it covers none."""
        left, top = max(self.box[0], 0.0), max(self.box[1], 0.0)
        wide = math.floor(min(self.box[2] - left, width - left))
        high = math.floor(min(self.box[3] - top, height - top))
        x, y = math.floor(left), math.floor(top)
        return slice(y, y + max(0, high)), slice(x, x + max(0, wide))

    def has_crop(self, width: int, height: int) -> bool:
        rows, columns = self.crop(width, height)
        return rows.stop > rows.start and columns.stop > columns.start


def faces_of(head: NDArray[np.float32], width: int, height: int, input_size: int, threshold: float) -> list[Face]:
    """Compute the faces of a photo from the detector's output, highest score first.

    Args:
        head: float32, cells x cells x 25: for each of five anchors (x, y, width, height, score).
        width, height: the photo's, in pixels.
        input_size: side of the detector's input, in pixels.
        threshold: detections with a score not above it are left out.
    """
    scale = input_size / max(width, height)
    # The photo's part of the padded square, as face-api rounds it.
    inner_width, inner_height = math.floor(width * scale + 0.5), math.floor(height * scale + 0.5)
    if not (inner_width and inner_height):
        return []  # the photo is so thin that it has no pixel in the input
    cells = head.shape[0]
    values = head.reshape(cells, cells, len(ANCHORS), 5).astype(np.float64)
    scores = 1 / (1 + np.exp(-values[..., 4]))
    row, column, anchor = np.nonzero(scores > threshold)
    x, y, wide, high, _ = values[row, column, anchor].T
    right, bottom = input_size / inner_width, input_size / inner_height
    wide = np.exp(wide) * ANCHORS[anchor, 0] / cells * right
    high = np.exp(high) * ANCHORS[anchor, 1] / cells * bottom
    left = (column + 1 / (1 + np.exp(-x))) / cells * right - wide / 2
    top = (row + 1 / (1 + np.exp(-y))) / cells * bottom - high / 2
    relative = np.stack([left, top, left + wide, top + high], axis=1)
    found = scores[row, column, anchor]
    kept = _suppressed([tuple(box) for box in (relative * input_size).tolist()], found.tolist())
    pixels = relative * (width, height, width, height)
    return [Face(tuple(pixels[index].tolist()), float(found[index])) for index in kept]


def _suppressed(boxes: Sequence[Box], scores: Sequence[float]) -> list[int]:
    """Non-maximum suppression: the kept indices, highest score first; of equal scores the later one goes first."""
    left = sorted(range(len(boxes)), key=scores.__getitem__)
    kept = []
    while left:
        best = left.pop()
        kept.append(best)
        left = [index for index in left if iou(boxes[best], boxes[index]) <= SUPPRESSION_IOU]
    return kept


def iou(a: Box, b: Box) -> float:
    """Compute the intersection over union; 0 where the boxes do not overlap."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if not (width > 0 and height > 0):
        return 0.0
    shared = width * height
    return shared / (_area(a) + _area(b) - shared)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def best_face(faces: Sequence[Face], wanted: Box, scale: float) -> tuple[Face, float] | None:
    """Choose the face with the highest IoU with `wanted`, then the highest score; returns it and its IoU.

    `wanted` is in pixels of the file, `scale` of which span one pixel of the decoded photo. Without faces, None.
    """
    ranked = [
        (iou((a * scale, b * scale, c * scale, d * scale), wanted), face) for face in faces for a, b, c, d in [face.box]
    ]
    if not ranked:
        return None
    overlap, face = max(ranked, key=lambda pair: (pair[0], pair[1].score))
    return face, overlap

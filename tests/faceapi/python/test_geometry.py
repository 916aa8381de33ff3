"""face-api's arithmetic: padding and resizing, boxes from the detector's output, suppression, crops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceapi.python.boxes import ANCHORS, Face, best_face, faces_of, iou
from faceapi.python.resize import square_input


def plain_input(pixels: NDArray[np.uint8], size: int, centred: bool) -> NDArray[np.float32]:
    """Padding and tfjs' resizeBilinear written out: pixel by pixel, on a real padded square."""
    height, width = pixels.shape[:2]
    side = max(height, width)
    square = np.zeros((side, side, 3), np.float32)
    above, left = ((side - height) // 2, (side - width) // 2) if centred else (0, 0)
    square[above : above + height, left : left + width] = pixels
    step = np.float32(side) / np.float32(size)
    result = np.zeros((size, size, 3), np.float32)
    for y in range(size):
        for x in range(size):
            at_y, at_x = np.float32(y) * step, np.float32(x) * step
            y0, x0 = int(at_y), int(at_x)
            y1, x1 = min(y0 + 1, side - 1), min(x0 + 1, side - 1)
            part_y, part_x = at_y - np.float32(y0), at_x - np.float32(x0)
            top = square[y0, x0] + (square[y0, x1] - square[y0, x0]) * part_x
            bottom = square[y1, x0] + (square[y1, x1] - square[y1, x0]) * part_x
            result[y, x] = top + (bottom - top) * part_y
    return result.transpose(2, 0, 1)


@settings(max_examples=60, deadline=None)
@example(40, 1, 7, True, 0)
@example(3, 40, 7, False, 0)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([7, 16, 23]), st.booleans(), st.integers(0, 99))
def test_padding_and_resizing(height: int, width: int, size: int, centred: bool, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    found = square_input(pixels, size, centred=centred)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, plain_input(pixels, size, centred))


def head(*cells: tuple[int, int, int, tuple[float, ...]]) -> NDArray[np.float32]:
    """A head of 13 x 13 cells without faces but (row, column, anchor, values)."""
    result = np.full((13, 13, 5, 5), -20, np.float32)
    for row, column, anchor, values in cells:
        result[row, column, anchor] = values
    return result.reshape(13, 13, 25)


def test_a_box_is_computed_from_a_cell_of_the_head() -> None:
    [face] = faces_of(head((2, 3, 1, (0, 0, 0, 0, 2))), 800, 400, 416, 0.5)
    wide, high = ANCHORS[1] / 13
    x, y = 3.5 / 13, 2.5 / 13 * 2  # the photo is the square's upper half
    expected = ((x - wide / 2) * 800, (y - high) * 400, (x + wide / 2) * 800, (y + high) * 400)
    assert face.box == pytest.approx(expected)
    assert face.score == pytest.approx(1 / (1 + math.exp(-2)))


def test_a_score_must_be_greater_than_the_threshold() -> None:
    at = head((1, 1, 0, (0, 0, 0, 0, 0)))
    assert faces_of(at, 416, 416, 416, 0.5) == []
    assert len(faces_of(at, 416, 416, 416, 0.499)) == 1


def test_suppression_keeps_the_box_with_the_higher_score() -> None:
    near = (6, 6, 0, (0, 0, 0, 0, 1)), (6, 6, 2, (0, 0, -0.3, -0.3, 3)), (6, 6, 3, (0, 0, 0, 0, 2))
    found = faces_of(head(*near), 416, 416, 416, 0.5)
    assert [round(face.score, 3) for face in found] == [0.953, 0.881]


@pytest.mark.parametrize(("overlap", "kept"), [(0.39, 2), (0.41, 1)])
def test_boxes_are_suppressed_from_an_iou_of_040(overlap: float, kept: int) -> None:
    """Two boxes with the same centre and height; the ratio of their widths is their IoU."""

    def centred(
        anchor: int, width: float, score: float
    ) -> tuple[int, int, int, tuple[float, float, float, float, float]]:
        wide, high = ANCHORS[anchor]
        return 6, 6, anchor, (0, 0, math.log(width / wide), math.log(4 / high), score)

    found = faces_of(head(centred(0, 4, 2), centred(1, 4 * overlap, 1)), 416, 416, 416, 0.5)
    assert len(found) == kept


@pytest.mark.parametrize("size", [(1000, 1), (1, 1000)])
def test_a_photo_without_a_pixel_in_the_input_has_no_face(size: tuple[int, int]) -> None:
    assert faces_of(head((1, 1, 0, (0, 0, 0, 0, 5))), *size, 416, 0.5) == []


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((-3.5, -2.0, 10.7, 9.99), (0, 9), (0, 10)),
        ((5.9, 4.2, 30.0, 25.0), (4, 19), (5, 19)),
        ((21.0, 3.0, 30.0, 8.0), (3, 8), (21, 21)),
        ((-9.0, -9.0, -1.0, -1.0), (0, 0), (0, 0)),
    ],
)
def test_a_crop_is_cut_at_the_photos_edges(
    box: tuple[float, float, float, float], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    face = Face(box, 0.9)
    assert face.crop(20, 20)[0] == slice(*rows)
    assert face.crop(20, 20)[1] == slice(*columns)
    assert face.has_crop(20, 20) == (rows[1] > rows[0] and columns[1] > columns[0])


def test_the_face_with_the_highest_iou_then_score_is_chosen() -> None:
    def at(left: float, score: float) -> Face:
        return Face((left, 0, left + 2, 2), score)

    wanted = (0.0, 0.0, 2.0, 2.0)
    assert best_face([], wanted, 1) is None
    assert best_face([at(9, 0.9), at(1, 0.6)], wanted, 1) == (at(1, 0.6), pytest.approx(1 / 3))
    assert best_face([at(9, 0.6), at(5, 0.9), at(7, 0.8)], wanted, 1) == (at(5, 0.9), 0)
    assert best_face([at(1, 0.6), at(-1, 0.7)], wanted, 1) == (at(-1, 0.7), pytest.approx(1 / 3))
    assert best_face([at(1, 0.6)], (2.0, 0.0, 6.0, 4.0), 2) == (at(1, 0.6), 1)


def test_boxes_without_area_overlap_nothing() -> None:
    assert iou((0, 0, 0, 2), (0, 0, 2, 2)) == 0

"""Which row of one CSV shows the same face as which row of another?

FaceAPI reads photos and MobileNet crops, so their CSVs name other files (docs/data.md). A crop belongs to the photo
with the same name, which is read from the end of the path: `crops/test_M1/00017.jpg` and `photos/test_M1/00017.png`
agree in two parts. Where several rows share a name, as with two faces in one photo, the face's box tells them apart;
where no name fits, the box alone decides. Rows with other labels are never joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class FaceRows:
    """The rows of one CSV.

    Attributes:
        paths: the images, as the CSV has them.
        labels: the true classes, in the same words as the other CSV's.
        boxes: minX, minY, maxX, maxY in pixels of the original photo; None where the CSV has none.
    """

    paths: Sequence[str]
    labels: Sequence[str]
    boxes: Sequence[Box] | None = None


@dataclass(frozen=True)
class Join:
    """The pairs of rows that show the same face, and what became of the others.

    Attributes:
        left: (m,) int64, row numbers in the left CSV, counted from 0 and ascending.
        right: (m,) int64, the row of the right CSV that belongs to each.
        left_rows: number of rows in the left CSV.
        right_rows: number of rows in the right CSV.
        left_ambiguous: rows of the left CSV for which several rows of the right one are possible, or the other way.
        right_ambiguous: the same for the right CSV.
        other_label: rows of the left CSV whose name meets a row of the right one with another label; not joined.
    """

    left: np.ndarray
    right: np.ndarray
    left_rows: int
    right_rows: int
    left_ambiguous: int
    right_ambiguous: int
    other_label: int

    @property
    def joined(self) -> int:
        return len(self.left)

    @property
    def complete(self) -> bool:
        """Whether every row of both CSVs has its partner."""
        return self.joined == self.left_rows == self.right_rows

    def statement(self, left: str, right: str) -> str:
        """Say in a sentence how many rows were joined and what became of the others.

        Args:
            left: the name of the left CSV, for example "test_M1.csv (photos)".
            right: the name of the right CSV.
        """
        raise NotImplementedError


def join_faces(left: FaceRows, right: FaceRows) -> Join:
    """Join two CSVs by the names of their images, their labels and boxes; a row has at most one partner.

    Raises:
        ValueError: the columns of a CSV are not equally long.
    """
    raise NotImplementedError

"""Which row of one CSV shows the same face as which row of another?

FaceAPI reads photos and MobileNet crops, so their CSVs name other files (docs/data.md). No column says which crop was
cut from which photo, so this is found out from what both CSVs have:

1. The name. `crops/test_M1/00017.jpg` and `photos/test_M1/00017.png` agree in the file's name without its ending, and
   in a folder. Names are compared with two folders first, then with one, then without.
2. The face's box in the photo, where rows share a name, as two faces in one photo do.
3. The box alone, where no name of one CSV occurs in the other.

A pair is joined only if it is the only one possible and both rows have the same label. Where both have boxes, the boxes
must overlap: crops and photos that were numbered independently have the same names for other faces.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

Box = tuple[float, float, float, float]
Key = tuple[object, ...]
DEPTHS = (3, 2, 1)
"""How many parts of a path are compared, the file's name included."""
SAME_BOX = 0.5
"""Boxes with a smaller IoU are of different faces."""


@dataclass(frozen=True)
class FaceRows:
    """The rows of one CSV.

    Attributes:
        paths: the images, as the CSV has them.
        labels: the true classes, in the same words as the other CSV's.
        boxes: minX, minY, maxX, maxY in pixels of the original photo; None where the CSV has none.

    Raises:
        ValueError: the columns are not equally long.
    """

    paths: Sequence[str]
    labels: Sequence[str]
    boxes: Sequence[Box] | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.paths), len(self.labels), len(self.paths if self.boxes is None else self.boxes)}
        if len(lengths) > 1:
            raise ValueError(f"the columns have {' and '.join(map(str, sorted(lengths)))} rows")

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True)
class Join:
    """The pairs of rows that show the same face, and what became of the other rows of the left CSV.

    Attributes:
        left: (m,) int64, row numbers in the left CSV, counted from 0 and ascending.
        right: (m,) int64, the row of the right CSV that belongs to each.
        left_rows: number of rows in the left CSV.
        right_rows: number of rows in the right CSV.
        ambiguous: not joined, because more than one pair is possible.
        other_label: not joined, because the row of that name has another label.
        other_box: not joined, because the row of that name has another box.
    """

    left: np.ndarray
    right: np.ndarray
    left_rows: int
    right_rows: int
    ambiguous: int = 0
    other_label: int = 0
    other_box: int = 0

    @property
    def joined(self) -> int:
        return len(self.left)

    @property
    def complete(self) -> bool:
        """Whether every row of both CSVs has its partner."""
        return self.joined == self.left_rows == self.right_rows

    def statement(self, left: str = "photos", right: str = "crops") -> str:
        """Say in a sentence how many rows were joined, and why the others were not.

        Args:
            left: what the rows of the left CSV are, in the plural.
            right: what the rows of the right CSV are.
        """
        if self.complete:
            return f"All {self.joined:,} {left} were joined with their {right}."
        unknown = self.left_rows - self.joined - self.ambiguous - self.other_label - self.other_box
        counts = (self.ambiguous, self.other_label, self.other_box, unknown)
        whys = ("fit more than one", "have another label there", "have another box there", "have no counterpart")
        reasons = ", ".join(f"{count:,} {why}" for count, why in zip(counts, whys, strict=True) if count)
        said = f"{self.joined:,} of {self.left_rows:,} {left} were joined with one of {self.right_rows:,} {right}"
        return f"{said}; of the others {reasons}." if reasons else f"{said}."


def join_faces(left: FaceRows, right: FaceRows) -> Join:
    """Join two CSVs by the names of their images, their boxes and labels; a row has at most one partner."""
    boxed = left.boxes is not None and right.boxes is not None
    left_names, right_names = ([_tail(path, 1) for path in rows.paths] for rows in (left, right))
    met = set(left_names) & set(right_names)
    pairs: dict[int, int] = {}
    for depth in DEPTHS if met or not boxed else (0,):
        for with_box in (False, True) if boxed and depth else (boxed,):
            _add_pairs(pairs, _keys(left, depth, with_box), _keys(right, depth, with_box))
    other_box = {row for row in pairs if not _same_box(left, row, right, pairs[row])}
    pairs = {row: partner for row, partner in pairs.items() if row not in other_box}
    rest = set(range(len(left))) - set(pairs) - other_box
    free = set(range(len(right))) - set(pairs.values())
    deepest = 1 if met else 0
    keys, others = _keys(left, deepest, not met), _keys(right, deepest, not met)
    possible = {others[row] for row in free}
    ambiguous = {row for row in rest if keys[row] in possible}
    free_names = {right_names[row] for row in free}
    other_label = {row for row in rest - ambiguous if left_names[row] in free_names}
    found = np.array(sorted(pairs.items()), np.int64).reshape(-1, 2)
    counts = (len(ambiguous), len(other_label), len(other_box))
    return Join(found[:, 0], found[:, 1], len(left), len(right), *counts)


def _add_pairs(pairs: dict[int, int], left: Sequence[Key], right: Sequence[Key]) -> None:
    """Add the pairs of rows whose key no other row of either side has, where neither has a partner yet."""
    rows, taken = _rows_by_key(right), set(pairs.values())
    for key, (first, *more) in _rows_by_key(left).items():
        partners = rows.get(key, [])
        if not more and len(partners) == 1 and first not in pairs and partners[0] not in taken:
            pairs[first] = partners[0]


def _rows_by_key(keys: Sequence[Key]) -> dict[Key, list[int]]:
    rows: dict[Key, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        rows[key].append(row)
    return rows


def _keys(rows: FaceRows, depth: int, with_box: bool) -> list[Key]:
    """Each row's label and the last `depth` parts of its path, and its box where asked for."""
    boxes: Sequence[Box | None] = rows.boxes if with_box and rows.boxes is not None else [None] * len(rows)
    labels = [unicodedata.normalize("NFC", label) for label in rows.labels]
    paths = [_tail(path, depth) for path in rows.paths]
    return list(zip(paths, labels, boxes, strict=True))


def _tail(path: str, depth: int) -> tuple[str, ...]:
    """The last `depth` parts of a path, composed (Unicode NFC) and without the ending of the file's name."""
    whole = PurePosixPath(unicodedata.normalize("NFC", path).replace("\\", "/"))
    return whole.with_suffix("").parts[-depth:] if depth else ()


def _same_box(left: FaceRows, row: int, right: FaceRows, partner: int) -> bool:
    """Whether the boxes overlap by SAME_BOX at least; True where a side has none."""
    if left.boxes is None or right.boxes is None:
        return True
    one, two = left.boxes[row], right.boxes[partner]
    width, height = (min(one[2 + i], two[2 + i]) - max(one[i], two[i]) for i in (0, 1))
    both = max(0.0, width) * max(0.0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, two))
    return one == two or both >= SAME_BOX * (areas - both) > 0

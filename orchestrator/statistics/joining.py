"""Which row of one CSV shows the same face as which row of another?

FaceAPI reads photos and MobileNet crops, so their CSVs name other files (docs/data.md). No column says which crop was
cut from which photo, so this is found out from what both CSVs have, in two ways. The one that joins more rows counts,
and the boxes if they contradict the names:

- By name. `crops/test_M1/00017.jpg` and `photos/test_M1/00017.png` agree in the file's name without its ending, and in
  a folder. Names are compared with two folders first, then with one, then without. Crops and photos that were numbered
  independently have the same names, too, but then the labels seldom agree: such names are no guide. Where rows share a
  name, as two faces in one photo do, the label and the face's box in the photo are compared, too.
- By the box and the label alone.

A pair is joined only if it is the only one possible, and if both rows have the same label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from unicodedata import normalize

import numpy as np

Box = tuple[float, float, float, float]
Pairs = dict[int, int]
"""The row of the right CSV for a row of the left one."""
DEPTHS = (3, 2, 1)
"""How many parts of a path are compared, the file's name included."""
AGREEMENT = 0.9
"""Of the rows that share a name this share at least must share the label and the box, or the names are no guide."""


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

    @cached_property
    def names(self) -> list[tuple[str, ...]]:
        """The last parts of each path, the longest of DEPTHS, in Unicode NFC and without the ending of the file."""
        return [_name(path) for path in self.paths]

    def keys(self, depth: int, *columns: Sequence[Hashable]) -> list[Hashable]:
        """The last `depth` parts of each row's name, and its values in the columns."""
        names = [name[-depth:] if depth else () for name in self.names]
        return list(zip(names, *columns, strict=True))

    @cached_property
    def classes(self) -> list[str]:
        """The labels in Unicode NFC."""
        return [normalize("NFC", label) for label in self.labels]


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
    """

    left: np.ndarray
    right: np.ndarray
    left_rows: int
    right_rows: int
    ambiguous: int = 0
    other_label: int = 0

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
        alone = self.left_rows - self.joined - self.ambiguous - self.other_label
        counts = {"with several possible partners": self.ambiguous, "with another label there": self.other_label}
        counts["without a certain partner"] = alone
        reasons = ", ".join(f"{count:,} {why}" for why, count in counts.items() if count)
        said = f"{self.joined:,} of {self.left_rows:,} {left} were joined with one of {self.right_rows:,} {right}"
        return f"{said}; not joined: {reasons}." if reasons else f"{said}."


def join_faces(left: FaceRows, right: FaceRows) -> Join:
    """Join two CSVs by the names of their images, their boxes and labels; a row has at most one partner."""
    by_name, by_box = _by_name(left, right), _by_box(left, right)
    contradicted = sum(by_name.get(row, other) != other for row, other in by_box.items())
    boxes_count = len(by_box) > len(by_name) or contradicted > (1 - AGREEMENT) * len(by_name)
    pairs = by_box if boxes_count else by_name
    found = np.array(sorted(pairs.items()), np.int64).reshape(-1, 2)
    return Join(found[:, 0], found[:, 1], len(left), len(right), *_unjoined(left, right, pairs))


def _unjoined(left: FaceRows, right: FaceRows, pairs: Pairs) -> tuple[int, int]:
    """How many left rows have no partner because several pairs are possible, and because of another label."""
    taken = set(pairs.values())
    rest = [row for row in range(len(left)) if row not in pairs]
    free = [row for row in range(len(right)) if row not in taken]
    wanted = Counter((left.names[row][-1], left.classes[row]) for row in rest)
    offered = Counter((right.names[row][-1], right.classes[row]) for row in free)
    names = {name for name, _ in offered}
    ambiguous = sum(count for key, count in wanted.items() if offered[key] and count + offered[key] > 2)
    other_label = sum(count for key, count in wanted.items() if not offered[key] and key[0] in names)
    return ambiguous, other_label


def _by_name(left: FaceRows, right: FaceRows) -> Pairs:
    pairs: Pairs = {}
    for depth in DEPTHS:
        same_name = _unique_pairs(left.keys(depth), right.keys(depth))
        same_label = {row: other for row, other in same_name.items() if left.classes[row] == right.classes[other]}
        if len(same_label) < AGREEMENT * len(same_name):
            continue
        _add(pairs, same_label)
        _add(pairs, _unique_pairs(left.keys(depth, left.classes), right.keys(depth, right.classes)))
        if left.boxes is not None and right.boxes is not None:
            keys = (left.keys(depth, left.classes, left.boxes), right.keys(depth, right.classes, right.boxes))
            _add(pairs, _unique_pairs(*keys))
    return pairs


def _by_box(left: FaceRows, right: FaceRows) -> Pairs:
    if left.boxes is None or right.boxes is None:
        return {}
    return _unique_pairs(left.keys(0, left.classes, left.boxes), right.keys(0, right.classes, right.boxes))


def _add(pairs: Pairs, more: Pairs) -> None:
    """Add the pairs of which neither row has a partner yet."""
    taken = set(pairs.values())
    pairs |= {row: other for row, other in more.items() if row not in pairs and other not in taken}


def _unique_pairs(left: Sequence[Hashable], right: Sequence[Hashable]) -> Pairs:
    """The rows whose keys are equal, where no other row of either side has the same key."""
    once = {key for key, count in Counter(right).items() if count == 1}
    rows = {key: row for row, key in enumerate(right) if key in once}
    alone = {key for key, count in Counter(left).items() if count == 1}
    return {row: rows[key] for row, key in enumerate(left) if key in alone and key in rows}


def _name(path: str) -> tuple[str, ...]:
    *folders, file = normalize("NFC", path).replace("\\", "/").split("/")
    return (*folders, file.rpartition(".")[0] or file)[-max(DEPTHS) :]

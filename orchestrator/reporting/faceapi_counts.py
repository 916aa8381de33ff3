"""What became of every row of a FaceAPI split, over all and per class: a detector that skips hard faces shows here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from search_spaces.runbook import IOU_THRESHOLD

ALL = "all"
COLUMNS = (
    "class", "rows", "matched", "correct", "iou_below_0.30", "undetected", "unreadable", "coverage", "matched_top1",
    "top1_all_rows",
)  # fmt: skip


@dataclass(frozen=True)
class RowCounts:
    """Rows of one class, or of all: `rows` = matched + iou_below + undetected + unreadable.

    `correct` counts matched rows with the right label. Rates are fractions; 0 where they have no rows.
    """

    name: str
    matched: int
    correct: int
    iou_below: int
    undetected: int
    unreadable: int

    @property
    def rows(self) -> int:
        return self.matched + self.iou_below + self.undetected + self.unreadable

    @property
    def coverage(self) -> float:
        return self.matched / max(1, self.rows)

    @property
    def matched_top1(self) -> float:
        return self.correct / max(1, self.matched)

    @property
    def top1_all_rows(self) -> float:
        return self.correct / max(1, self.rows)

    def line(self) -> tuple[object, ...]:
        """In the order of COLUMNS; rates with six decimals."""
        counts = (self.rows, self.matched, self.correct, self.iou_below, self.undetected, self.unreadable)
        rates = (self.coverage, self.matched_top1, self.top1_all_rows)
        return (self.name, *counts, *(round(rate, 6) for rate in rates))


def count_rows(rows: Sequence[Mapping[str, str]], remarks: Iterable[str]) -> tuple[RowCounts, ...]:
    """Counts over all rows, then per true class in the order of their names.

    Args:
        rows: in the columns of runbook section 6.
        remarks: the evaluator's, of which "unreadable: PATH: REASON" counts.
    """
    prefixes = tuple(remark for remark in remarks if remark.startswith("unreadable: "))
    kinds = [(row["gt_label"], _kind(row, prefixes)) for row in rows]
    names = [ALL, *sorted({label for label, _ in kinds})]
    return tuple(_counts(name, [kind for label, kind in kinds if name in (ALL, label)]) for name in names)


def is_matched(row: Mapping[str, str]) -> bool:
    """Runbook section 8: a face was detected, with an IoU of at least 0.30 with the row's box."""
    return is_detected(row) and float(row["iou"]) >= IOU_THRESHOLD


def is_detected(row: Mapping[str, str]) -> bool:
    return row["face_detected"].lower() in ("1", "true")


def _kind(row: Mapping[str, str], remarks: Sequence[str]) -> str:
    if is_matched(row):
        return "correct" if int(row["correct"]) else "wrong"
    if is_detected(row):
        return "iou_below"
    return "unreadable" if any(r.startswith(f"unreadable: {row['image']}: ") for r in remarks) else "undetected"


def _counts(name: str, kinds: Sequence[str]) -> RowCounts:
    correct = kinds.count("correct")
    matched = correct + kinds.count("wrong")
    return RowCounts(name, matched, correct, *(kinds.count(kind) for kind in ("iou_below", "undetected", "unreadable")))

"""The result rows of every evaluator of the baseline, in the columns of runbook section 6."""

from __future__ import annotations

from dataclasses import dataclass

RESULT_COLUMNS = ("image", "gt_label", "pred_label", "score", "face_detected", "iou", "correct")


@dataclass(frozen=True)
class ShardResult:
    """The result of some rows of a split, or of all of them.

    `rows` are result rows in RESULT_COLUMNS, as CSV text without the header. `remarks` are the lines that the evaluator
    wrote on stderr, among them "unreadable: PATH: REASON" for each photo that it could not read or evaluate. `seconds`
    is the time that it took.
    """

    rows: str
    remarks: str
    seconds: float

"""What an evaluator of the baseline returns: result rows in the columns of runbook section 6."""

from __future__ import annotations

from dataclasses import dataclass

RESULT_COLUMNS = ("image", "gt_label", "pred_label", "score", "face_detected", "iou", "correct")


@dataclass(frozen=True)
class ShardResult:
    """What an evaluator wrote (result rows as CSV text without the header), said on stderr, and took."""

    rows: str
    remarks: str
    seconds: float

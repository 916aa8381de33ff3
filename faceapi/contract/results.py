"""The result rows of every evaluator of the baseline, in the columns of runbook section 6."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

RESULT_COLUMNS = ("image", "gt_label", "pred_label", "score", "face_detected", "iou", "correct")


@dataclass(frozen=True)
class ShardResult:
    """The result of some rows of a split, or of all of them.

    `rows` are result rows in RESULT_COLUMNS, as CSV text without the header. `remarks` are the lines that the evaluator
    wrote on stderr, among them "unreadable: PATH: REASON" for each photo that it could not read or evaluate. `seconds`
    is the time that it took. `probabilities` has for each row those of the seven classes, in the order of
    `faceapi.contract.labels.class_names`, and None where there is no face; it is empty for a user's own evaluator,
    which does not say them.
    """

    rows: str
    remarks: str
    seconds: float
    probabilities: Sequence[Sequence[float] | None] = field(default=())


def probabilities_file(results: Path) -> Path:
    """The file that belongs to a results file, such as faceapi_M1_probabilities.parquet to faceapi_M1_eval.csv."""
    return results.with_name(results.stem.removesuffix("_eval") + "_probabilities.parquet")

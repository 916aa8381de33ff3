"""FaceAPI's rows counted by their outcome, over all and per class, because a detector may skip hard faces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from search_spaces.runbook import IOU_THRESHOLD

ALL = "all"
OUTCOMES = ("matched", "correct", "iou_below_0.30", "undetected", "unreadable")
COLUMNS = ("class", "rows", *OUTCOMES, "coverage", "matched_top1", "top1_all_rows")


def count_rows(rows: pd.DataFrame, remarks: Iterable[str]) -> pd.DataFrame:
    """Count the rows of a split by their outcome.

    Every row is either matched, below the IoU threshold, undetected or unreadable; `correct` counts the matched rows
    with the right label.

    Args:
        rows: an evaluation in the columns of runbook section 6, as text.
        remarks: the evaluator's remarks; "unreadable: PATH: REASON" says that a photo could not be read.

    Returns:
        The columns of COLUMNS. The first row, named ALL, counts the whole split; a row for each true class follows, in
        the order of the names. The last three columns are fractions, 0 where they would divide by zero.

    Raises:
        KeyError: a column is missing.
        ValueError: the IoU of a detected row, or `correct` of a matched one, is not a number.
    """
    outcomes = _outcomes(rows, [remark for remark in remarks if remark.startswith("unreadable: ")])
    by_class = outcomes.groupby(rows["gt_label"]).sum()
    counts = pd.concat([outcomes.sum().to_frame(ALL).T, by_class]).astype(int)
    return _with_rates(counts.rename_axis("class").reset_index())


def is_matched(rows: pd.DataFrame) -> pd.Series:
    """Say for each row whether a face was detected with an IoU of at least 0.30 with the row's box (section 8).

    Raises:
        ValueError: the IoU of a detected row is not a number.
    """
    detected = is_detected(rows)
    return detected & (rows["iou"].where(detected, "0").astype(float) >= IOU_THRESHOLD)


def is_detected(rows: pd.DataFrame) -> pd.Series:
    """Say for each row whether a face was detected."""
    return rows["face_detected"].str.lower().isin(("1", "true"))


def _outcomes(rows: pd.DataFrame, remarks: Sequence[str]) -> pd.DataFrame:
    """Say of each row, in a column for each of `rows` and OUTCOMES, whether it counts there."""
    detected, matched = is_detected(rows), is_matched(rows)
    correct = rows["correct"].where(matched, "0").astype(int) != 0
    unreadable = ~detected & rows["image"].map(lambda image: _is_named(image, remarks)).astype(bool)
    everything = pd.Series(True, rows.index)
    columns = (everything, matched, correct, detected & ~matched, ~detected & ~unreadable, unreadable)
    return pd.DataFrame(dict(zip(("rows", *OUTCOMES), columns, strict=True)))


def _is_named(image: str, remarks: Sequence[str]) -> bool:
    return any(remark.startswith(f"unreadable: {image}: ") for remark in remarks)


def _with_rates(counts: pd.DataFrame) -> pd.DataFrame:
    rows, matched = counts["rows"].clip(lower=1), counts["matched"].clip(lower=1)
    rates = (counts["matched"] / rows, counts["correct"] / matched, counts["correct"] / rows)
    return counts.assign(**dict(zip(COLUMNS[-3:], rates, strict=True)))

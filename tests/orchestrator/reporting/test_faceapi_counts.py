"""FaceAPI's rows by outcome, compared with a loop over the rows."""

from __future__ import annotations

import pandas as pd
import pytest
from by_hand import FACEAPI_COLUMNS
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.reporting.faceapi_counts import ALL, COLUMNS, count_rows, is_matched

REMARKS = ["unreadable: 0.jpg: no such file", "unreadable: 1.jpg and more: cut", "slow: 2.jpg: ten seconds"]
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["0.jpg", "1.jpg", "2.jpg"]),
        st.sampled_from(["sad", "happy", "분노"]),
        st.sampled_from(["0", "1", "true", "True", "FALSE", ""]),
        st.sampled_from(["0.299999", "0.3", "0.30", "0.300000", "3e-1", "0.9", "0"]),
        st.sampled_from(["0", "1"]),
    ),
    max_size=12,
)


def frame(rows: list[tuple[str, str, str, str, str]]) -> pd.DataFrame:
    full = [(image, label, "", "0.5", found, iou, correct) for image, label, found, iou, correct in rows]
    return pd.DataFrame(full, columns=list(FACEAPI_COLUMNS), dtype=str)


def outcome(row: tuple[str, str, str, str, str]) -> str:
    image, _, found, iou, correct = row
    if found.lower() not in ("1", "true"):
        return "unreadable" if image == "0.jpg" else "undetected"
    if float(iou) < 0.3:
        return "iou_below_0.30"
    return "correct" if correct == "1" else "wrong"


@settings(deadline=None)
@given(ROWS)
def test_counts_are_those_of_a_loop_over_the_rows(rows: list[tuple[str, str, str, str, str]]) -> None:
    table = count_rows(frame(rows), REMARKS)
    assert tuple(table.columns) == COLUMNS
    assert table["class"].tolist() == [ALL, *sorted({row[1] for row in rows})]
    for line in table.to_dict("records"):
        found = [outcome(row) for row in rows if line["class"] in (ALL, row[1])]
        matched, correct = found.count("correct") + found.count("wrong"), found.count("correct")
        assert line == {
            "class": line["class"],
            "rows": len(found),
            "matched": matched,
            "correct": correct,
            **{name: found.count(name) for name in ("iou_below_0.30", "undetected", "unreadable")},
            "coverage": matched / max(1, len(found)),
            "matched_top1": correct / max(1, matched),
            "top1_all_rows": correct / max(1, len(found)),
        }


@pytest.mark.parametrize(("iou", "matched"), [("0.299999", False), ("0.3", True), ("0.30", True), ("0.300001", True)])
def test_an_iou_of_just_030_matches(iou: str, matched: bool) -> None:
    assert is_matched(frame([("a.jpg", "sad", "1", iou, "1")])).tolist() == [matched]


def test_figures_of_rows_that_do_not_need_them_may_be_missing() -> None:
    """An evaluator of the user's own may leave the IoU empty where it found no face."""
    rows = frame([("a.jpg", "sad", "0", "", ""), ("b.jpg", "sad", "1", "0.1", "")])
    assert count_rows(rows, [])["undetected"].tolist() == [1, 1]


@pytest.mark.parametrize(("iou", "correct"), [("wide", "1"), ("", "1"), ("0.9", "yes"), ("0.9", "")])
def test_figures_that_are_needed_must_be_numbers(iou: str, correct: str) -> None:
    with pytest.raises(ValueError, match=r"could not convert|invalid literal"):
        count_rows(frame([("a.jpg", "sad", "1", iou, correct)]), [])

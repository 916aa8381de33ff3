"""Result files read as text and written by pandas, byte for byte as Python's csv module would."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.reporting.frames import read_rows, rounded, write_frame

AWKWARD = ["NA", "nan", "null", "None", "", "007", "1.0", "1e5", "True", " x ", "기쁨", 'a,"b"', "c\nd", "e\r\nf", "#"]
LABELS = st.sampled_from(AWKWARD) | st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), max_size=5
)
"""Without a lone carriage return, which Python's csv module writes without quotes but reads as the end of a row."""


def write_text(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "rows.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the files of property tests, which have no folder per example."""
    return tmp_path_factory.mktemp("frames")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_labels_stay_as_they_are(encoding: str, end: str, tmp_path: Path) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator=end).writerows([("path", "true"), *((label, label) for label in AWKWARD)])
    rows = read_rows(write_text(tmp_path, buffer.getvalue(), encoding))
    assert list(rows.columns) == ["path", "true"]
    assert rows["path"].tolist() == rows["true"].tolist() == AWKWARD


@settings(deadline=None)
@given(rows=st.lists(st.tuples(LABELS, LABELS), max_size=5))
def test_a_written_frame_is_the_file_of_pythons_csv_writer(rows: list[tuple[str, str]], folder: Path) -> None:
    write_frame(folder / "out.csv", pd.DataFrame(rows, columns=["path", "true"]))
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows([("path", "true"), *rows])
    assert (folder / "out.csv").read_bytes() == buffer.getvalue().encode("utf-8")
    assert read_rows(folder / "out.csv").to_numpy().tolist() == [list(row) for row in rows]


def test_floats_have_six_decimals_and_missing_values_are_empty(tmp_path: Path) -> None:
    frame = pd.DataFrame({"score": [1 / 3, 1.0, None, 1e-7], "n": [1, 20, 3, 4], "note": ["a", None, "", "b"]})
    write_frame(tmp_path / "out.csv", frame)
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == (
        "score,n,note\n0.333333,1,a\n1.0,20,\n,3,\n0.0,4,b\n"
    )  # fmt: skip


def test_ties_are_rounded_as_python_rounds_them(tmp_path: Path) -> None:
    """The doubles nearest to k/640 lie on either side of a tie of six decimals."""
    shares = [k / 640 for k in range(641)]
    write_frame(tmp_path / "out.csv", pd.DataFrame({"share": shares}))
    assert read_rows(tmp_path / "out.csv")["share"].tolist() == [str(round(share, 6)) for share in shares]
    assert [rounded(share) for share in shares] != pd.Series(shares).round(6).tolist(), "the test would notice nothing"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "No columns", id="empty"),
        pytest.param("path,true\na,b\nc\n", "rows.csv, row 3: has fewer cells than the header", id="short"),
        pytest.param("path,true\na,b\nc,d,e\n", "Expected 2 fields in line 3, saw 3", id="long"),
        pytest.param("path,true\na,b,c\nd,e,f\n", "rows.csv: the rows have more cells than the header", id="all-long"),
        pytest.param('path,true\n"a,b\n', "unexpected end of data", id="cut-within-quotes"),
    ],
)
def test_a_file_whose_rows_do_not_fit_its_header_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        read_rows(write_text(tmp_path, text))


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnicodeDecodeError, match="utf-8"):
        read_rows(write_text(tmp_path, "path,true\na,분노\n", "cp949"))


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_rows(tmp_path / "rows.csv")


def test_a_failed_write_leaves_the_earlier_file(tmp_path: Path) -> None:
    write_frame(tmp_path / "out.csv", pd.DataFrame({"a": [1]}))
    with pytest.raises(UnicodeEncodeError):
        write_frame(tmp_path / "out.csv", pd.DataFrame({"a": ["\ud800"]}))
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_bytes() == b"a\n1\n"

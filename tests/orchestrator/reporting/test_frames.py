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
from trainable.base.errors import ExperimentError

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
        pytest.param("", "rows.csv: is empty", id="empty"),
        pytest.param("path,true\na,b\nc\n", "rows.csv:3: has fewer cells than the header", id="short"),
        pytest.param("path,true\na,b\nc,d,e\n", "rows.csv: Expected 2 fields in line 3, saw 3", id="long"),
        pytest.param("path,true\na,b,c\nd,e,f\n", "rows.csv: the rows have more cells than the header", id="all-long"),
        pytest.param('path,true\n"a,b\n', "rows.csv: unexpected end of data", id="cut-within-quotes"),
    ],
)
def test_a_file_whose_rows_do_not_fit_its_header_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=words):
        read_rows(write_text(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "encoding", "words"),
    [
        pytest.param("path,true\na,분노\n", "cp949", "CP949 (Korean Excel)", id="korean-excel"),
        pytest.param("path,true\na,분노\n", "utf-16", "UTF-16", id="unicode-text"),
        pytest.param("path,true\na,b\n", "utf-16-le", "UTF-16", id="utf-16-without-bom"),
        pytest.param("path,true\na,é\n", "latin-1", "save it as UTF-8", id="latin-1"),
        pytest.param("path;true\na;분노\n", "utf-8", "semicolons between its columns", id="semicolons"),
        pytest.param("path\ttrue\r\na\t분노\r\n", "utf-8-sig", "tabs between its columns", id="tabs"),
    ],
)
def test_what_excel_makes_of_a_file_is_named_with_a_way_out(
    text: str, encoding: str, words: str, tmp_path: Path
) -> None:
    file = write_text(tmp_path, text, encoding)
    with pytest.raises(ExperimentError) as caught:
        read_rows(file)
    assert str(caught.value).startswith(f"{file}:")
    assert words in str(caught.value)


@pytest.mark.parametrize("marks", [1, 2, 3])
def test_byte_order_marks_are_read_away(marks: int, tmp_path: Path) -> None:
    """Excel writes one, and a second one where a script put one before it."""
    rows = read_rows(write_text(tmp_path, "\ufeff" * marks + "path,true\r\na,분노\r\n"))
    assert rows.to_dict("records") == [{"path": "a", "true": "분노"}]


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_rows(tmp_path / "rows.csv")


def test_a_failed_write_leaves_the_earlier_file(tmp_path: Path) -> None:
    write_frame(tmp_path / "out.csv", pd.DataFrame({"a": [1]}))
    with pytest.raises(UnicodeEncodeError):
        write_frame(tmp_path / "out.csv", pd.DataFrame({"a": ["\ud800"]}))
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_bytes() == b"a\n1\n"

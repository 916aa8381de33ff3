"""Reading the CSVs: what is understood, and how what is not is told."""

from __future__ import annotations

import csv
import io
import pickle
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainable.base.errors import InputError
from trainable.data.tables import load_table, read_table

PHOTO = "faces/a.jpg"
BOXES = ["minX", "minY", "maxX", "maxY"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project root with files for images: reading a table does not open them."""
    root = tmp_path_factory.mktemp("root")
    for name in (PHOTO, "faces/b.jpg", "faces/with space, comma.jpg", 'faces/it\'s "quoted".jpg', "faces/c..d.jpg"):
        touch(root / name)
    touch(root / unicodedata.normalize("NFC", "faces/기쁨 1.jpg"))
    touch(root / unicodedata.normalize("NFD", "faces/슬픔 2.jpg"))
    return root


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def table(path: Path, *lines: str, encoding: str = "utf-8", end: str = "\n") -> Path:
    path.write_bytes("".join(line + end for line in lines).encode(encoding))
    return path


def problems(path: Path, root: Path, *, boxes: bool = False) -> list[str]:
    """The problems of a file, without its folder, for comparison."""
    found = read_table(path, root, boxes=boxes)[1]
    return [str(problem).replace(f"{path.parent}/", "") for problem in found]


# -- what is understood


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("slash", ["/", "\\"])
def test_bom_line_ends_and_backslashes(tmp_path: Path, root: Path, encoding: str, end: str, slash: str) -> None:
    path = f"faces{slash}a.jpg"
    found = load_table(table(tmp_path / "t.csv", "path,label", f"{path},기쁨", encoding=encoding, end=end), root)
    assert [(row.line, row.path, row.file, row.label) for row in found.rows] == [(2, path, root / PHOTO, "기쁨")]


def test_labels_are_compared_in_nfc(tmp_path: Path, root: Path) -> None:
    decomposed, composed = (unicodedata.normalize(form, "분노") for form in ("NFD", "NFC"))
    assert decomposed != composed
    found = load_table(table(tmp_path / "t.csv", "path,label", f"{PHOTO},{decomposed}", f"{PHOTO},{composed}"), root)
    assert found.labels == [composed, composed]


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("name", ["faces/기쁨 1.jpg", "faces/슬픔 2.jpg"])
def test_file_names_are_found_in_either_unicode_form(tmp_path: Path, root: Path, written: str, name: str) -> None:
    path = unicodedata.normalize(written, name)
    row = load_table(table(tmp_path / "t.csv", "path,label", f"{path},x"), root).rows[0]
    assert row.file.is_file()
    assert row.path == path


@pytest.mark.parametrize(
    ("name", "header", "label"),
    [
        ("train_M1.csv", "path,label,orig_kor,label_en", "label_en"),
        ("train_M1.csv", "path,label,orig_kor", "orig_kor"),
        ("train_M1.csv", "path,label", "label"),
        ("train_K7.csv", "path,label,orig_kor,label_en", "orig_kor"),
        ("train_K7.csv", "path,label,label_en", "label_en"),
        ("train_K7.csv", "path,label", "label"),
        ("K7_train.csv", "path,label,orig_kor,label_en", "label_en"),
    ],
)
def test_label_columns_have_an_order_and_k7_prefers_korean(
    tmp_path: Path, root: Path, name: str, header: str, label: str
) -> None:
    columns = header.split(",")
    values = [PHOTO if column == "path" else f"from {column}" for column in columns]
    found = load_table(table(tmp_path / name, header, ",".join(values)), root)
    assert (found.label_column, found.labels) == (label, [f"from {label}"])


@pytest.mark.parametrize("column", ["path", "image", "img", "src"])
def test_the_path_column_has_four_names(tmp_path: Path, root: Path, column: str) -> None:
    found = load_table(table(tmp_path / "t.csv", f"label,{column}", f"happy,{PHOTO}"), root)
    assert found.rows[0].file == root / PHOTO


def test_path_wins_over_its_other_names(tmp_path: Path, root: Path) -> None:
    found = load_table(table(tmp_path / "t.csv", "src,image,path,label", f"no,no,{PHOTO},happy"), root)
    assert found.rows[0].path == PHOTO


def test_blank_lines_and_spaces_are_no_rows_and_no_letters(tmp_path: Path, root: Path) -> None:
    found = load_table(table(tmp_path / "t.csv", " path , label ", "", f" {PHOTO} ,  happy ", ",", ""), root)
    assert [(row.line, row.path, row.label) for row in found.rows] == [(3, PHOTO, "happy")]


def test_line_numbers_count_lines_not_records(tmp_path: Path, root: Path) -> None:
    path = table(tmp_path / "t.csv", "path,label,note", f'{PHOTO},happy,"two', 'lines"', "gone.jpg,sad,")
    assert problems(path, root)[0].startswith("t.csv:4, column 'path'")


def test_dots_inside_a_path_are_no_way_out(tmp_path: Path, root: Path) -> None:
    path = table(tmp_path / "t.csv", "path,label", "faces/c..d.jpg,x", "faces/../faces/a.jpg,x", "./faces/a.jpg,x")
    assert len(load_table(path, root)) == 3


def test_a_link_in_the_project_may_lead_to_another_disk(tmp_path: Path) -> None:
    touch(tmp_path / "disk/a.jpg")
    (tmp_path / "project").mkdir()
    (tmp_path / "project/faces").symlink_to(tmp_path / "disk")
    assert load_table(table(tmp_path / "t.csv", "path,label", "faces/a.jpg,x"), tmp_path / "project")


def test_boxes_are_read_when_asked_for(tmp_path: Path, root: Path) -> None:
    path = table(tmp_path / "t.csv", "path,label,minX,minY,maxX,maxY", f"{PHOTO},happy,1,2.5,30,4e1")
    assert load_table(path, root, boxes=True).rows[0].box == (1, 2.5, 30, 40)
    assert load_table(path, root).rows[0].box is None


def test_a_box_may_be_one_of_the_upright_photo(tmp_path: Path, root: Path) -> None:
    lines = [f"{PHOTO},happy,1,2,3,4,{frame}" for frame in ("upright", "stored", "", " upright ")]
    path = table(tmp_path / "t.csv", "path,label,minX,minY,maxX,maxY,frame", *lines)
    found = load_table(path, root, boxes=True)
    assert [row.upright for row in found.rows] == [True, False, False, True]
    assert [row.upright for row in found.take([3, 1]).rows] == [True, False]
    assert [row.upright for row in pickle.loads(pickle.dumps(found)).rows] == [True, False, False, True]
    assert not any(row.upright for row in load_table(path, root).rows)


def test_boxes_that_nobody_asked_for_may_be_anything(tmp_path: Path, root: Path) -> None:
    path = table(tmp_path / "t.csv", "path,label,minX,minY,maxX,maxY", f"{PHOTO},happy,,x,,")
    assert len(load_table(path, root)) == 1


# -- a written table reads back equal

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda text: text == text.strip()
)
numbers = st.floats(-1e6, 1e6)
spans = st.tuples(numbers, numbers).filter(lambda span: span[0] < span[1])
NAMES = [PHOTO, "faces/b.jpg", "faces/with space, comma.jpg", 'faces/it\'s "quoted".jpg', "faces/기쁨 1.jpg"]
rows = st.lists(st.tuples(st.sampled_from(NAMES), words, spans, spans), min_size=1, max_size=8)


@settings(deadline=None)
@given(
    rows=rows,
    bom=st.sampled_from(["", "\N{ZERO WIDTH NO-BREAK SPACE}"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    order=st.permutations(range(7)),
    backslash=st.booleans(),
)
def test_a_written_table_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory,
    root: Path,
    rows: Sequence[tuple[str, str, tuple[float, float], tuple[float, float]]],
    bom: str,
    end: str,
    quoting: int,
    order: list[int],
    backslash: bool,
) -> None:
    """Whatever the labels, the order of columns, the quoting, the line ends and the slashes."""
    path = tmp_path_factory.getbasetemp() / "written.csv"
    written = [name.replace("/", "\\") if backslash else name for name, *_ in rows]
    records = [["path", "label_en", "minX", "minY", "maxX", "maxY", "note"]]
    for name, (_, label, (left, right), (top, bottom)) in zip(written, rows, strict=True):
        records.append([name, label, *map(repr, (left, top, right, bottom)), label[::-1]])
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator=end, quoting=quoting).writerows([[row[i] for i in order] for row in records])
    path.write_bytes((bom + buffer.getvalue()).encode())
    found = load_table(path, root, boxes=True)
    assert [row.line for row in found.rows] == [i + 2 for i in range(len(rows))]
    assert [row.path for row in found.rows] == written
    assert [row.file for row in found.rows] == [root / name for name, *_ in rows]
    assert found.labels == [unicodedata.normalize("NFC", label) for _, label, _, _ in rows]
    assert [row.box for row in found.rows] == [(x[0], y[0], x[1], y[1]) for _, _, x, y in rows]


# -- what is not understood


def test_every_problem_is_told_at_once_with_its_place(tmp_path: Path, root: Path) -> None:
    path = table(
        tmp_path / "t.csv",
        "path,label",
        f"{PHOTO},happy",
        "faces/gone.jpg,happy",
        f"{PHOTO},",
        "/etc/hostname,sad",
        "faces/../../outside.jpg,sad",
        "faces,sad",
        f"{PHOTO},sad,surplus",
        PHOTO,
        ",sad",
    )
    hint = "(paths are relative to the project root; is --project-root right?)"
    assert problems(path, root) == [
        f"t.csv:3, column 'path': no such image: 'faces/gone.jpg' {hint}",
        "t.csv:4, column 'label': is empty",
        f"t.csv:5, column 'path': '/etc/hostname' is absolute {hint}",
        f"t.csv:6, column 'path': 'faces/../../outside.jpg' leads out of the project root {hint}",
        "t.csv:7, column 'path': 'faces' is a folder, but must be an image",
        "t.csv:8: has 3 fields where the header has 2",
        "t.csv:9: has 1 fields where the header has 2",
        "t.csv:10, column 'path': is empty",
    ]
    with pytest.raises(InputError) as caught:
        load_table(path, root)
    assert len(caught.value.problems) == 8
    assert caught.value.exit_code == 2


def test_two_problems_of_one_row_are_both_told(tmp_path: Path, root: Path) -> None:
    found = problems(table(tmp_path / "t.csv", "src,label_en", "gone.jpg,"), root)
    assert [line.split(":")[1] for line in found] == ["2, column 'label_en'", "2, column 'src'"]


@pytest.mark.parametrize("path", ["C:\\faces\\a.jpg", "C:/faces/a.jpg", "\\\\server\\share\\a.jpg", "\\faces\\a.jpg"])
def test_windows_paths_with_a_drive_or_a_server_are_absolute(tmp_path: Path, root: Path, path: str) -> None:
    (line,) = problems(table(tmp_path / "t.csv", "path,label", f"{path},x"), root)
    assert "is absolute" in line


@pytest.mark.parametrize("path", ["../a.jpg", "..", "..\\a.jpg", "faces/../../a.jpg", "./../a.jpg"])
def test_no_way_leads_out_of_the_project_root(tmp_path: Path, path: str) -> None:
    touch(tmp_path / "a.jpg")
    (tmp_path / "project/faces").mkdir(parents=True)
    (line,) = problems(table(tmp_path / "t.csv", "path,label", f"{path},x"), tmp_path / "project")
    assert "leads out of the project root" in line


def test_a_name_too_long_for_the_disk_is_a_missing_image(tmp_path: Path, root: Path) -> None:
    (line,) = problems(table(tmp_path / "t.csv", "path,label", f"{'a' * 5000}.jpg,x"), root)
    assert "no such image" in line


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "t.csv: is empty"),
        (b"\xef\xbb\xbf\r\n \n", "t.csv: is empty"),
        (b"path,label\n", "t.csv: no rows below the header"),
        (b"path,label\n\n,\n", "t.csv: no rows below the header"),
        ("path,label\na.jpg,x\nb.jpg,기쁨\n".encode("cp949"), "t.csv:3: not UTF-8 (it looks like CP949"),
        ("path,label\na.jpg,기쁨\n".encode("utf-16"), "t.csv:1: not UTF-8 (it looks like UTF-16"),
        (b"\xff\xfe\xff\xff\x80", "t.csv:1: not UTF-8 (it looks like UTF-16"),
        ("path,label\na.jpg,x\n".encode("utf-16-le"), "t.csv:1: holds NUL bytes (it looks like UTF-16"),
        (b"path,label\na.jpg,x\n" + b"a" * 200 + b"\n\0,x\n", "t.csv:4: holds NUL bytes"),
        (b"path,label\na.jpg,\xff\xff\xff\n", "t.csv:2: not UTF-8 (save it as UTF-8)"),
        (b'path,label\nfaces/a.jpg,x\n"faces/a.jpg,x\nb,y\n', "t.csv:3: not a readable CSV"),
        (b'path,label\n"faces/a.jpg"x,x\n', "t.csv:2: not a readable CSV"),
        (b"file,label\nfaces/a.jpg,x\n", "t.csv:1, column 'path': is missing (or image, img, src; the header has:"),
        (b"path,emotion\nfaces/a.jpg,x\n", "t.csv:1, column 'label_en': is missing (or orig_kor, label; the header"),
        (b"path;label\nfaces/a.jpg;x\n", "t.csv:1, column 'path': is missing"),
        (b"path,label,path\nfaces/a.jpg,x,b\n", "t.csv:1, column 'path': stands twice in the header"),
        (b"path,label,label\nfaces/a.jpg,x,y\n", "t.csv:1, column 'label': stands twice in the header"),
    ],
)
def test_broken_files_are_told_in_a_line(tmp_path: Path, root: Path, content: bytes, told: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    assert problems(tmp_path / "t.csv", root)[0].startswith(told)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path, root: Path) -> None:
    assert problems(tmp_path / "gone.csv", root)[0].startswith("gone.csv: no such file")
    (tmp_path / "folder.csv").mkdir()
    assert problems(tmp_path / "folder.csv", root) == ["folder.csv: is a folder, but must be a CSV file"]


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ("a,0,10,10", ["minX"]),
        (",0,10,10", ["minX"]),
        ("0,nan,10,10", ["minY"]),
        ("0,0,inf,-inf", ["maxX", "maxY"]),
        ("10,0,10,10", ["maxX"]),
        ("0,10,10,9", ["maxY"]),
        ("5,5,4,4", ["maxX", "maxY"]),
    ],
)
def test_bad_boxes_are_told_by_column(tmp_path: Path, root: Path, values: str, places: list[str]) -> None:
    path = table(tmp_path / "t.csv", "path,label,minX,minY,maxX,maxY", f"{PHOTO},x,{values}")
    found, trouble = read_table(path, root, boxes=True)
    assert [(problem.row, problem.column) for problem in trouble] == [(2, place) for place in places]
    assert not found.rows


def test_a_frame_that_nobody_knows_is_told(tmp_path: Path, root: Path) -> None:
    lines = [f"{PHOTO},x,1,2,3,4,{frame}" for frame in ("upright", "rotated")]
    path = table(tmp_path / "t.csv", "path,label,minX,minY,maxX,maxY,frame", *lines)
    assert problems(path, root, boxes=True) == ["t.csv:3, column 'frame': must be stored or upright, not 'rotated'"]
    assert problems(path, root) == []


def test_missing_box_columns_are_told_one_by_one(tmp_path: Path, root: Path) -> None:
    _, trouble = read_table(table(tmp_path / "t.csv", "path,label,minX", f"{PHOTO},x,1"), root, boxes=True)
    assert [problem.column for problem in trouble] == BOXES[1:]


# -- many rows, which are taken block by block


@pytest.mark.parametrize("quoted", [False, True], ids=["by blocks", "row by row"])
def test_rows_have_their_lines_however_many_there_are(tmp_path: Path, root: Path, quoted: bool) -> None:
    """A quotation mark may hold a line's end, so that no block of lines is a block of rows."""
    lines = [
        "path,label,minX,minY,maxX,maxY",
        *[f"{PHOTO},label {number % 3},1,2,{number + 3},4" for number in range(9000)],
    ]
    lines[5000] = ""
    label = '"with, comma"' if quoted else "other"
    lines[8000] = f"faces/b.jpg,{label},1,2,3,4"
    found = load_table(table(tmp_path / "t.csv", *lines), root, boxes=True)
    assert [row.line for row in found.rows] == [line for line in range(2, 9002) if line != 5001]
    assert [row.box for row in found.rows] == [(1, 2, 3 if i == 8001 else i + 1, 4) for i in found.lines]
    assert (found.rows[7998].path, found.rows[7998].label) == ("faces/b.jpg", "with, comma" if quoted else "other")
    assert found.labels[0] == found.labels[3] == "label 0"
    lines[8999] = f"gone.jpg,x,1,2,3,{4 if quoted else 1}"
    assert [p.row for p in read_table(table(tmp_path / "t.csv", *lines), root, boxes=True)[1]] == [9000] * (2 - quoted)


def test_problems_before_a_broken_line_are_told_too(tmp_path: Path, root: Path) -> None:
    path = table(tmp_path / "t.csv", "path,label", "gone.jpg,x", *[f"{PHOTO},x"] * 5000, f"{'x' * 200_000},x", "gone,x")
    found = problems(path, root)
    assert [line.split(":")[1].split(",")[0] for line in found] == ["2", "5003"]
    assert "not a readable CSV" in found[1]

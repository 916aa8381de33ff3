"""Files that several CSVs name, and tables that travel."""

from __future__ import annotations

import pickle
import unicodedata
from pathlib import Path

import pytest
from projects import write_csv

from trainable.cache.hashes import ImageHashes, file_digest
from trainable.data.files import ImageFiles
from trainable.data.tables import ImageTable, distinct_images, load_table, read_table

BOX = ("minX", "minY", "maxX", "maxY")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve files; the name of one is decomposed on disk and composed in the CSVs."""
    for name in names():
        file = tmp_path / unicodedata.normalize("NFD", name)
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)
    return tmp_path


def names() -> list[str]:
    return [f"faces/{number:02}.jpg" for number in range(11)] + ["faces/기쁨.jpg"]


def table_of(root: Path, paths: list[str], files: ImageFiles | None = None, name: str = "t.csv") -> ImageTable:
    write_csv(root / name, ("path", "label"), [(path, f"label {len(path) % 2}") for path in paths])
    table, problems = read_table(root / name, root, files=files)
    assert problems == []
    return table


def test_a_file_that_a_second_csv_names_is_not_looked_up_again(root: Path) -> None:
    files = ImageFiles(root)
    first = table_of(root, names(), files)
    for file in first.images:
        file.unlink()
    second = table_of(root, names()[::-1], files, "second.csv")
    assert list(second.images) == list(first.images)[::-1]
    assert len(files) == 12


def test_a_path_that_names_no_image_is_looked_up_in_each_csv(root: Path) -> None:
    files = ImageFiles(root)
    write_csv(root / "gone.csv", ("path", "label"), [("faces/gone.jpg", "x")] * 2)
    for _ in range(2):
        _, problems = read_table(root / "gone.csv", root, files=files)
        assert [problem.row for problem in problems] == [2, 3]
    assert len(files) == 0


def test_rows_are_made_as_they_are_asked_for(root: Path) -> None:
    table = table_of(root, names())
    assert [row.path for row in table.rows] == table.paths == names()
    assert table.rows[-1] == list(table.rows)[11]
    assert [row.line for row in table.rows[2:5]] == [4, 5, 6]
    assert table.rows[11].file.read_text() == names()[11]
    assert list(table.take([3, 3, 0]).rows) == [table.rows[3], table.rows[3], table.rows[0]]
    with pytest.raises(IndexError):
        table.rows[12]


def test_a_table_travels_with_its_own_files_and_their_digests(root: Path) -> None:
    files = ImageFiles(root)
    table_of(root, names()[:6], files)
    write_csv(root / "boxed.csv", ("path", "label", *BOX), [(name, "기쁨", 1, 2, 3.5, 4) for name in names()[5:]])
    table, _ = read_table(root / "boxed.csv", root, boxes=True, files=files)
    for hashed in (False, True):
        if hashed:
            ImageHashes().fill([table])
        there = pickle.loads(pickle.dumps(table))
        assert list(there.rows) == list(table.rows)
        assert (there.hashed, there.digests(), len(there.files)) == (hashed, table.digests(), 7)
        assert (there.csv, there.label_column, there.labels) == (table.csv, "label", table.labels)
    assert there.digests() == [file_digest(file) for file in there.images]


def test_a_row_takes_few_bytes_when_its_table_travels(root: Path) -> None:
    """Besides its path: line, label, number of the file and SHA-256, and what frames the text."""
    rows = [names()[number % 12] for number in range(12_000)]
    repeated = table_of(root, rows)
    ImageHashes().fill([repeated])
    assert len(pickle.dumps(repeated)) < 13 * len(rows)
    many = [f"faces/{number:06}.jpg" for number in range(5000)]
    for name in many:
        (root / name).touch()
    distinct = table_of(root, many)
    ImageHashes().fill([distinct])
    assert len(pickle.dumps(distinct)) < (len(many[0]) + 55) * len(many)


def test_distinct_images_are_those_of_all_tables_once(root: Path) -> None:
    files = ImageFiles(root)
    tables = [table_of(root, names()[:4] * 2, files), table_of(root, names()[2:7], files, "second.csv")]
    assert distinct_images(tables).paths == names()[:7]


def test_a_path_with_a_slash_at_its_end_is_the_file(root: Path) -> None:
    """A `Path` drops it, and so must what reads the file without making one."""
    table = table_of(root, ["faces/00.jpg/", "faces\\01.jpg", "faces//02.jpg"])
    ImageHashes().fill([table])
    assert table.digests() == [file_digest(root / f"faces/0{number}.jpg") for number in range(3)]


def test_labels_are_numbered_in_the_order_in_which_they_come(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    written = ["슬픔", unicodedata.normalize("NFD", "기쁨"), " 슬픔 ", "기쁨"]
    write_csv(tmp_path / "t.csv", ("path", "label"), [("a.jpg", label) for label in written])
    table = load_table(tmp_path / "t.csv", tmp_path)
    assert (table.classes, list(table.codes)) == (("슬픔", "기쁨"), [0, 1, 0, 1])

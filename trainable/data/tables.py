"""A CSV as a table of images: path, label and box of each row, in columns (runbook section 3).

A project may have some 100,000 rows in each of three splits: a row takes tens of bytes besides its file, which all
tables that are read together share. No torch, numpy or pandas is imported here, since `plan` reads every CSV of a
project and is to start fast.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

from trainable.base.errors import InputError, Problem
from trainable.data.columns import BOX_COLUMNS, Box, nfc
from trainable.data.files import DIGEST_BYTES, ImageFiles
from trainable.data.reader import TableReader

__all__ = ["BOX_COLUMNS", "Box", "ImageTable", "Row", "load_table", "nfc", "read_table"]


@dataclass(frozen=True, slots=True)
class Row:
    """One image. `path` is as the CSV has it, `file` is where it lies, `line` counts from 1 (the header); `upright`
    says that the box is one of the upright photo."""

    line: int
    path: str
    file: Path
    label: str
    box: Box | None = None
    upright: bool = False


@dataclass(frozen=True)
class ImageTable:
    """A checked CSV, its rows in file order.

    Args:
        csv: the file.
        label_column: the column that the labels came from.
        classes: the distinct labels, in the order in which they come first.
        files: the files of this table, and perhaps of others.
        numbers: each row's file in `files`.
        lines: each row's line in the CSV, counted from 1 (the header).
        codes: each row's label as an index into `classes`.
        boxes: four numbers a row, or none at all.
        upright: 1 for each row whose box is one of the upright photo, else 0; or none at all.
    """

    csv: Path
    label_column: str
    classes: tuple[str, ...]
    files: ImageFiles
    numbers: array[int]
    lines: array[int]
    codes: array[int]
    boxes: array[float]
    upright: array[int] = field(default_factory=lambda: array("B"))

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def rows(self) -> Sequence[Row]:
        """The rows as a sequence of `Row`, each made when it is asked for."""
        return _Rows(self)

    @property
    def images(self) -> Sequence[Path]:
        """The file of each row as a sequence, each made when it is asked for."""
        return self.files.images(self.numbers)

    @property
    def paths(self) -> list[str]:
        """The path of each row as the CSV has it, in a new list."""
        paths = self.files.paths
        return [paths[number] for number in self.numbers]

    @property
    def labels(self) -> list[str]:
        """The label of each row, in a new list."""
        classes = self.classes
        return [classes[code] for code in self.codes]

    @property
    def hashed(self) -> bool:
        """Whether the contents of all files are known (see `trainable.cache.hashes`)."""
        return all(map(self.files.hashed.__getitem__, self.numbers))

    def digests(self, unknown: str = "") -> list[str]:
        """The SHA-256 of each row's file in hex, in a new list; `unknown` for one that is not hashed."""
        text, size, hashed = self.files.digests.hex(), 2 * DIGEST_BYTES, self.files.hashed
        return [text[size * number : size * (number + 1)] if hashed[number] else unknown for number in self.numbers]

    def row(self, index: int) -> Row:
        """One row; `index` counts from 0."""
        number, box = self.numbers[index], self.boxes[4 * index : 4 * index + 4].tolist()
        return Row(
            self.lines[index],
            self.files.paths[number],
            self.files.file(number),
            self.classes[self.codes[index]],
            (box[0], box[1], box[2], box[3]) if box else None,
            bool(self.upright and self.upright[index]),
        )

    def take(self, indices: Iterable[int]) -> ImageTable:
        """The table of these rows, which may come more than once."""
        at = list(indices)
        return replace(
            self,
            numbers=array("I", [self.numbers[i] for i in at]),
            lines=array("I", [self.lines[i] for i in at]),
            codes=array("I", [self.codes[i] for i in at]),
            boxes=array("d", [x for i in at for x in self.boxes[4 * i : 4 * i + 4]]),
            upright=array("B", [self.upright[i] for i in at] if self.upright else []),
        )

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A table travels with its own files only, and arrays as the bytes that they are."""
        used = dict.fromkeys(self.numbers)
        places = {number: place for place, number in enumerate(used)}
        numbers = array("I", [places[number] for number in self.numbers])
        columns = [column.tobytes() for column in (numbers, self.lines, self.codes, self.boxes, self.upright)]
        return _unpickled, (self.csv, self.label_column, self.classes, self.files.only(used), *columns)


def _unpickled(
    csv: Path, label_column: str, classes: tuple[str, ...], files: ImageFiles, *columns: bytes
) -> ImageTable:
    numbers, lines, codes = (array("I", column) for column in columns[:3])
    boxes, upright = array("d", columns[3]), array("B", columns[4])
    return ImageTable(csv, label_column, classes, files, numbers, lines, codes, boxes, upright)


def distinct_images(tables: Sequence[ImageTable]) -> ImageTable:
    """A table of one row for each file that the tables name; they must have been read together."""
    first = tables[0]
    assert all(table.files is first.files for table in tables)
    numbers = array("I", dict.fromkeys(number for table in tables for number in table.numbers))
    blank = array("I", bytes(numbers.itemsize * len(numbers)))
    return replace(first, numbers=numbers, lines=blank, codes=blank, boxes=array("d"), upright=array("B"))


class _Rows(Sequence[Row]):
    def __init__(self, table: ImageTable) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        places = range(len(self))[index]
        return self._table.row(places) if isinstance(places, int) else tuple(map(self._table.row, places))


def read_table(
    path: Path, project_root: Path, *, boxes: bool = False, files: ImageFiles | None = None
) -> tuple[ImageTable, list[Problem]]:
    """Read and check one CSV.

    Args:
        path: the CSV; UTF-8 with or without BOM, LF or CRLF.
        project_root: what the image paths are relative to, and must stay inside.
        boxes: whether minX, minY, maxX, maxY are needed (FaceAPI).
        files: the project's files as far as they are known from other CSVs, so that none is looked up twice.

    Returns:
        The table of the usable rows, and all problems of the file; a table is only to be used without problems.
    """
    alone = files is None
    files = ImageFiles(project_root) if files is None else files
    reader = TableReader(path, files, boxes)
    reader.read()
    columns = reader.numbers, reader.lines, reader.codes, reader.boxes, reader.upright
    if alone:
        files.no_more_csvs()
    return ImageTable(path, reader.label_column, tuple(reader.classes), files, *columns), reader.problems


def load_table(path: Path, project_root: Path, *, boxes: bool = False) -> ImageTable:
    """`read_table` that raises InputError with all problems."""
    table, problems = read_table(path, project_root, boxes=boxes)
    if problems:
        raise InputError(problems)
    return table

"""Reading the CSVs: rows of (path, label, box), every problem found at once (runbook section 3).

No torch and no pandas here: `plan` reads every CSV of a project in well under a second.
"""

from __future__ import annotations

import csv
import io
import math
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PureWindowsPath

from trainable.base.errors import InputError, Problem

PATH_COLUMNS = ("path", "image", "img", "src")
LABEL_COLUMNS = ("label_en", "orig_kor", "label")
KOREAN_FIRST = ("orig_kor", "label_en", "label")
BOX_COLUMNS = ("minX", "minY", "maxX", "maxY")
ROOT_HINT = "paths are relative to the project root; is --project-root right?"

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Row:
    """One image. `path` is as the CSV has it, `file` is where it lies, `line` counts from 1 (the header)."""

    line: int
    path: str
    file: Path
    label: str
    box: Box | None = None


@dataclass(frozen=True)
class ImageTable:
    """A checked CSV: its rows in file order, and the column the labels came from."""

    csv: Path
    label_column: str
    rows: tuple[Row, ...]

    @cached_property
    def labels(self) -> list[str]:
        return [row.label for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)


def nfc(text: str) -> str:
    """Labels and paths are compared in Unicode NFC: macOS and some tools write Korean decomposed."""
    return unicodedata.normalize("NFC", text)


def label_preference(path: Path) -> Sequence[str]:
    """K7 is indexed by its Korean labels; everywhere else the English ones come first."""
    return KOREAN_FIRST if path.stem.endswith("_K7") else LABEL_COLUMNS


def read_table(path: Path, project_root: Path, *, boxes: bool = False) -> tuple[ImageTable, list[Problem]]:
    """Read and check one CSV.

    Args:
        path: the CSV; UTF-8 with or without BOM, LF or CRLF.
        project_root: what the image paths are relative to, and must stay inside.
        boxes: whether minX, minY, maxX, maxY are needed (FaceAPI).

    Returns:
        The table of the usable rows, and all problems of the file; a table is only to be used without problems.
    """
    reader = _Reader(path, project_root, boxes)
    rows = tuple(reader.rows())
    if not rows and not reader.problems:
        reader.problem("no rows below the header")
    return ImageTable(path, reader.label_column, rows), reader.problems


def load_table(path: Path, project_root: Path, *, boxes: bool = False) -> ImageTable:
    """`read_table` that raises InputError with all problems."""
    table, problems = read_table(path, project_root, boxes=boxes)
    if problems:
        raise InputError(problems)
    return table


class _Reader:
    """Walks one CSV and gathers its problems."""

    def __init__(self, path: Path, project_root: Path, boxes: bool) -> None:
        self.path, self.root, self.boxes = path, project_root, boxes
        self.problems: list[Problem] = []
        self.label_column = ""

    def problem(self, message: str, row: int | None = None, column: str | None = None, hint: str = "") -> None:
        self.problems.append(Problem(message, str(self.path), row, column, hint))

    def rows(self) -> Iterator[Row]:
        text = self._text()
        if text is None:
            return
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        begin = 1
        try:
            header = [name.strip() for name in next(reader, [])]
            columns = self._columns(header)
            if columns is None:
                return
            begin = reader.line_num + 1
            for values in reader:
                if any(value.strip() for value in values):
                    row = self._row(begin, values, header, columns)
                    if row is not None:
                        yield row
                begin = reader.line_num + 1
        except csv.Error as error:
            self.problem(f"not a readable CSV: {error}", begin, hint="is a quotation mark left open?")

    def _text(self) -> str | None:
        if self.path.is_dir():
            self.problem("is a folder, but must be a CSV file")
            return None
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            self.problem("no such file", hint="see docs/data.md for the files a project needs")
            return None
        except OSError as error:
            self.problem(f"cannot be read: {error.strerror}")
            return None
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self.problem("not UTF-8", line, hint=_encoding_hint(data))
            return None
        if "\0" in text:
            self.problem("holds NUL bytes", text.count("\n", 0, text.index("\0")) + 1, hint=_encoding_hint(data))
            return None
        if not text.strip():
            self.problem("is empty")
            return None
        return text

    def _columns(self, header: list[str]) -> tuple[int, int, list[int]] | None:
        for name in (*PATH_COLUMNS, *LABEL_COLUMNS, *BOX_COLUMNS):
            if header.count(name) > 1:
                self.problem("stands twice in the header", 1, name)
        path = next((name for name in PATH_COLUMNS if name in header), None)
        label = next((name for name in label_preference(self.path) if name in header), None)
        have = ", ".join(header)
        if path is None:
            self.problem("is missing", 1, "path", f"or image, img, src; the header has: {have}")
        if label is None:
            self.problem("is missing", 1, "label_en", f"or orig_kor, label; the header has: {have}")
        for name in BOX_COLUMNS if self.boxes else ():
            if name not in header:
                self.problem("is missing", 1, name, "FaceAPI needs the face's box in pixels of the photo")
        if self.problems or path is None or label is None:
            return None
        self.label_column = label
        return header.index(path), header.index(label), [header.index(n) for n in BOX_COLUMNS if self.boxes]

    def _row(self, line: int, values: list[str], header: list[str], columns: tuple[int, int, list[int]]) -> Row | None:
        if len(values) != len(header):
            self.problem(f"has {len(values)} fields where the header has {len(header)}", line)
            return None
        at_path, at_label, at_box = columns
        before = len(self.problems)
        label = nfc(values[at_label].strip())
        if not label:
            self.problem("is empty", line, self.label_column)
        path = values[at_path].strip()
        file, trouble = _find_image(self.root, path)
        if trouble:
            message, hint = trouble
            self.problem(message, line, header[at_path], hint)
        box = self._box(line, [values[i] for i in at_box]) if at_box else None
        return Row(line, path, file, label, box) if len(self.problems) == before else None

    def _box(self, line: int, values: list[str]) -> Box | None:
        numbers = []
        for name, value in zip(BOX_COLUMNS, values, strict=True):
            number = _finite(value)
            if number is None:
                self.problem(f"must be a number of pixels, not {value!r}", line, name)
            else:
                numbers.append(number)
        if len(numbers) < 4:
            return None
        left, top, right, bottom = numbers
        for low, high, name in ((left, right, "maxX"), (top, bottom, "maxY")):
            if high <= low:
                self.problem(f"must be greater than {name.replace('max', 'min')} ({high:g} <= {low:g})", line, name)
        return (left, top, right, bottom)


def _find_image(root: Path, path: str) -> tuple[Path, tuple[str, str] | None]:
    """The file of a CSV path, and (message, hint) where it is not usable.

    "Inside the root" is meant as the path is written: a link that the user put there may lead to another disk.
    """
    text = path.replace("\\", "/")
    file = root / text
    if not text:
        return file, ("is empty", "")
    if text.startswith("/") or PureWindowsPath(path).drive:
        return file, (f"{path!r} is absolute", ROOT_HINT)
    if ".." in text and os.path.normpath(text).split("/")[0] == "..":
        return file, (f"{path!r} leads out of the project root", ROOT_HINT)
    for form in (text, nfc(text), unicodedata.normalize("NFD", text)):
        candidate = root / form
        if os.path.isfile(candidate):  # noqa: PTH113 (a third of Path.is_file's time, once per row)
            return candidate, None
    if os.path.isdir(file):  # noqa: PTH112 (Path.is_dir raises for a name that is too long)
        return file, (f"{path!r} is a folder, but must be an image", "")
    return file, (f"no such image: {path!r}", ROOT_HINT)


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _encoding_hint(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:200]:
        return "it looks like UTF-16; save it as 'CSV UTF-8'"
    try:
        data.decode("cp949")
    except UnicodeDecodeError:
        return "save it as UTF-8"
    return "it looks like CP949 (Korean Excel); save it as 'CSV UTF-8', or: iconv -f CP949 -t UTF-8"

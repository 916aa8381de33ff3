"""One CSV to columns, with every problem found at once (runbook section 3).

Rows are taken block by block, column by column; only in a block with a problem each row is looked at by itself.
"""

from __future__ import annotations

import csv
import io
import math
import shlex
from array import array
from dataclasses import dataclass
from itertools import chain, islice
from operator import lt
from pathlib import Path

from trainable.base.errors import Problem
from trainable.data.columns import (
    BOX_COLUMNS,
    FRAME_COLUMN,
    FRAMES,
    LABEL_COLUMNS,
    PATH_COLUMNS,
    Box,
    label_preference,
    nfc,
)
from trainable.data.files import ImageFiles, Unusable

_BLOCK = 4096


@dataclass(frozen=True)
class _Header:
    """Where the columns are: the header's names, and the places of path, label, box and frame in a row."""

    names: list[str]
    path: int
    label: int
    box: list[int]
    frame: int | None


class TableReader:
    """Reads one CSV.

    After `read`, `lines`, `numbers` (see `ImageFiles`), `codes` (indices into `classes`) and, where boxes are asked,
    `boxes` (four numbers a row) and `upright` (with a column `frame`) hold the usable rows; `problems` the others'.
    """

    def __init__(self, path: Path, files: ImageFiles, boxes: bool) -> None:
        self.path, self.files, self.with_boxes = path, files, boxes
        self.problems: list[Problem] = []
        self.label_column = ""
        self.classes: list[str] = []
        self.lines, self.numbers, self.codes, self.boxes = array("I"), array("I"), array("I"), array("d")
        self.upright = array("B")
        self._codes: dict[str, int] = {}

    def read(self) -> None:
        text = read_text(self.path)
        if isinstance(text, Problem):
            self.problems.append(text)
            return
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        self._begin = 1
        try:
            header = self._header([name.strip() for name in next(reader, [])])
            if header is not None:
                self._rows(reader, header, one_line_each='"' not in text)
        except csv.Error as error:
            self._problem(f"not a readable CSV: {error}", self._begin, hint="is a quotation mark left open?")
        if not self.lines and not self.problems:
            self._problem("no rows below the header")

    def _problem(self, message: str, row: int | None = None, column: str | None = None, hint: str = "") -> None:
        self.problems.append(Problem(message, str(self.path), row, column, hint))

    def _header(self, names: list[str]) -> _Header | None:
        for name in (*PATH_COLUMNS, *LABEL_COLUMNS, *BOX_COLUMNS, FRAME_COLUMN):
            if names.count(name) > 1:
                self._problem("stands twice in the header", 1, name)
        path = next((name for name in PATH_COLUMNS if name in names), None)
        label = next((name for name in label_preference(self.path) if name in names), None)
        have = ", ".join(names)
        if path is None:
            self._problem("is missing", 1, "path", f"or image, img, src; the header has: {have}")
        if label is None:
            self._problem("is missing", 1, "label_en", f"or orig_kor, label; the header has: {have}")
        for name in BOX_COLUMNS if self.with_boxes else ():
            if name not in names:
                self._problem("is missing", 1, name, "FaceAPI needs the face's box in pixels of the photo")
        if self.problems or path is None or label is None:
            return None
        self.label_column = label
        box = [names.index(name) for name in BOX_COLUMNS if self.with_boxes]
        frame = names.index(FRAME_COLUMN) if self.with_boxes and FRAME_COLUMN in names else None
        return _Header(names, names.index(path), names.index(label), box, frame)

    def _rows(self, reader, header: _Header, *, one_line_each: bool) -> None:  # type: ignore[no-untyped-def]  # a C type
        """All rows; `_begin` is the line at which the next one begins, also when the CSV turns out to be broken."""
        self._begin = reader.line_num + 1
        while one_line_each and self._block(reader, header):
            pass
        for values in reader:
            self._row(self._begin, values, header)
            self._begin = reader.line_num + 1

    def _block(self, reader, header: _Header) -> bool:  # type: ignore[no-untyped-def]  # a C type
        """The next rows, each of one line; False at the end."""
        block: list[list[str]] = []
        try:
            block.extend(islice(reader, _BLOCK))
        finally:  # the rows before an error count
            if not self._take(block, header):
                for line, values in enumerate(block, self._begin):
                    self._row(line, values, header)
            self._begin += len(block)
        return bool(block)

    def _take(self, block: list[list[str]], header: _Header) -> bool:
        """Add rows column by column, a fraction of the time of one by one; False, and nothing is added, where one of
        them is blank or has a problem."""
        if set(map(len, block)) != {len(header.names)}:
            return False
        labels = [values[header.label] for values in block]
        codes = {label: self._code(label) for label in dict.fromkeys(labels)}
        known, plain = self.files.numbers, self.files.plain
        numbers = [known[path] if path in known else plain(path) for path in [values[header.path] for values in block]]
        boxes = _columns([[values[place] for values in block] for place in header.box])
        upright = [] if header.frame is None else [FRAMES.get(values[header.frame].strip()) for values in block]
        if None in codes.values() or None in numbers or boxes is None or None in upright:
            return False
        self.lines.extend(range(self._begin, self._begin + len(block)))
        self.numbers.extend(numbers)  # type: ignore[arg-type]  # none of them is None
        self.codes.extend(map(codes.__getitem__, labels))  # type: ignore[arg-type]
        self.boxes.extend(chain.from_iterable(zip(*boxes, strict=True)))
        self.upright.extend(map(bool, upright))
        return True

    def _row(self, line: int, values: list[str], header: _Header) -> None:
        if not "".join(values).strip():
            return
        if len(values) != len(header.names):
            self._problem(f"has {len(values)} fields where the header has {len(header.names)}", line)
            return
        before = len(self.problems)
        code = self._code(values[header.label])
        if code is None:
            self._problem("is empty", line, self.label_column)
        number = self.files.find(values[header.path].strip())
        if isinstance(number, Unusable):
            self._problem(number.message, line, header.names[header.path], number.hint)
        box = self._box(line, [values[place] for place in header.box]) if header.box else ()
        upright = [] if header.frame is None else [self._upright(line, values[header.frame])]
        if len(self.problems) == before:
            assert code is not None and isinstance(number, int) and box is not None
            self.lines.append(line)
            self.numbers.append(number)
            self.codes.append(code)
            self.boxes.extend(box)
            self.upright.extend(upright)

    def _code(self, text: str) -> int | None:
        """The index of a label in `classes`; None where it is empty."""
        code = self._codes.get(text)
        if code is None and (label := nfc(text.strip())):
            code = self._codes.setdefault(label, len(self.classes))
            if code == len(self.classes):
                self.classes.append(label)
            self._codes[text] = code
        return code

    def _box(self, line: int, values: list[str]) -> Box | None:
        numbers = []
        for name, value in zip(BOX_COLUMNS, values, strict=True):
            number = _finite(value)
            if number is None:
                self._problem(f"must be a number of pixels, not {value!r}", line, name)
            else:
                numbers.append(number)
        if len(numbers) < 4:
            return None
        left, top, right, bottom = numbers
        for low, high, name in ((left, right, "maxX"), (top, bottom, "maxY")):
            if high <= low:
                self._problem(f"must be greater than {name.replace('max', 'min')} ({high:g} <= {low:g})", line, name)
        return (left, top, right, bottom)

    def _upright(self, line: int, text: str) -> bool:
        found = FRAMES.get(text.strip())
        if found is None:
            self._problem(f"must be stored or upright, not {text!r}", line, FRAME_COLUMN)
        return bool(found)


def read_text(path: Path) -> str | Problem:
    """The text of a file in UTF-8, with byte order marks or without, or why there is none to read."""
    file = str(path)
    if path.is_dir():
        return Problem("is a folder, but must be a CSV file", file)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Problem("no such file", file, hint="see docs/data.md for the files a project needs")
    except OSError as error:
        return Problem(f"cannot be read: {error.strerror}", file)
    try:
        text = data.decode("utf-8").lstrip("\ufeff")  # Excel adds one each time it saves
    except UnicodeDecodeError as error:
        return Problem("not UTF-8", file, data.count(b"\n", 0, error.start) + 1, hint=_encoding_hint(data, path))
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        return Problem("holds NUL bytes", file, line, hint=_encoding_hint(data, path))
    return text if text.strip() else Problem("is empty", file)


def _columns(texts: list[list[str]]) -> list[list[float]] | None:
    """Left, top, right and bottom of all boxes (nothing where there are none); None where one is no box."""
    if not texts:
        return []
    try:
        left, top, right, bottom = columns = [list(map(float, column)) for column in texts]
    except ValueError:
        return None
    finite = all(map(math.isfinite, chain.from_iterable(columns)))
    return columns if finite and all(map(lt, left, right)) and all(map(lt, top, bottom)) else None


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _encoding_hint(data: bytes, path: Path) -> str:
    """What to do about a file in another encoding; Korean Excel saves CP949, and UTF-16 as "Unicode text"."""
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:200]
    encoding = "UTF-16" if utf16 else "CP949"
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return "it looks like UTF-16; save it as 'CSV UTF-8'" if utf16 else "save it as UTF-8"
    who = "" if utf16 else " (Korean Excel)"
    old, new = shlex.quote(path.name), shlex.quote(f"utf8_{path.name}")
    command = f"iconv -f {encoding} -t UTF-8 {old} > {new}"
    return f"it looks like {encoding}{who}; save it as 'CSV UTF-8', or: {command}"

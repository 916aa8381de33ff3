"""The rows of an input CSV as text, with all its columns, beside the predictions that were made of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from orchestrator.statistics.joining import Box
from orchestrator.sweeps.result_files import read_csv_text
from trainable.base.errors import ExperimentError, Problem
from trainable.data.columns import BOX_COLUMNS, FRAME_COLUMN, FRAMES, PATH_COLUMNS, label_preference, nfc

PERSON = "person"
"""The optional column with who is on the image: rows of one person are not independent."""


@dataclass(frozen=True)
class InputRows:
    """A CSV of images.

    Attributes:
        file: the CSV.
        table: its cells as text, without blank rows and without spaces around the names of the columns.
    """

    file: Path
    table: pd.DataFrame

    @cached_property
    def paths(self) -> list[str]:
        """The path of each row in Unicode NFC."""
        return [nfc(path.strip()) for path in self.table[_first(self.table, PATH_COLUMNS)]]

    @cached_property
    def labels(self) -> list[str]:
        """The label of each row in Unicode NFC."""
        return [nfc(label.strip()) for label in self.table[_first(self.table, label_preference(self.file))]]

    @cached_property
    def boxes(self) -> list[Box] | None:
        """The face of each row in pixels of its photo; None where the CSV has no boxes, or one that is no number."""
        if not set(BOX_COLUMNS) <= set(self.table.columns):
            return None
        try:
            sides = self.table[list(BOX_COLUMNS)].astype(float).to_numpy()
        except ValueError:
            return None
        return [tuple(box) for box in sides.tolist()] if np.isfinite(sides).all() else None

    @cached_property
    def upright(self) -> list[bool]:
        """Whether the box of each row is one of the upright photo, its EXIF rotation applied."""
        if FRAME_COLUMN not in self.table.columns:
            return [False] * len(self.table)
        return [bool(FRAMES.get(text.strip())) for text in self.table[FRAME_COLUMN]]

    @cached_property
    def persons(self) -> np.ndarray | None:
        """Who is on each row, (n,) str; None where the CSV does not say, or not of all rows."""
        if PERSON not in self.table.columns:
            return None
        persons = self.table[PERSON].str.strip()
        return None if (persons == "").any() else persons.to_numpy(str)

    def has_rows(self, paths: Sequence[str]) -> bool:
        """Whether these are the paths of the CSV's rows, in their order."""
        return self.paths == [nfc(str(path).strip()) for path in paths]


def read_input(file: Path) -> InputRows:
    """Read a CSV of images, with Python's csv reader, which takes a tenth of the time of pandas' own in Python.

    Raises:
        ExperimentError: there is none, it is not readable, or a column is missing. The message says which.
    """
    try:
        header, *rows = csv.reader(io.StringIO(read_csv_text(file), newline=""))
    except FileNotFoundError:
        raise ExperimentError(f"{file}: no such file") from None
    except csv.Error as error:
        raise ExperimentError(f"{file}: not a readable CSV: {error}") from error
    wrong = next((line for line, row in enumerate(rows, 2) if row and len(row) != len(header)), None)
    if wrong:
        raise ExperimentError(str(Problem("has not as many fields as the header", str(file), wrong)))
    filled = [row for row in rows if "".join(row).strip()]
    found = InputRows(file, pd.DataFrame(filled, columns=[name.strip() for name in header], dtype=str))
    for names in (PATH_COLUMNS, label_preference(file)):
        _first(found.table, names)
    return found


def _first(table: pd.DataFrame, names: Sequence[str]) -> str:
    found = next((name for name in names if name in table.columns), None)
    if found is None:
        raise ExperimentError(f"the column {names[0]} is missing")
    return found

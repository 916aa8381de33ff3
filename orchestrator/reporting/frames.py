"""Result files as pandas frames: every cell is read as text, and every file is written whole."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from orchestrator.sweeps.result_files import read_csv_text
from trainable.base.errors import ExperimentError, Problem
from trainable.base.files import write_text

DECIMALS = 6


def read_rows(path: Path) -> pd.DataFrame:
    """Read a CSV as text: labels such as `NA`, `007` and the empty string stay as they are.

    Python's csv reader parses it (pandas' own parser fills up short rows with empty cells, so that they could not be
    noticed).

    Returns:
        One row per row of the file, one column of strings per name in the header.

    Raises:
        FileNotFoundError: there is none.
        ExperimentError: the file is not readable (`result_files.read_csv_text`), or a row has not as many cells as the
            header. The message names the file.
    """
    text = io.StringIO(read_csv_text(path), newline="")
    try:
        rows = pd.read_csv(text, dtype=str, keep_default_na=False, engine="python")
    except ValueError as error:
        raise ExperimentError(f"{path}: {error}") from error
    if not isinstance(rows.index, pd.RangeIndex):  # pandas took the first column of rows that are too long for an index
        raise ExperimentError(f"{path}: the rows have more cells than the header")
    short = rows.isna().any(axis=1)
    if short.any():
        raise ExperimentError(str(Problem("has fewer cells than the header", str(path), int(short.argmax()) + 2)))
    return rows


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write the columns of a frame, without its index, as a CSV that appears whole or not at all.

    The file is UTF-8 without BOM and has LF line ends. Columns of floats are rounded to six decimals; a missing value
    becomes an empty cell.
    """
    write_text(path, frame.to_csv(index=False, lineterminator="\n", float_format=lambda value: str(rounded(value))))


def rounded(value: float) -> float:
    """Round to six decimals as Python does; numpy scales before it rounds, which ends elsewhere on some ties."""
    return round(float(value), DECIMALS)

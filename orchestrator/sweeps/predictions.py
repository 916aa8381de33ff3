"""The test predictions of finished runs in one table: only runs on the same rows can be compared."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from orchestrator.sweeps.result_files import read_csv_text, read_object
from orchestrator.sweeps.verdict import Comparison, compare
from trainable.base.errors import ExperimentError, Problem
from trainable.base.paths import PREDS_COLUMNS, RunPaths

SAME_ROWS = "runs are compared on the same test rows in the same order"
_TOO_MANY_FIELDS = re.compile(r"Expected \d+ fields in line (\d+), saw \d+")
"""The only form in which pandas says which row is too long."""


@dataclass(frozen=True)
class Predictions:
    """The classes that r runs predicted for the same n test rows, numbered in the order of classes.json."""

    classes: tuple[str, ...]
    paths: tuple[str, ...]
    true: np.ndarray
    """(n,) int64."""
    predicted: np.ndarray
    """(r, n) int64, a row for each run."""


def compare_runs(
    default: Sequence[Path], other: Sequence[Path], *, resamples: int = 10_000, seed: int = 0
) -> Comparison:
    """Compare the runs of two configurations with `verdict.compare`.

    Args:
        default: the run folders of the default, one per seed.
        other: the run folders of the other configuration, in the same order of seeds.
        resamples: number of draws of rows and seeds.
        seed: seed of the generator that draws.

    Raises:
        ExperimentError: as `read_predictions`.
        ValueError: the two have not as many folders, or fewer than two.
    """
    found = read_predictions([*default, *other])
    before, after = found.predicted[: len(default)], found.predicted[len(default) :]
    return compare(found.true, before, after, len(found.classes), resamples=resamples, seed=seed)


def read_predictions(folders: Sequence[Path]) -> Predictions:
    """Read test_preds.csv and classes.json of each run folder; at least one folder.

    Raises:
        ExperimentError: a file is missing, not readable or empty, has a label that is no class, or has other classes,
            other rows or another order than the first run's. The message names the file, and the row if it is one.
    """
    runs = [RunPaths(folder) for folder in folders]
    first = runs[0]
    classes, rows = _classes(first.classes), _rows(first.test_preds)
    numbers = {name: i for i, name in enumerate(classes)}
    predicted = []
    for run in runs:
        if _classes(run.classes) != classes:
            raise _failed(f"has other classes, or another order, than {first.classes}", run.classes)
        own = _rows(run.test_preds)
        _check_same(rows, own, first.test_preds, run.test_preds)
        predicted.append(_numbered(own, numbers, run)["pred"].to_numpy())
    true = _numbered(rows, numbers, first)["true"].to_numpy()
    return Predictions(tuple(classes), tuple(rows["path"]), true, np.array(predicted))


def _classes(file: Path) -> list[str]:
    try:
        classes = read_object(file).get("classes")
    except FileNotFoundError:
        classes = None
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise _failed("is missing, or has no list of classes", file, hint="did the run finish?")
    return classes


def _rows(file: Path) -> pd.DataFrame:
    """The columns path, true and pred as text. The index is the row in the file, where the header is row 1."""
    frame = _read(file)
    header = list(frame.iloc[0]) if len(frame) else []
    missing = [name for name in PREDS_COLUMNS if name not in header]
    if missing:
        raise _failed("is missing", file, 1, missing[0])
    rows = frame.iloc[1:].set_axis(header, axis="columns").set_axis(range(2, len(frame) + 1))
    short = rows.index[rows.isna().any(axis="columns")]
    if len(short):
        raise _failed("does not have as many fields as the header", file, int(short[0]))
    if rows.empty:
        raise _failed("no rows below the header", file)
    return rows[[*PREDS_COLUMNS]]


def _read(file: Path) -> pd.DataFrame:
    """All rows of the file as text, with the header as the first one, and NaN for the fields that a row lacks.

    The header is read as a row, since pandas would take the first column of longer rows below a header for their index.
    The engine is Python's, because the one in C gives an empty text for a field that is lacking.
    """
    try:
        text = io.StringIO(read_csv_text(file), newline="")
        return pd.read_csv(text, header=None, dtype=str, keep_default_na=False, engine="python")
    except FileNotFoundError:
        raise _failed("no such file", file, hint="did the run finish?") from None
    except ValueError as error:
        too_many = _TOO_MANY_FIELDS.search(str(error))
        if too_many:
            raise _failed("does not have as many fields as the header", file, int(too_many[1])) from None
        raise _failed(f"cannot be read: {error}", file) from None


def _check_same(rows: pd.DataFrame, own: pd.DataFrame, first: Path, file: Path) -> None:
    """Raise an ExperimentError for the first row that has another path or label in `own` than in `rows`."""
    columns, both = [*PREDS_COLUMNS[:2]], rows.index.intersection(own.index)
    unequal = own.loc[both, columns] != rows.loc[both, columns]
    if unequal.any(axis=None):
        number, column = _first(unequal)
        one, two = rows.at[number, column], own.at[number, column]
        raise _failed(f"is {two!r}, but {one!r} in {first}", file, number, column, SAME_ROWS)
    if len(rows) != len(own):
        raise _failed(f"has {len(own)} rows, but {first} has {len(rows)}", file, hint=SAME_ROWS)


def _numbered(rows: pd.DataFrame, numbers: dict[str, int], run: RunPaths) -> pd.DataFrame:
    """The columns true and pred as the numbers of their classes, int64."""
    labels = rows[["true", "pred"]]
    found = labels.apply(lambda column: column.map(numbers))
    if found.isna().any(axis=None):
        number, column = _first(found.isna())
        raise _failed(
            f"{labels.at[number, column]!r} is no class of {run.classes.name}", run.test_preds, number, column
        )
    return found.astype(np.int64)


def _first(where: pd.DataFrame) -> tuple[int, str]:
    """The row and the column of the first True, row by row."""
    row = where.any(axis="columns").idxmax()
    return int(row), str(where.loc[row].idxmax())


def _failed(message: str, file: Path, row: int | None = None, column: str | None = None, hint: str = "") -> Exception:
    return ExperimentError(str(Problem(message, str(file), row, column, hint)))

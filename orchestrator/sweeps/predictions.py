"""The test predictions of finished runs, side by side: only runs on the same rows can be compared."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orchestrator.sweeps.verdict import Comparison, compare
from trainable.base.errors import ExperimentError, Problem
from trainable.base.files import read_json
from trainable.base.paths import RunPaths

COLUMNS = ("path", "true", "pred")
"""Of test_preds.csv (runbook section 6); `trainable.run.artifacts` has them too, but imports torch."""
SAME_ROWS = "runs are compared on the same test rows in the same order"

Row = tuple[str, str, str]


@dataclass(frozen=True)
class Predictions:
    """What r runs said of the same n test rows; classes are numbered in the order of classes.json."""

    classes: tuple[str, ...]
    paths: tuple[str, ...]
    true: np.ndarray
    """(n,) int64."""
    predicted: np.ndarray
    """(r, n) int64, a row for each run."""


def compare_runs(
    default: Sequence[Path], other: Sequence[Path], *, resamples: int = 10_000, seed: int = 0
) -> Comparison:
    """`verdict.compare` on the run folders of two configurations, one folder per seed, in the same order of seeds.

    Raises:
        ExperimentError: as `read_predictions`.
        ValueError: the two have not as many folders, or fewer than two.
    """
    found = read_predictions([*default, *other])
    before, after = found.predicted[: len(default)], found.predicted[len(default) :]
    return compare(found.true, before, after, len(found.classes), resamples=resamples, seed=seed)


def read_predictions(folders: Sequence[Path]) -> Predictions:
    """Read test_preds.csv and classes.json of each run folder; at least one.

    Raises:
        ExperimentError: a file is missing, not readable or empty, has a label that is no class, or has other classes,
            other rows or another order than the first run's. The message names the file, and the row if it is one.
    """
    runs = [RunPaths(folder) for folder in folders]
    first = runs[0]
    classes, rows = _classes(first.classes), _rows(first.test_preds)
    place = {name: i for i, name in enumerate(classes)}
    predicted = []
    for run in runs:
        if _classes(run.classes) != classes:
            raise _failed(f"has other classes, or another order, than {first.classes}", run.classes)
        own = _rows(run.test_preds)
        _check_same(rows, own, first.test_preds, run.test_preds)
        _check_labels(own, place, run)
        predicted.append([place[pred] for _, _, pred in own])
    true = np.array([place[label] for _, label, _ in rows], np.int64)
    return Predictions(tuple(classes), tuple(path for path, _, _ in rows), true, np.array(predicted, np.int64))


def _classes(file: Path) -> list[str]:
    found = read_json(file)
    classes = found.get("classes") if isinstance(found, dict) else None
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise _failed("is missing, or has no list of classes", file, hint="did the run finish?")
    return classes


def _rows(file: Path) -> list[Row]:
    """The rows below the header, a line each."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            header, found = reader.fieldnames or (), list(reader)
    except FileNotFoundError:
        raise _failed("no such file", file, hint="did the run finish?") from None
    except (OSError, ValueError, csv.Error) as error:
        raise _failed(f"cannot be read: {error}", file) from None
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise _failed("is missing", file, 1, missing[0])
    for number, row in enumerate(found, 2):
        if None in row or None in row.values():
            raise _failed("does not have as many fields as the header", file, number)
    if not found:
        raise _failed("no rows below the header", file)
    return [(row["path"], row["true"], row["pred"]) for row in found]


def _check_same(rows: list[Row], own: list[Row], first: Path, file: Path) -> None:
    for number, (one, two) in enumerate(zip(rows, own, strict=False), 2):
        for column, a, b in zip(COLUMNS[:2], one, two, strict=False):
            if a != b:
                raise _failed(f"is {b!r}, but {a!r} in {first}", file, number, column, SAME_ROWS)
    if len(rows) != len(own):
        raise _failed(f"has {len(own)} rows, but {first} has {len(rows)}", file, hint=SAME_ROWS)


def _check_labels(rows: list[Row], place: dict[str, int], run: RunPaths) -> None:
    for number, (_, true, pred) in enumerate(rows, 2):
        for column, label in (("true", true), ("pred", pred)):
            if label not in place:
                raise _failed(f"{label!r} is no class of {run.classes.name}", run.test_preds, number, column)


def _failed(message: str, file: Path, row: int | None = None, column: str | None = None, hint: str = "") -> Exception:
    return ExperimentError(str(Problem(message, str(file), row, column, hint)))

"""All that can be wrong with a run's inputs, found before it starts (no torch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from trainable.base.config import PARTS
from trainable.base.errors import Problem
from trainable.data.files import ImageFiles
from trainable.data.tables import ImageTable, read_table


def check_tables(
    csvs: Mapping[str, Path], project_root: Path, files: ImageFiles | None = None
) -> tuple[dict[str, ImageTable], list[Problem]]:
    """Read train, val and test of one split and check each by itself and against each other.

    Args:
        csvs: the CSV of each part.
        files: the project's files as far as they are known from other splits, so that none is looked up twice.
    """
    files = ImageFiles(project_root) if files is None else files
    read = {part: read_table(csvs[part], project_root, files=files) for part in PARTS}
    tables = {part: table for part, (table, _) in read.items()}
    problems = [problem for _, found in read.values() for problem in found]
    if not read["train"][1]:  # else a class may be unknown only because its rows could not be read
        problems += _label_problems(tables)
    return tables, problems


def _label_problems(tables: Mapping[str, ImageTable]) -> list[Problem]:
    train = tables["train"]
    classes = sorted(set(train.labels))
    if len(classes) < 2:
        return [
            Problem(
                f"has one class only ({classes[0]}); training needs two",
                str(train.csv),
                2,
                train.label_column,
            )
        ]
    return [problem for part in ("val", "test") for problem in _unknown_labels(tables[part], train, classes)]


def _unknown_labels(table: ImageTable, train: ImageTable, classes: list[str]) -> list[Problem]:
    hint = f"{train.csv.name}, column '{train.label_column}', has: {', '.join(classes)}"
    return unknown_labels(table, lambda label: label in classes, "is not in the training data", lambda label: hint)


def unknown_labels(
    table: ImageTable, known: Callable[[str], bool], complaint: str, hint: Callable[[str], str]
) -> list[Problem]:
    """One problem for each row whose label is not known.

    Args:
        complaint: what is wrong with such a label; follows the label.
        hint: what to do about a label.
    """
    unknown = {code: label for code, label in enumerate(table.classes) if not known(label)}
    if not unknown:
        return []
    return [
        Problem(f"label {unknown[code]!r} {complaint}", str(table.csv), line, table.label_column, hint(unknown[code]))
        for line, code in zip(table.lines, table.codes, strict=True)
        if code in unknown
    ]

"""All that can be wrong with a run's inputs, found before it starts (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trainable.config import PARTS, RunSpec
from trainable.errors import InputError, Problem
from trainable.tables import ImageTable, read_table


def check_tables(csvs: Mapping[str, Path], project_root: Path) -> tuple[dict[str, ImageTable], list[Problem]]:
    """Read train, val and test of one split and check each by itself and against each other."""
    tables: dict[str, ImageTable] = {}
    problems: list[Problem] = []
    for part in PARTS:
        tables[part], found = read_table(csvs[part], project_root)
        problems += found
    if not problems:
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
    known = ", ".join(classes)
    return [
        Problem(
            f"label {row.label!r} is not in the training data",
            str(tables[part].csv),
            row.line,
            tables[part].label_column,
            f"{train.csv.name}, column '{train.label_column}', has: {known}",
        )
        for part in ("val", "test")
        for row in tables[part].rows
        if row.label not in classes
    ]


def check_run(spec: RunSpec) -> dict[str, ImageTable]:
    """The tables of `spec`.

    Raises:
        InputError: with every problem found.
    """
    problems = []
    if not spec.project_root.is_dir():
        raise InputError([Problem("no such folder", f"--project-root {spec.project_root}")])
    if spec.out.exists() and not spec.out.is_dir():
        problems.append(Problem("is a file, but must be a folder", f"--out {spec.out}"))
    tables, found = check_tables(spec.csvs, spec.project_root)
    if problems + found:
        raise InputError(problems + found)
    return tables

"""The first difference between a result on disk and the same result made again, in words (no torch).

Numbers count as equal when they are the same to the last bit: their texts, which Python writes in full, are compared.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainable.base.files import read_json

Table = list[list[str]]
"""The lines of a CSV, or the rows of a Parquet file, as texts; the names of the columns come first."""


def read_table(path: Path) -> Table:
    """All lines of a table, whatever has become of it; [] where it is missing or cannot be read at all."""
    if path.suffix == ".parquet":
        return _read_parquet(path)
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
        return list(csv.reader(io.StringIO(text, newline="")))
    except (OSError, csv.Error):
        return []


def _read_parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(str(path))
    except (OSError, pa.ArrowException):
        return []
    columns = [[str(value) for value in column.to_pylist()] for column in table.columns]
    return [table.column_names, *map(list, zip(*columns, strict=True))]


def row_difference(
    columns: Sequence[str], before: Sequence[str], again: Sequence[str], ignored: Collection[str] = ()
) -> str | None:
    """The first column in which two rows differ, with both values."""
    if len(before) != len(columns):
        return f"{len(before)} values on disk, {len(columns)} again"
    for column, old, new in zip(columns, before, again, strict=True):
        if old != new and column not in ignored:
            return f"{column} {_shown(old)} on disk, {_shown(new)} again"
    return None


def history_difference(disk: Table, epoch: int, columns: Sequence[str], row: Mapping[str, Any]) -> str | None:
    """Compare an epoch's row of history.csv with a new one; the time that it took does not count.

    Args:
        disk: the lines of history.csv.
        epoch: counts from 1, as the rows do.
        columns: those that the file has when it is ours.
        row: the new values, as the training gives them.
    """
    if not disk or disk[0] != list(columns):
        return f"history.csv has other columns: {', '.join(disk[0]) if disk else 'none'}"
    if epoch >= len(disk):
        return f"history.csv has no row for epoch {epoch}"
    again = ["" if row.get(name) is None else str(row[name]) for name in columns]
    found = row_difference(columns, disk[epoch], again, ignored=("seconds",))
    return f"history.csv, epoch {epoch}: {found}" if found else None


def table_difference(before: Path, again: Path) -> str | None:
    """Compare two tables of which the first column says what a row is about. Row 1 is the header, as in a CSV."""
    old, new = read_table(before), read_table(again)
    if not old:
        return f"{before.name} is missing, empty or broken on disk"
    for number, (one, other) in enumerate(zip(old, new, strict=False), 1):
        found = row_difference(new[0], one, other)
        if found:
            about = f" ({other[0]})" if number > 1 and other else ""
            return f"{before.name}, row {number}{about}: {found}"
    return f"{before.name} has {len(old)} lines on disk, {len(new)} again" if len(old) != len(new) else None


def json_file_difference(before: Path, again: Path) -> str | None:
    """Compare two JSON files, value by value."""
    old = read_json(before)
    if old is None:
        return f"{before.name} cannot be read as JSON"
    found = value_difference(old, read_json(again))
    return f"{before.name}, {found}" if found else None


def value_difference(before: Any, again: Any, place: str = "") -> str | None:
    """The first place where two JSON values differ, such as `per_class.happy.f1`, with both values."""
    if isinstance(before, Mapping) and isinstance(again, Mapping):
        for key in dict.fromkeys((*again, *before)):
            name = f"{place}.{key}" if place else str(key)
            if key not in before or key not in again:
                return f"{name} is {'missing' if key not in before else 'there only'} on disk"
            if found := value_difference(before[key], again[key], name):
                return found
        return None
    if isinstance(before, list) and isinstance(again, list) and len(before) == len(again):
        pairs = enumerate(zip(before, again, strict=True))
        return next(filter(None, (value_difference(a, b, f"{place}[{i}]") for i, (a, b) in pairs)), None)
    old, new = (json.dumps(value, ensure_ascii=False) for value in (before, again))
    return f"{place or 'its value'} {old} on disk, {new} again" if old != new else None


def _shown(text: str) -> str:
    return text if text else "(empty)"

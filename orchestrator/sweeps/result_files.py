"""Reading result files again, which somebody may have edited since: a message says which one is wrong, and how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trainable.base.errors import ExperimentError, Problem
from trainable.data import reader

_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}


def read_text(file: Path) -> str:
    """The text of a file in UTF-8, without any byte order mark.

    Raises:
        FileNotFoundError: there is none.
        ExperimentError: it cannot be read, is empty or in another encoding; the message says which, and what to do.
    """
    if not file.exists():
        raise FileNotFoundError(file)
    found = reader.read_text(file)
    if isinstance(found, Problem):
        raise ExperimentError(str(found))
    return found


def read_csv_text(file: Path) -> str:
    """As `read_text`, for a file with commas between its columns.

    Raises:
        FileNotFoundError, ExperimentError: as `read_text`, or other characters separate the columns.
    """
    text = read_text(file)
    header = text.split("\n", 1)[0]
    for separator, name in _OTHER_SEPARATORS.items():
        if separator in header and "," not in header:
            message = f"has {name} between its columns, but must have commas"
            raise ExperimentError(str(Problem(message, str(file), 1, hint="save it as 'CSV UTF-8 (Comma delimited)'")))
    return text


def read_object(file: Path) -> dict[str, Any]:
    """The values of a JSON file.

    Raises:
        FileNotFoundError, ExperimentError: as `read_text`, or it holds no JSON object.
    """
    try:
        values = json.loads(read_text(file))
    except ValueError as error:
        raise ExperimentError(f"{file}: not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ExperimentError(f"{file}: is not a JSON object")
    return values


def number_in(values: dict[str, Any], name: str, file: Path) -> float:
    """A number among the values of a file; NaN is one, since a training that diverged has it as its score.

    Raises:
        ExperimentError: it is missing or no number.
    """
    if name not in values:
        raise ExperimentError(f"{file}: has no {name}; did the run finish?")
    try:
        return float(values[name])
    except (TypeError, ValueError, OverflowError) as error:
        raise ExperimentError(f"{file}: {name} must be a number, not {values[name]!r}") from error

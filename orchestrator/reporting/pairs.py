"""Two results on the same rows: what differs in data and recipe, in the scores, and on which rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from orchestrator.history.store import changes
from orchestrator.reporting.answers import Answers, Source, read_answers
from orchestrator.reporting.input_rows import read_input
from orchestrator.statistics.comparison import PairedComparison, compare_paired
from orchestrator.statistics.scores import numbered
from trainable.base.errors import ConfigError, ExperimentError

KEY = ["path", "true"]


@dataclass(frozen=True)
class Pair:
    """Two results that were tested on the same rows; `b` is the candidate, `a` the reference.

    Attributes:
        part: which rows: test or val.
        differs: what differs in data and recipe, in words.
        comparison: of their scores.
        disagreements: the rows on which their answers differ, in a's order: `path`, `true`, `a`, `b`; an answer is ""
            where FaceAPI matched no face.
    """

    a: Answers
    b: Answers
    part: str
    differs: str
    comparison: PairedComparison
    disagreements: pd.DataFrame


def compare_sources(a: Source, b: Source) -> Pair:
    """Compare two results on their test rows, or on their validation rows where one is a trial without a test.

    Raises:
        ConfigError: they have no rows in common to be compared on, or files are not readable.
    """
    part = next((part for part in a.parts if part in b.parts), None)
    if part is None:
        raise ConfigError(
            f"{a.name} and {b.name} have no answers to the same part: {a.name} has {_said(a)}, {b.name} has {_said(b)}"
        )
    first, second = read_answers(a, part), read_answers(b, part)
    rows = _joined(first, second, part)
    classes = tuple(dict.fromkeys((*first.classes, *second.classes)))
    true, before, after = (numbered(rows[name].tolist(), classes) for name in ("true", "a", "b"))
    if (true < 0).any():
        label = rows["true"][int((true < 0).argmax())]
        raise ConfigError(f"{first.file}: label {label!r} is no class of the training ({', '.join(classes)})")
    differs = rows[rows["a"] != rows["b"]]
    comparison = compare_paired(true, before, after, classes, _persons(a, part, rows))
    return Pair(first, second, part, _recipes(a, b), comparison, differs.reset_index(drop=True))


def _said(source: Source) -> str:
    return f"those to its {' and '.join(source.parts)} rows" if source.there else "none"


def _joined(a: Answers, b: Answers, part: str) -> pd.DataFrame:
    """`path`, `true`, and the answers of both, in the order of `a`.

    Raises:
        ConfigError: they were not asked the same rows, or the images behind the rows are others.
    """
    first, second = (_numbered_rows(one.rows) for one in (a, b))
    keys = [set(map(tuple, rows[[*KEY, "again"]].to_numpy())) for rows in (first, second)]
    for one, other, only in ((a, b, keys[0] - keys[1]), (b, a, keys[1] - keys[0])):
        if only:
            path, true, _ = min(only)
            raise ConfigError(
                f"{a.source.name} and {b.source.name} were not tested on the same rows: {one.file} has {path} "
                f"({true}), {other.file} does not ({len(a.rows)} and {len(b.rows)} rows)"
            )
    if _other_images(a, b, part):
        raise ConfigError(
            f"{a.source.name} and {b.source.name} were tested on rows with the same names, but other images behind "
            "them: run one of them again"
        )
    both = first.merge(second, on=[*KEY, "again"], how="left", suffixes=("_a", "_b"), sort=False)
    return both.rename(columns={"pred_a": "a", "pred_b": "b"})[[*KEY, "a", "b"]]


def _numbered_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """With a number for rows that are there more than once, so that each has one counterpart."""
    return rows.assign(again=rows.groupby(KEY, sort=False).cumcount())


def _other_images(a: Answers, b: Answers, part: str) -> bool:
    """Whether the records say that the same rows had other images."""
    first, second = (_digests(one.source, part) for one in (a, b))
    return bool(first and second) and first["rows"] == second["rows"] and first["images"] != second["images"]


def _digests(source: Source, part: str) -> dict[str, str]:
    """Of the rows and their images; {} where the record does not say."""
    data = source.manifest.get("identity", {}).get("data")
    found = data.get(part) if isinstance(data, dict) else None
    return found if isinstance(found, dict) and {"rows", "images"} <= found.keys() else {}


def _recipes(a: Source, b: Source) -> str:
    first, second = a.manifest, b.manifest
    unknown = [one.name for one, record in ((a, first), (b, second)) if not record]
    if unknown:
        return f"unknown: nothing says what made {' and '.join(unknown)}"
    return changes(first["identity"], second["identity"])


def _persons(source: Source, part: str, rows: pd.DataFrame) -> np.ndarray | None:
    """Who is on each row, where the input CSV is still there and says so of all rows: theirs are not independent."""
    csv = source.manifest.get("csvs", {}).get(part)
    try:
        table = read_input(Path(csv)) if csv else None
        return table.persons if table is not None and table.has_rows(rows["path"].tolist()) else None
    except ExperimentError:
        return None


def all_disagreements(pairs: Sequence[tuple[str, Pair]]) -> pd.DataFrame:
    """Those of several pairs in one table, whose first column says which."""
    frames = [pair.disagreements.assign(experiment=name) for name, pair in pairs]
    return pd.concat(frames)[["experiment", *KEY, "a", "b"]]

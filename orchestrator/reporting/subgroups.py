"""On whom does a method fail? Scores by gender, age and size of the face, where the test CSV has such columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from orchestrator.reporting.input_rows import InputRows
from orchestrator.reporting.material import Scored
from orchestrator.statistics.evaluation import Evaluation, evaluate
from orchestrator.statistics.scores import numbered

COLUMNS = {"gender": ("gender", "sex", "성별"), "age": ("age", "age_group", "나이", "연령", "연령대")}
"""What is grouped by, and how columns are called that say it."""
UNKNOWN = "unknown"
MOST = 12
"""Groups of one column that are shown, the largest first."""


@dataclass(frozen=True)
class Subgroup:
    """The rows of one group, such as ("gender", "여"), and the scores on them."""

    by: str
    value: str
    scores: Evaluation


def subgroups(item: Scored) -> list[Subgroup] | None:
    """Scores by group; None where the test CSV says nothing to group by, or has other rows than the result."""
    if item.inputs is None or not len(item.result.rows):
        return None
    rows = item.result.rows
    true, predicted = (numbered(rows[name].tolist(), item.classes) for name in ("true", "pred"))
    found = []
    for by, groups in _groupings(item.inputs):
        sizes = groups.value_counts(sort=True)
        shown = list(sizes.index[:MOST]) if len(sizes) > 1 else []
        for value in [name for name in groups.cat.categories if name in shown]:
            kept = (groups == value).to_numpy()
            persons = None if item.inputs.persons is None else item.inputs.persons[kept]
            found.append(Subgroup(by, value, evaluate(true[kept], predicted[kept], item.classes, persons)))
    return found or None


def _groupings(inputs: InputRows) -> Iterator[tuple[str, pd.Series]]:
    """What is grouped by, and the group of each row as ordered categories."""
    table = inputs.table
    for by, names in COLUMNS.items():
        column = next((name for name in names if name in table.columns), None)
        if column:
            values = table[column].str.strip().replace("", UNKNOWN)
            yield by, _decades(values) if by == "age" else values.astype("category")
    if inputs.boxes is not None and len(inputs.boxes) >= 3:
        left, top, right, bottom = np.array(inputs.boxes).T
        sides = pd.Series(np.sqrt(np.clip((right - left) * (bottom - top), 0, None)))
        thirds = pd.qcut(sides.round(), 3, duplicates="drop")
        edges = [(max(each.left, 0), each.right) for each in thirds.cat.categories]
        yield "face size", thirds.cat.rename_categories([f"{low:.0f} to {high:.0f} px" for low, high in edges])


def _decades(values: pd.Series) -> pd.Series:
    """Ages in decades, where they are numbers; groups that the CSV made stay as they are."""
    ages = pd.to_numeric(values, errors="coerce")
    if ages.isna().any() and (values != UNKNOWN)[ages.isna()].any():
        return values.astype("category")
    names = [UNKNOWN if pd.isna(age) else f"{int(age) // 10 * 10} to {int(age) // 10 * 10 + 9}" for age in ages]
    order = sorted(set(names), key=lambda name: (name == UNKNOWN, int(name.split()[0]) if name != UNKNOWN else 0))
    return pd.Series(pd.Categorical(names, order, ordered=True))

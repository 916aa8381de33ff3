"""The runbook's section 7 table as a frame, with the published figures beside this run's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from orchestrator.reporting.frames import rounded
from orchestrator.reporting.results import Result

COLUMNS = (
    "experiment", "split", "method", "epochs", "batch", "n", "val_macro_f1", "test_macro_f1", "test_top1", "coverage",
    "top1_all_rows", "published_val_macro_f1", "published_test_macro_f1", "published_top1", "published_coverage",
    "seconds", "notes",
)  # fmt: skip


def summary_table(results: Iterable[Result]) -> pd.DataFrame:
    """Lay out one row per result in the columns of summary_overall_7exp.csv.

    Rates are fractions with six decimals, and a missing value is None. The columns are of type object, because a column
    of whole numbers beside a missing one would become floats.
    """
    return pd.DataFrame([_values(result) for result in results], columns=list(COLUMNS), dtype=object)


def _values(result: Result) -> dict[str, Any]:
    experiment, published = result.experiment, result.experiment.published
    figures = {name: getattr(result, name) for name in COLUMNS if hasattr(result, name)}
    return {
        **{name: _cell(value) for name, value in figures.items()},
        "experiment": experiment.folder,
        "split": experiment.split,
        "method": experiment.method,
        "published_val_macro_f1": published.val_macro_f1,
        "published_test_macro_f1": published.test_macro_f1,
        "published_top1": published.top1,
        "published_coverage": published.coverage,
        "notes": "; ".join(result.notes) or ("" if result.present else "no result yet"),
    }


def _cell(value: Any) -> Any:
    """A rate with six decimals; "nan", which pandas would leave out, in words."""
    if not isinstance(value, float):
        return value
    return rounded(value) if math.isfinite(value) else str(value)
